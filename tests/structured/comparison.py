"""One network, all criteria: the program's verdicts against exact enumeration."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from naive import verdicts

import mcinj
from mcinj import Network, Outcome

CRITERIA = ("layerwise", "regional", "global")
KINDS = ("agreed", "unknown", "false pass", "false failure", "bad witness", "bad certificate", "slow", "error")
# What may happen without a false statement.
HONEST = ("agreed", "unknown", "slow")


@dataclass(frozen=True)
class Comparison:
    """What came of one verdict: `kind` is one of `KINDS`; `expected`: whether the criterion passes."""

    criterion: str
    kind: str
    expected: bool
    seconds: float
    note: str = ""


def expectations(network: Network) -> dict[str, bool]:
    """Whether the network passes, by criterion; `layerwise` only where the layers' inputs are few enough."""
    weights, biases = network.exact_weights, network.exact_biases
    found = {}
    hard = [w for w in weights if len(w) >= 2 * len(w[0]) and len(w[0]) + (biases is not None) > 5]
    if not hard:
        found["layerwise"] = verdicts.passes_layerwise(weights, biases)
    if network.depth == 1:
        passes = verdicts.passes_global(weights, biases)
        return {**found, "regional": passes, "global": passes}
    found["regional"] = verdicts.passes_regional(weights, biases)
    found["global"] = found["regional"] and verdicts.collision(weights, biases) is None
    return found


def compile_all(**options: Any) -> None:
    """Compile what verdicts need: an interrupt in the middle of a compilation would leave it broken."""
    from mcinj.certify import verify
    from mcinj.warm import CASES

    CASES["deep networks with any weights"]()  # reaches every kernel of exact decisions
    for widths in ((12,), (14, 18), (14, 6)):
        network = mcinj.sample(2, widths, seed=1)
        coarse = Network([np.round(w * 8) for w in network.weights])
        for net in (network, coarse, Network(network.weights, [np.full(m, 0.1) for m in network.widths])):
            for criterion in CRITERIA:
                certificate = mcinj.check(net, criterion, certificate=True, node_budget=10_000, **options).certificate
                if certificate is not None:
                    verify(certificate, net)


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the main thread after so many seconds (0: never)."""

    def ring(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def compare(network: Network, certificates: bool = False, seconds: float = 0.0, **options: Any) -> list[Comparison]:
    """All criteria on one network. `seconds`: most of one verdict, 0 for no limit; `options` go to `mcinj.check`."""
    return [
        judged(network, criterion, expected, certificates, seconds, options)
        for criterion, expected in expectations(network).items()
    ]


def judged(
    network: Network, criterion: str, expected: bool, certificates: bool, seconds: float, options: dict[str, Any]
) -> Comparison:
    """One verdict. A failure needs two inputs that collide in the oracle's own arithmetic, a proof has to hold."""
    started = time.perf_counter()
    try:
        with limit(seconds):
            verdict = mcinj.check(network, criterion, certificate=certificates, **options)
    except TimeoutError:
        return Comparison(criterion, "slow", expected, time.perf_counter() - started)
    except Exception as error:  # a crash is a finding like any other, and the others are still wanted
        note = f"{type(error).__name__}: {error}"
        return Comparison(criterion, "error", expected, time.perf_counter() - started, note)
    spent = time.perf_counter() - started

    def result(kind: str, note: str = "") -> Comparison:
        return Comparison(criterion, kind, expected, spent, note)

    if verdict.verdict is Outcome.UNKNOWN:
        return result("unknown")
    if verdict.verdict is Outcome.INJECTIVE:
        if not expected:
            return result("false pass", str(verdict.certified))
        return certified(network, verdict.certificate, result) if certificates else result("agreed")
    if expected:
        return result("false failure")
    if verdict.witness is None or not collides(network, criterion, verdict):
        return result("bad witness")
    return result("agreed")


def collides(network: Network, criterion: str, verdict: mcinj.Verdict) -> bool:
    """Whether a failure's two inputs have one output (for `layerwise`, of the layer that it names)."""
    witness = verdict.witness
    weights, biases = network.exact_weights, network.exact_biases
    if criterion == "layerwise" and verdict.layer is not None:
        part = slice(verdict.layer - 1, verdict.layer)
        weights, biases = weights[part], None if biases is None else biases[part]
    x, y = list(witness.x), list(witness.x_prime)
    return x != y and verdicts.output(weights, biases, x) == verdicts.output(weights, biases, y)


def certified(network: Network, certificate: bytes | None, result: Callable[..., Comparison]) -> Comparison:
    """Whether the proof of a pass is accepted, as an exact one unless the network's law is known."""
    from mcinj.certify import verify

    if certificate is None:
        return result("bad certificate", "none given")
    checked = verify(certificate, network)
    grades = ("exact",) if network.premise is None else ("exact", "generic")
    if not checked.accepted or str(checked.certified) not in grades:
        return result("bad certificate", f"{checked.accepted} {checked.certified} {checked.reason}")
    return result("agreed")

"""Campaigns on verdicts: one layer in bulk, structured layers, deep networks, stability."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from structured.comparison import Comparison, compare, compile_all, judged, limit
from structured.families import FAMILIES, draw

import mcinj
from mcinj import Network
from reliability import onelayer

# Most seconds and nodes of one question.
SECONDS, NODES = 20.0, 1_000_000
# One pass in so many is also proved on file and verified, by floats with bounds and by rationals alone.
PROVED = 50


@dataclass(frozen=True)
class Outcome:
    """What came of one question: a kind of `structured.comparison.KINDS`, and the particulars unless it agreed."""

    kind: str
    note: str = ""
    also: dict[str, int] = field(default_factory=dict)


def one_layer(first: int) -> Iterator[Outcome]:
    """Instances from number `first` on: verdicts and witnesses; now and then certificates."""
    compile_all()
    for batch in range(first // onelayer.BATCH, 1 << 40):
        for k, case in enumerate(onelayer.instances(batch)):
            if batch * onelayer.BATCH + k < first:
                continue
            proved = (k + batch) % PROVED == 0
            found = judged(case.network, case.criterion, case.expected, proved, SECONDS, {"node_budget": NODES})
            yield _outcome([found], case.name, proved)


def structured(first: int) -> Iterator[Outcome]:
    """Layers with structure, up to four inputs, against enumeration over the rationals."""
    yield from _by_family([f for f in FAMILIES if f.startswith("one layer")], first)


def deep(first: int) -> Iterator[Outcome]:
    """Deep networks, structured and random, all criteria, against enumeration over the rationals."""
    yield from _by_family(deep_families(), first)


def deep_families() -> list[str]:
    """Names of all families of several layers."""
    return [f for f in FAMILIES if not f.startswith("one layer")] + list(RANDOM)


def _by_family(names: list[str], first: int) -> Iterator[Outcome]:
    compile_all()
    for name, seed, network in drawn(names, first):
        proved = seed % 5 == 0
        yield _outcome(compare(network, proved, SECONDS, node_budget=NODES), f"{name}, seed {seed}", proved)


def drawn(names: list[str], first: int) -> Iterator[tuple[str, int, Network]]:
    """Networks of these families in turn, from number `first` on: family, seed, network."""
    for k in range(first, 1 << 40):
        name, seed = names[k % len(names)], k // len(names)
        yield name, seed, RANDOM[name](np.random.default_rng([14, seed])) if name in RANDOM else draw(name, seed)


def _gaussian(rng: np.random.Generator, digits: type = np.float64, biased: bool = False) -> Network:
    n = int(rng.choice([1, 2], p=[0.2, 0.8]))
    sizes = [n, *(int(rng.integers(2 * n, 7 * n)) for _ in range(int(rng.choice([2, 3], p=[0.8, 0.2]))))]
    weights = [rng.standard_normal(s).astype(digits).astype(float) for s in zip(sizes[1:], sizes)]
    biases = [rng.standard_normal(m).astype(digits).astype(float) for m in sizes[1:]]
    return Network(weights, biases if biased else None)


def _drawn(rng: np.random.Generator) -> Network:
    """As `mcinj.sample` draws them: counts are ranks, and the search for pairs is another one."""
    n = int(rng.choice([1, 2], p=[0.2, 0.8]))
    widths = tuple(int(rng.integers(2 * n, 7 * n)) for _ in range(int(rng.choice([2, 3], p=[0.8, 0.2]))))
    return mcinj.sample(n, widths, seed=int(rng.integers(1 << 30)))


RANDOM = {
    "random, drawn by mcinj": _drawn,
    "random, float64": _gaussian,
    "random, float32": lambda rng: _gaussian(rng, np.float32),
    "random, biases": lambda rng: _gaussian(rng, biased=True),
}


def severity(kind: str) -> int:
    """0 for agreement; whatever is false or faulty is worst."""
    mild = ("agreed", "unknown", "slow")
    return mild.index(kind) if kind in mild else len(mild)


def _outcome(found: list[Comparison], name: str, proved: bool) -> Outcome:
    """One outcome per network, its worst; verdicts are counted beside it."""
    also = {
        "verdicts": len(found),
        "passes": sum(c.expected and c.kind == "agreed" for c in found),
        "passes with a verified certificate": sum(proved and c.expected and c.kind == "agreed" for c in found),
        "failures with a verified pair": sum(not c.expected and c.kind == "agreed" for c in found),
    }
    worst = max(found, key=lambda c: severity(c.kind))
    note = "" if worst.kind == "agreed" else f"{name}: {worst.criterion}: {worst.kind} {worst.note}".rstrip()
    return Outcome(worst.kind, note, also)


def stability(first: int) -> Iterator[Outcome]:
    """The least singular value of a region is 0 exactly where the layer is not injective, else proved positive."""
    for batch in range(first // onelayer.BATCH, 1 << 40):
        for k, case in enumerate(onelayer.instances(batch)):
            if batch * onelayer.BATCH + k >= first:
                yield _stable(case)


def _stable(case: onelayer.Instance) -> Outcome:
    try:
        with limit(SECONDS):
            found = mcinj.stability(case.network, node_budget=NODES)
    except TimeoutError:
        return Outcome("slow", f"{case.name}: stability")
    except Exception as error:
        return Outcome("error", f"{case.name}: stability: {type(error).__name__}: {error}")
    if found.sigma_lo > 0 and not case.expected:
        return Outcome("false pass", f"{case.name}: sigma_lo = {found.sigma_lo}")
    if found.sigma_hi == 0 and case.expected:
        return Outcome("false failure", f"{case.name}: sigma_hi = 0")
    if found.sigma_lo > 0 or found.sigma_hi == 0:
        return Outcome("agreed")
    return Outcome("unknown", f"{case.name}: between {found.sigma_lo} and {found.sigma_hi}")

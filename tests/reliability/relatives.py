"""A campaign without an oracle: networks that are injective together, or one if the other is, and what is said of both.

Units in another order, rows in other units, inputs turned, shifted or mixed over the integers, hidden units split in
two, repeated rows: nothing changes. A further row, a smaller domain or an injective layer behind: what was injective
stays so. So this reaches inputs that no enumeration does. Proofs of passes are presented for networks that differ in
one number as well: those that are accepted are judged by the oracle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from naive.verdicts import passes_global, passes_layerwise, passes_regional
from structured.comparison import compile_all, limit

import mcinj
from mcinj import Network
from mcinj.certify import verify
from mcinj.certify.format import pack, unpack
from reliability.domains import JUDGE, Rng
from reliability.verdicts import Outcome

SECONDS, BUDGET = 6.0, 20_000  # most of one question
PASS, FAIL = mcinj.Outcome.INJECTIVE, mcinj.Outcome.NOT_INJECTIVE
Rows = list[list[Fraction]]


@dataclass(frozen=True)
class Weights:
    """A network as plain rationals."""

    w: list[Rows]
    b: list[list[Fraction]]

    @staticmethod
    def of(network: Network) -> Weights:
        biases = network.exact_biases or [(Fraction(0),) * m for m in network.widths]
        return Weights([[list(r) for r in w] for w in network.exact_weights], [list(b) for b in biases])

    def network(self) -> Network:
        """Without biases where all are 0."""
        return Network(self.w, self.b if any(map(any, self.b)) else None)

    def with_layer(self, k: int, w: Rows, b: list[Fraction]) -> Weights:
        return Weights([*self.w[:k], w, *self.w[k + 1 :]], [*self.b[:k], b, *self.b[k + 1 :]])

    def with_columns(self, k: int, change: Callable[[list[Fraction]], list[Fraction]]) -> Weights:
        """The rows of layer k changed."""
        return self if k == len(self.w) else self.with_layer(k, [change(r) for r in self.w[k]], self.b[k])


def permuted(rng: Rng, net: Weights) -> Weights:
    """Units in another order."""
    for k in range(len(net.w)):
        p = [int(i) for i in rng.permutation(len(net.w[k]))]
        net = net.with_layer(k, [net.w[k][i] for i in p], [net.b[k][i] for i in p])
        net = net.with_columns(k + 1, lambda row, p=p: [row[i] for i in p])
    return net


def rescaled(rng: Rng, net: Weights) -> Weights:
    """Rows times positive rationals, which the next layer takes back."""
    for k in range(len(net.w)):
        c = [_positive(rng) for _ in net.w[k]]
        rows = [[f * v for v in row] for f, row in zip(c, net.w[k])]
        net = net.with_layer(k, rows, [f * v for f, v in zip(c, net.b[k])])
        net = net.with_columns(k + 1, lambda row, c=c: [v / f for v, f in zip(row, c)])
    return net


def _positive(rng: Rng) -> Fraction:
    kind = rng.integers(4)
    if kind == 0:
        return Fraction(2) ** int(rng.integers(-60, 61))
    if kind == 1:
        return Fraction(10) ** int(rng.integers(-120, 121))
    if kind == 2:
        return Fraction(float(rng.lognormal()))
    return Fraction(int(rng.integers(1, 10**6)), int(rng.integers(1, 10**6)))


def split(rng: Rng, net: Weights) -> Weights:
    """A hidden unit twice; what it gives to the next layer is shared out."""
    if len(net.w) < 2:
        return net
    k = int(rng.integers(len(net.w) - 1))
    i, share = int(rng.integers(len(net.w[k]))), Fraction(int(rng.integers(-3, 4)), 2)
    net = net.with_layer(k, [*net.w[k], net.w[k][i]], [*net.b[k], net.b[k][i]])
    return net.with_columns(k + 1, lambda row: [*row[:i], share * row[i], *row[i + 1 :], (1 - share) * row[i]])


def flipped(rng: Rng, net: Weights) -> Weights:
    """Inputs with other signs."""
    signs = [int(s) for s in rng.choice([-1, 1], len(net.w[0][0]))]
    return net.with_columns(0, lambda row: [s * v for s, v in zip(signs, row)])


def mixed(rng: Rng, net: Weights) -> Weights:
    """A shear of the inputs."""
    if len(net.w[0][0]) == 1:
        return net
    (i, j), c = rng.choice(len(net.w[0][0]), 2, replace=False), int(rng.integers(-3, 4))
    return net.with_columns(0, lambda row: [v + (c * row[i] if k == j else 0) for k, v in enumerate(row)])


def shifted(rng: Rng, net: Weights) -> Weights:
    """Inputs from another origin."""
    to = [Fraction(int(v), 2) for v in rng.integers(-3, 4, len(net.w[0][0]))]
    moved = [b + sum(u * v for u, v in zip(row, to)) for row, b in zip(net.w[0], net.b[0])]
    return net.with_layer(0, net.w[0], moved)


def repeated(rng: Rng, net: Weights) -> Weights:
    """A row of the last layer again in another size, and one of zeros."""
    i, c = int(rng.integers(len(net.w[-1]))), _positive(rng)
    rows = [*net.w[-1], [c * v for v in net.w[-1][i]], [Fraction(0)] * len(net.w[-1][0])]
    return net.with_layer(len(net.w) - 1, rows, [*net.b[-1], c * net.b[-1][i], Fraction(int(rng.integers(-1, 2)))])


def appended(rng: Rng, net: Weights) -> Weights:
    """One more row of the last layer."""
    row = [Fraction(int(v)) for v in rng.integers(-3, 4, len(net.w[-1][0]))]
    return net.with_layer(len(net.w) - 1, [*net.w[-1], row], [*net.b[-1], Fraction(int(rng.integers(-2, 3)))])


def followed(_: Rng, net: Weights) -> Weights:
    """An injective layer behind."""
    m = len(net.w[-1])
    rows = [[Fraction(s * (i == j)) for j in range(m)] for s in (2, -1) for i in range(m)]
    return Weights([*net.w, rows], [*net.b, [Fraction(0)] * (2 * m)])


SAME_FUNCTION = {"permuted": permuted, "split": split}
SAME_EVERYWHERE = {"flipped": flipped, "mixed": mixed, "shifted": shifted}
SAME_INSIDE = {**SAME_FUNCTION, "rescaled": rescaled, "repeated": repeated}


def relatives(first: int) -> Iterator[Outcome]:
    """Instances from number `first` on: a network, and some of its relatives."""
    compile_all()
    for k in range(first, 1 << 40):
        rng = np.random.default_rng([20, k])
        options = options_of(rng)
        network = network_of(rng, 3 if "slope" in options else 5)
        try:
            yield _judged(rng, Weights.of(network), options, f"number {k}, n = {network.n}, {options}")
        except TimeoutError:
            yield Outcome("slow", f"number {k}, n = {network.n}, {options}")
        except Exception as error:
            yield Outcome("error", f"number {k}, {options}: {type(error).__name__}: {error}")


def network_of(rng: Rng, most_inputs: int) -> Network:
    """One to three layers of small integers; many with opposite rows, hidden units that stay on, or pruned ones."""
    depth = int(rng.choice([1, 2, 3], p=[0.5, 0.4, 0.1]))
    n = int(rng.integers(1, most_inputs + 1 if depth == 1 else min(most_inputs, 3) + 1))
    most = int(rng.integers(1, 4))
    weights, biases, size = [], [], n
    for k in range(depth):
        m = int(rng.integers(n, 5 * n + 3 if depth == 1 else 3 * n + 3))
        w, b = rng.integers(-most, most + 1, (m, size)), rng.integers(-2, 3, m)
        if rng.random() < 0.6:
            half = m // 2
            w[half : 2 * half], b[half : 2 * half] = -w[:half], -b[:half]
        if k and rng.random() < 0.5:
            w, b = np.abs(w) * np.where(rng.random(w.shape) < 0.15, -1, 1), b + int(rng.integers(0, 3))
        if rng.random() < 0.1:
            w[rng.random(m) < 0.3] = 0
        weights.append(w)
        biases.append(b)
        size = m
    return Network(weights, biases if rng.random() < 0.6 else None)


def options_of(rng: Rng) -> dict[str, object]:
    """What is asked."""
    kind = rng.random()
    if kind < 0.2:
        return {"domain": str(rng.choice(["box:-1,2", "box:0,1", "box:-0.5,1000", "ball:1", "ball:3.5"]))}
    if kind < 0.35:
        return {"slope": float(rng.choice([0.5, 0.1, 0.9]))}
    return {"criterion": "regional"} if kind < 0.6 else {}


def _judged(rng: Rng, net: Weights, options: dict[str, object], name: str) -> Outcome:
    base = _asked(net, options)
    same = SAME_INSIDE if "domain" in options else {**SAME_INSIDE, **SAME_EVERYWHERE}
    chosen = [str(v) for v in rng.choice(sorted(same), 2, replace=False)]
    also = {f"relatives of {'passes' if base is PASS else 'others'}": len(chosen) + 1}
    said = [base]
    for relation in chosen:
        said.append(_asked(same[relation](rng, net), options))
        if {base, said[-1]} == {PASS, FAIL}:
            return Outcome("contradiction", f"{name}: {base}, {relation}: {said[-1]}: {net}")
    wider, how = (followed, "followed") if "slope" not in options and rng.random() < 0.3 else (appended, "appended")
    if base is PASS:
        said.append(_asked(wider(rng, net), options))
        if said[-1] is FAIL:
            return Outcome("contradiction", f"{name}: passes, {how}: {said[-1]}: {net}")
    if base is PASS and not options:
        said.append(_asked(net, {"domain": str(rng.choice(["box:-1,2", "ball:1"]))}))
        if said[-1] is FAIL:
            return Outcome("contradiction", f"{name}: passes, but not inside: {net}")
    if "criterion" not in options and rng.random() < 0.2:
        wrong = _bounds(net, SAME_FUNCTION[str(rng.choice(sorted(SAME_FUNCTION)))](rng, net), options, base)
        if wrong:
            return Outcome("contradiction", f"{name}: {wrong}: {net}")
    if base is PASS and "domain" not in options and "slope" not in options and len(net.w[0][0]) < 4:
        wrong = _presented(rng, net, str(options.get("criterion", "global")), also)
        if wrong:
            return Outcome("false acceptance", f"{name}: {wrong}")
    unknown = sum(v not in (PASS, FAIL) for v in said)
    return Outcome("unknown" if unknown else "agreed", f"{name}: {unknown} unknown" if unknown else "", also)


def _asked(net: Weights, options: dict[str, object]) -> mcinj.Outcome:
    with limit(SECONDS):
        return mcinj.check(net.network(), node_budget=BUDGET, **options).verdict  # type: ignore[arg-type]


def _bounds(net: Weights, relative: Weights, options: dict[str, object], base: mcinj.Outcome) -> str:
    """σ* and κ of one function, twice; both are 0 or positive as the verdict says."""
    with limit(2 * SECONDS):
        one, two = (mcinj.stability(v.network(), node_budget=2_000, **options) for v in (net, relative))  # type: ignore[arg-type]
    for found in (one, two):
        if (base is PASS and found.sigma_hi == 0) or (base is FAIL and found.kappa_lo > 0):
            return f"stability: {found}"
    ends = max(one.sigma_lo, two.sigma_lo), min(one.sigma_hi, two.sigma_hi)
    steps = max(one.kappa_lo, two.kappa_lo), min(one.kappa_hi, two.kappa_hi)
    leaky = "slope" in options  # there both signs of a unit's output are counted
    return f"stability: {one}, {two}" if ends[0] > ends[1] or (steps[0] > steps[1] and not leaky) else ""


def _presented(rng: Rng, net: Weights, criterion: str, also: dict[str, int]) -> str:
    """The proof of a pass for networks that differ in one number, checksum and digest made right."""
    with limit(SECONDS):
        certificate = mcinj.check(net.network(), criterion, node_budget=BUDGET, certificate=True).certificate
    if certificate is None:
        return ""
    if not verify(certificate, net.network()).accepted:
        return "the proof is refused"
    version, _, parts = unpack(certificate)
    for _ in range(5):
        k = int(rng.integers(len(net.w)))
        i = int(rng.integers(len(net.w[k])))
        row, j = list(net.w[k][i]), int(rng.integers(len(net.w[k][i])))
        row[j] = Fraction(int(rng.integers(-2, 3))) if rng.random() < 0.7 else row[j] * (1 + Fraction(1, 2**50))
        changed = net.with_layer(k, [*net.w[k][:i], row, *net.w[k][i + 1 :]], net.b[k])
        other = changed.network()
        if verify(certificate, other).accepted and other.digest() != net.network().digest():
            return "a proof is accepted for another digest"
        with limit(SECONDS):
            found = verify(pack(other, version, [bytes(part) for part in parts]), other)
        also["proofs presented for a relative"] = also.get("proofs presented for a relative", 0) + 1
        if found.accepted and found.certified == "exact":
            also["of these accepted, and right"] = also.get("of these accepted, and right", 0) + 1
            judge = {"global": passes_global, "regional": passes_regional, "layerwise": passes_layerwise}
            try:
                with limit(JUDGE):
                    right = judge[found.criterion](changed.w, changed.b if other.has_biases else None)
            except TimeoutError:
                right = True
                also["of these accepted, not judged"] = also.get("of these accepted, not judged", 0) + 1
            if not right:
                return f"accepted: {changed}"
    return ""

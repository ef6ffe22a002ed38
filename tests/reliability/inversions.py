"""Campaigns on `invert`: x back from f(x), of one layer in bulk, and of deep networks with outputs of several kinds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
from naive.preimages import Preimages, Regions
from naive.verdicts import output
from structured.comparison import limit

import mcinj
from mcinj import Network
from reliability import onelayer
from reliability.verdicts import NODES, SECONDS, Outcome, deep_families, drawn, severity

Vector = Sequence[Fraction]


def one_layer(first: int) -> Iterator[Outcome]:
    """f(x) is computed in fractions for a random x; `invert` must give x back, or say that it is not alone."""
    for batch in range(first // onelayer.BATCH, 1 << 40):
        for k, case in enumerate(onelayer.instances(batch)):
            if batch * onelayer.BATCH + k >= first:
                yield _inverted(case, np.random.default_rng([15, batch, k]))


def _inverted(case: onelayer.Instance, rng: np.random.Generator) -> Outcome:
    network = case.network
    weights, biases = network.exact_weights, network.exact_biases
    x = [int(v) for v in rng.integers(-9, 10, network.n)]
    y = output(weights, biases, x)
    try:
        with limit(SECONDS):
            found = mcinj.invert(network, y, node_budget=NODES)
    except TimeoutError:
        return Outcome("slow", f"{case.name}: invert")
    except Exception as error:
        return Outcome("error", f"{case.name}: invert: {type(error).__name__}: {error}")
    if found.impossible or (found.x is not None and output(weights, biases, found.x) != y):
        return Outcome("false failure", f"{case.name}: x = {x}: impossible, or another output")
    if found.unique is None or found.x is None:
        return Outcome("unknown", f"{case.name}: x = {x}")
    if found.unique and list(found.x) != x:
        return Outcome("false pass", f"{case.name}: x = {x} is not the only one")
    if not found.unique and (case.expected or not onelayer.collides(network, found.x, found.other)):
        return Outcome("false failure", f"{case.name}: x = {x} is alone")
    return Outcome("agreed")


def deep(first: int) -> Iterator[Outcome]:
    """All inputs of several outputs per network, against those of all regions over the rationals."""
    for name, seed, network in drawn(deep_families(), first):
        regions = Regions(network.exact_weights, network.exact_biases)
        if regions.cells is None:  # the first layer's rows do not span the inputs
            yield Outcome("agreed", also={"networks without a judge (dependent inputs)": 1})
            continue
        rng = np.random.default_rng([16, seed])
        found = [
            judged(network, kind, y, regions.preimages([Fraction(v) for v in y]), f"{name}, seed {seed}: {kind}")
            for kind, y in outputs(network, regions, rng)
        ]
        also: dict[str, int] = {"outputs": len(found)}
        for outcome in found:
            for key in outcome.also:
                also[key] = also.get(key, 0) + 1
        worst = max(found, key=lambda o: severity(o.kind))
        yield Outcome(worst.kind, worst.note, also)


def outputs(
    network: Network, regions: Regions, rng: np.random.Generator
) -> Iterator[tuple[str, Sequence[Fraction | float]]]:
    """Outputs by name: of inputs inside of regions and on their faces, rounded, and moved out of the image."""
    weights, biases = network.exact_weights, network.exact_biases
    x = [Fraction(int(v), int(rng.integers(1, 8))) for v in rng.integers(-9, 10, network.n)]
    y = output(weights, biases, x)
    yield "exact", y
    yield "floats", [float(v) for v in network.forward(np.array([float(v) for v in x]))]
    moved = list(y)
    moved[rng.integers(len(y))] += Fraction(int(rng.integers(1, 4)), int(rng.integers(1, 1000)))
    yield "moved", moved
    cell = regions.cells[rng.integers(len(regions.cells))]  # type: ignore[index,arg-type]
    size = int(rng.integers(1, len(cell) + 1))
    rays = [cell[k].x for k in rng.choice(len(cell), size, replace=False)]
    point = [sum(Fraction(ray[k], max(abs(v) for v in ray)) for ray in rays) for k in range(len(rays[0]))]
    if network.has_biases:
        if not point[-1]:
            return  # a direction, no input
        point = [v / point[-1] for v in point[:-1]]
    yield "a face", output(weights, biases, point)


def judged(network: Network, kind: str, y: Sequence[Fraction | float], expected: Preimages, name: str) -> Outcome:
    """One inversion against all inputs with that output."""
    exact = [Fraction(v) for v in y]
    try:
        with limit(SECONDS):
            found = mcinj.invert(network, list(y), node_budget=NODES)
    except TimeoutError:
        return Outcome("slow", f"{name}: invert")
    except Exception as error:
        return Outcome("error", f"{name}: {type(error).__name__}: {error}")
    for x in (found.x, found.other):
        if x is not None and output(network.exact_weights, network.exact_biases, x) != exact:
            return Outcome("bad witness", f"{name}: {x} has another output")
    if found.impossible and expected.points:
        return Outcome("false pass", f"{name}: impossible, but {min(expected.points)} has this output")
    if found.x is not None and found.unique and not (expected.alone and found.x in expected.points):
        return Outcome("false pass", f"{name}: {found.x} is not the only one")
    if found.unique is False and (found.other is None or found.other == found.x or expected.alone):
        return Outcome("false failure", f"{name}: {found.x} is alone")
    if not found.complete or (found.unique is None and not found.impossible):
        return Outcome("unknown", f"{name}: {len(found.pieces)} pieces so far")
    if any(sum(piece.holds(x) for piece in found.pieces) != 1 for x in expected.points):
        return Outcome("lost input", f"{name}: an input is in none or several of {len(found.pieces)} pieces")
    return Outcome("agreed", also={f"{kind}: {_told(expected)}": 1})


def _told(expected: Preimages) -> str:
    return "no input" if not expected.points else ("one input" if expected.alone else "several inputs")

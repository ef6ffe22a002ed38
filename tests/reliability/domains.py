"""A campaign on bounded inputs: verdicts and pairs of boxes, against all regions and pairs of them over the rationals.

Boxes and balls are drawn to be awkward: their walls go through corners of regions or pass them by one unit in the last
place, they are tiny or huge, and 0 lies inside, outside or on them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from naive.bounded import Inside
from naive.verdicts import output
from structured.comparison import Comparison, compile_all, limit
from structured.families import FAMILIES

import mcinj
from mcinj import Network
from mcinj.decide.bounded.boxes import BoxPairs
from mcinj.decide.bounded.domain import Domain
from reliability.verdicts import NODES, SECONDS, Outcome, _outcome, deep_families, drawn

Rng = np.random.Generator
Floats = np.ndarray
JUDGE = 10.0  # most seconds of the oracle


@dataclass(frozen=True)
class Asked:
    """A network, a domain, and what holds there; `injective` is None where the oracle cannot tell (balls)."""

    name: str
    network: Network
    domain: Domain
    regional: bool
    injective: bool | None
    cells: Inside


def bounded(first: int) -> Iterator[Outcome]:
    """Verdicts on a box or a ball, and what pairs of boxes prove there."""
    compile_all()
    for asked in instances(first):
        yield asked if isinstance(asked, Outcome) else worst(list(verdicts(asked)), asked.name)


def instances(first: int) -> Iterator[Asked | Outcome]:
    """Instances from number `first` on; an outcome where the oracle takes too long."""
    names = sorted(FAMILIES) + [f for f in deep_families() if f not in FAMILIES]
    for k in range(first, 1 << 40):
        rng = np.random.default_rng([17, k])
        if k % 3:
            name, network = f"number {k}, small integers", integers(rng)
        else:
            family, seed, network = next(drawn(names, k // 3))
            name, network = f"number {k}, {family}, seed {seed}", shifted(rng, network)
        if network.n > 2:
            yield Outcome("agreed", also=UNJUDGED)
            continue
        try:
            with limit(JUDGE):
                found = asked(name, *in_units(rng, network, awkward(rng, network)))
        except TimeoutError:
            yield Outcome("agreed", also=UNJUDGED)
            continue
        yield found


UNJUDGED = {"instances without a judge (three inputs, or too many regions)": 1}


def asked(name: str, network: Network, domain: Domain) -> Asked:
    """The network on the domain, judged."""
    reach = Fraction(domain.high)
    cells = Inside(network.exact_weights, network.exact_biases, Fraction(domain.low), reach)
    if domain.shape == "ball":
        regional, injective = cells.regional_in_ball(reach), cells.injective_in_ball(reach)
    else:
        regional, injective = cells.regional, cells.injective
    return Asked(f"{name}, {domain.text}", network, domain, regional, injective, cells)


def integers(rng: Rng) -> Network:
    """One to three layers of small integers, some with opposite rows or a bias of one size: many coincidences."""
    n, depth = int(rng.integers(1, 3)), int(rng.integers(1, 4))
    most = int(rng.integers(1, 4))
    weights: list[Floats] = []
    biases: list[Floats] = []
    size = n
    for k in range(depth):
        m = int(rng.integers(max(n, 2), 8 if k == 0 else 6))
        w, b = rng.integers(-most, most + 1, (m, size)), rng.integers(-2, 3, m)
        if rng.random() < 0.4:  # absolute values
            half = m // 2
            w[half : 2 * half], b[half : 2 * half] = -w[:half], -b[:half]
        if k and rng.random() < 0.5:  # most units stay on
            w, b = np.abs(w) * np.where(rng.random(w.shape) < 0.15, -1, 1), b + int(rng.integers(0, 3))
        if rng.random() < 0.15:  # pruned units
            w[rng.random(m) < 0.4] = 0
        weights.append(w.astype(float))
        biases.append(b.astype(float) * (rng.random() < 0.85))
        size = m
    if rng.random() < 0.15:
        return Network(weights)
    return Network(weights, biases)


def shifted(rng: Rng, network: Network) -> Network:
    """With biases, mostly: on a box around 0 a network without them is what it is everywhere."""
    if network.has_biases or rng.random() < 0.3:
        return network
    sizes = [np.abs(w).sum(axis=1) for w in network.weights]
    one = rng.random() < 0.5  # a shift of the inputs: all walls of layer 1 meet in one point
    shift = rng.integers(-2, 3, network.n) / 2.0
    biases = [network.weights[0] @ shift if one else 0.5 * sizes[0] * rng.standard_normal(len(sizes[0]))]
    biases += [0.3 * s * rng.standard_normal(len(s)) for s in sizes[1:]]
    return Network(network.weights, biases)


def awkward(rng: Rng, network: Network) -> Domain:
    """A box or a ball that is hard for this network."""
    first = network.layer(1)
    corners = Inside(first.exact_weights, first.exact_biases, Fraction(-4), Fraction(4)).vertices()
    if rng.random() < 0.35:
        sizes = [float(np.sqrt(float(sum(v * v for v in p)))) for p in corners]
        return Domain("ball", -(r := _size(rng, [v for v in sizes if v > 0])), r)
    places = [float(v) for p in corners for v in p]
    for _ in range(100):
        ends = _end(rng, places), _end(rng, places)
        if ends[0] != ends[1]:
            return Domain("box", min(ends), max(ends))
    return Domain("box", -1.0, 1.0)


def _end(rng: Rng, places: list[float]) -> float:
    """An end of a box: a corner's coordinate or one nearby, a whole number, or something tiny or huge."""
    kind = rng.random()
    if kind < 0.45:
        return _nudged(rng, places[rng.integers(len(places))])
    if kind < 0.75:
        return float(rng.integers(-3, 4))
    if kind < 0.85:
        return float(rng.normal())
    return float(rng.choice([-1, 1])) * 2.0 ** int(rng.choice([-60, -21, -20, -8, 8, 20, 21, 60]))


def _size(rng: Rng, sizes: list[float]) -> float:
    kind = rng.random()
    if kind < 0.5 and sizes:
        return _nudged(rng, sizes[rng.integers(len(sizes))])
    if kind < 0.7:
        return float(rng.integers(1, 6))
    if kind < 0.85:
        return float(abs(rng.normal())) + 0.01
    return 2.0 ** int(rng.choice([-60, -21, -20, -8, 8, 20, 21, 60]))


def _nudged(rng: Rng, value: float) -> float:
    kind = rng.integers(4)
    if kind == 0:
        return math.nextafter(value, math.inf)
    if kind == 1 and value:
        return math.nextafter(value, 0.0)
    return value


def in_units(rng: Rng, network: Network, domain: Domain) -> tuple[Network, Domain]:
    """The same in other units of the inputs, and rows of other sizes; both by powers of two."""
    if rng.random() < 0.7:
        return network, domain
    unit = 2.0 ** int(rng.choice([-300, -40, -3, 3, 40, 300]))
    spread = int(rng.choice([0, 3, 40]))
    if not (network.floats_are_exact and all(_stays(v * unit, v, unit) for v in (domain.low, domain.high))):
        return network, domain
    rows = [2.0 ** rng.integers(-spread, spread + 1, m) for m in network.widths]
    weights = [w * r[:, None] / (unit if k == 0 else 1.0) for k, (w, r) in enumerate(zip(network.weights, rows))]
    biases = None if network.biases is None else [b * r for b, r in zip(network.biases, rows)]
    return Network(weights, biases), Domain(domain.shape, domain.low * unit, domain.high * unit)


def _stays(product: float, value: float, unit: float) -> bool:
    return math.isfinite(product) and Fraction(product) == Fraction(value) * Fraction(unit)


def verdicts(asked: Asked) -> Iterator[Comparison]:
    """Both criteria (all three for one layer), and whether pairs of boxes prove what is false."""
    expected = {"regional": asked.regional, "global": asked.injective}
    for criterion, passes in expected.items():
        yield judged(asked.network, criterion, passes, asked.domain, {"domain": asked.domain.text})
    if asked.injective is not None:
        yield _by_boxes(asked)


def judged(
    network: Network, criterion: str, expected: bool | None, domain: Domain | None, options: dict[str, object],
    slope: Fraction = Fraction(0),
) -> Comparison:  # fmt: skip
    """One verdict. A failure needs two different inputs in the open domain with one output, by plain fractions."""

    def result(kind: str, note: str = "") -> Comparison:
        return Comparison(criterion, kind, bool(expected), 0.0, note)

    try:
        with limit(SECONDS):
            found = mcinj.check(network, criterion, node_budget=NODES, **options)
    except TimeoutError:
        return result("slow")
    except Exception as error:
        return result("error", f"{type(error).__name__}: {error}")
    if found.verdict is mcinj.Outcome.UNKNOWN:
        return result("unknown", str(found.reason))
    if found.verdict is mcinj.Outcome.INJECTIVE:
        return result("agreed" if expected is not False else "false pass", str(found.certified))
    if expected:
        return result("false failure")
    points = [] if found.witness is None else [list(found.witness.x), list(found.witness.x_prime)]
    inside = domain is None or all(holds(domain, x) for x in points)
    outputs = [output(network.exact_weights, network.exact_biases, x, slope) for x in points]
    fine = points and inside and points[0] != points[1] and outputs[0] == outputs[1]
    return result("agreed" if fine else "bad witness")


def holds(domain: Domain, x: list[Fraction]) -> bool:
    """Whether x lies in the open box or ball."""
    if domain.shape == "ball":
        return sum(v * v for v in x) < Fraction(domain.high) ** 2
    return all(Fraction(domain.low) < v < Fraction(domain.high) for v in x)


def _by_boxes(asked: Asked) -> Comparison:
    domain = asked.domain

    def result(kind: str, note: str = "") -> Comparison:
        return Comparison("pairs of boxes", kind, bool(asked.injective), 0.0, note)

    try:
        found = BoxPairs(asked.network, domain.low, domain.high, radius=domain.radius).run(0.0, 600)
    except Exception as error:
        return result("error", f"{type(error).__name__}: {error}")
    if found.closed and not asked.injective:
        return result("false pass", f"kappa {found.kappa}")
    return result("agreed")


def worst(found: list[Comparison], name: str) -> Outcome:
    return _outcome(found, name, False)

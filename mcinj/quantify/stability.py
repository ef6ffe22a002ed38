"""How stably a network can be inverted: least singular values and the lower Lipschitz constant, both enclosed.

For one layer f(x) = ReLU(Ax + b) on a convex domain K, with σ* the least singular value of A_S over the cells that meet
K (S: the active units), the lower Lipschitz constant κ = inf |f(x) - f(x')| / |x - x'| lies in

    σ*/2 <= κ <= σ*.

Right: two points of one cell. Left: units that are active at the midpoint of x and x' tell at least half of their
difference (Freeman and Haider, arXiv:2502.09898). A network's κ is at least the product of its layers', each on
the inputs that it can meet, and what pairs of boxes prove (`mcinj.decide.bounded.boxes`); it is at most the least
singular value of any region's Jacobian.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from mcinj.certify.collision import collision_at
from mcinj.certify.rational import product, to_flint
from mcinj.certify.witness import Witness
from mcinj.decide.bounded.boxes import BoxPairs
from mcinj.decide.bounded.domain import Domain
from mcinj.decide.budget import limit_of
from mcinj.decide.check import as_network
from mcinj.decide.deep.leaky import as_relu
from mcinj.decide.deep.scaling import power_of_two
from mcinj.decide.watch import Allowance, TimeUp, attended, time_limit_of
from mcinj.errors import InputError
from mcinj.inverse.layers import slope_of
from mcinj.networks import Network
from mcinj.networks.network import FractionMatrix, FractionVector
from mcinj.networks.traced import accepts_modules
from mcinj.quantify.ball import point_in_ball
from mcinj.quantify.opposite_pairs import OppositeBounds, from_opposites, two_sided
from mcinj.quantify.pairs import closest_pair
from mcinj.quantify.roots import float_below, root_above
from mcinj.quantify.search import PatternSearch, Rows
from mcinj.quantify.singular import Cell, LeastSingular, cell_at, least_singular
from mcinj.quantify.stability_value import Pattern, Stability

_SAMPLES = 2_000
_STARTS = 12  # sampled regions with the fewest active units that are looked at
_RANGE = 100  # binary exponents of weights (up to it also of biases, domains, inputs) that the descent over pairs bears
_FEW = 3  # inputs up to which pairs of boxes bound κ of several layers
_PAIRS = 100_000  # of boxes
_WIDE = 12  # inputs of a later layer beyond which its own bound is not tried

Meets = Callable[[PatternSearch], FractionVector | None]


@accepts_modules
def stability(
    network: Network | Sequence[Any] | np.ndarray[Any, Any],
    *,
    domain: str | None = None,
    slope: float = 0.0,
    tolerance: float = 1e-6,
    node_budget: int | None = 1_000_000,
    time_limit: float | None = None,
) -> Stability:
    """Enclose the least singular value of any region and the lower Lipschitz constant.

    Parameters
    ----------
    network
        What `mcinj.check` takes: a `Network`, a list of weight matrices, one matrix `(m, n)`, or a torch module and an
        example input.
    domain
        `"box:LOW,HIGH"` or `"ball:R"`; None: all of R^n.
    slope
        0 for ReLU; otherwise the slope of leaky ReLUs in all layers, 0 < slope < 1. Each counts as two units, z and -z,
        in `pattern`, and in the last layer (its κ is at most that of the leaky network).
    tolerance
        Relative width of the enclosure of σ* that is aimed at, between 1e-9 and 0.5.
    node_budget, time_limit
        Most search nodes, most seconds; None: no limit. What is reached by then is returned, with `complete` False.

    Raises
    ------
    InputError
        A bad network, domain, slope, tolerance or limit.

    Notes
    -----
    One layer is solved exactly by branch and bound. For several layers every full pattern of the earlier layers is
    visited, which is for small networks; beyond the budget sigma_hi is the best of sampled regions, and sigma_lo the
    product of the layers' own.

    Examples
    --------
    >>> import mcinj
    >>> found = mcinj.stability([[[2, 0], [0, 1], [-2, 0], [0, -1]]])
    >>> round(found.sigma_lo, 5), found.sigma_hi
    (1.0, 1.0)
    >>> 0.5 * found.sigma_lo <= found.kappa_lo <= found.kappa_hi <= found.sigma_hi
    True
    >>> str(found.sigma_squared[1])  # exactly
    '1'
    """
    net, leak = as_network(network), slope_of(slope)
    if leak:
        net = as_relu(net, leak, scaled_end=True)
    place = None if domain is None else Domain.parse(domain)
    if not 1e-9 <= tolerance <= 0.5:
        raise InputError(f"tolerance is the relative width of the answer, between 1e-9 and 0.5; got {tolerance!r}")
    limit, seconds = limit_of(node_budget), time_limit_of(time_limit)
    around = None
    if place is not None and place.low < 0 < place.high and not net.has_biases:
        # Regions are cones: those that meet a neighbourhood of 0 are all.
        around, place = place, None
    with attended() as watch:
        found = _Task(net, place, tolerance, limit, Allowance(watch, seconds)).answer()
    return found if around is None else _into(net, found, around)


class _Task:
    """One question, its budget and its starting points."""

    def __init__(self, net: Network, place: Domain | None, tolerance: float, limit: int, allowance: Allowance) -> None:
        self.net, self.place, self.tolerance = net, place, tolerance
        self.started = time.perf_counter()
        self.limit = limit
        self.allowance, self.watch, self.share = allowance, allowance.watch, 1.0
        self.nodes = 0
        self.biases = net.exact_biases if net.has_biases else None
        self.walls: FractionMatrix = () if place is None else place.fence(net.n)

    def answer(self) -> Stability:
        net = self.net
        cells = self._sampled()
        best: tuple[Cell, Pattern] | None = min(cells, key=lambda c: c[0].square, default=None)
        layers: tuple[tuple[float, float], ...] = ()
        if net.depth == 1:
            found = self._one_layer([(c.point, c.active) for c, _ in cells])
            low, high, complete = found.low, found.high, found.complete
            if found.cell is not None:
                best = found.cell, (found.cell.active,)
            kappa_lo = low / 2
            if high > 0:
                low = max(low, min(self._opposites[0].sigma, high))
                kappa_lo = max(kappa_lo, low / 2, self._opposites[0].kappa)
        else:
            low, high, complete, cell = self._deep(best)
            best = best if cell is None else cell
            layers = self._alone() if high > 0 else ()
            factors = [bounds[0] for bounds in layers]
            kappa_lo = self._product(factors) if factors else 0.0
            low = max(low, _below(factors) if factors else 0.0)
            kappa_lo = max(kappa_lo, self._by_boxes(high))
            low = max(low, min(kappa_lo, high))  # two points of one region
        if best is None:  # the budget ended before the first region
            return Stability(
                low, math.inf, 0.0, math.inf, None, (), None, None, layers, False, self.nodes,
                time.perf_counter() - self.started, (_squared(low), None), (Fraction(0), None),
            )  # fmt: skip
        # Rows of very different sizes, or a cell that touches the ball, may leave a wider enclosure; opposite rows a
        # narrow one where the search did not end.
        complete = (complete and low >= high * (1 - 3 * self.tolerance)) or low >= high * (1 - self.tolerance)
        shown, pattern = best
        pair, kappa_hi, kappa_square = self._pair(shown, high)
        kappa_lo = min(kappa_lo, kappa_hi)
        return Stability(
            low, high, kappa_lo, kappa_hi, shown.point, pattern, shown.direction, pair, layers, complete,
            self.nodes, time.perf_counter() - self.started,
            (min(_squared(low), shown.square), shown.square), (min(_squared(kappa_lo), kappa_square), kappa_square),
        )  # fmt: skip

    def _enter(self, stage: str, share: float) -> None:
        """A stage begins, which may last until this share of the time limit has passed."""
        self.watch.enter(stage)
        self.share = share

    def _late(self) -> bool:
        self.watch.nodes = self.nodes
        return self.allowance.over(self.share)

    def _meets(self) -> Meets | None:
        if self.place is None or self.place.shape != "ball":
            return None
        radius = Fraction(self.place.high)
        return lambda search: point_in_ball(search, radius)

    def _first(self) -> Rows:
        """Rows of layer 1, over (x, t) if any layer has a bias."""
        biases = None if self.biases is None else self.biases[0]
        return Rows.of(self.net.exact_weights[0], biases, self.walls, affine=self.biases is not None)

    def _rows(self, k: int, walls: FractionMatrix) -> Rows:
        return Rows.of(self.net.exact_weights[k], None if self.biases is None else self.biases[k], walls)

    def _one_layer(self, start: list[tuple[FractionVector, tuple[int, ...]]]) -> LeastSingular:
        self._enter("least singular value of all cells", 0.8)
        rows = self._rows(0, self.walls)
        found: LeastSingular | None = None
        # A coarse answer first: it stands where the budget ends the fine one.
        for tolerance in (0.5, self.tolerance) if self.tolerance < 0.1 else (self.tolerance,):
            if found is not None and found.cell is not None:
                start = [(found.cell.point, found.cell.active)]
            fine = least_singular(
                rows, tolerance=tolerance, limit=self.limit - self.nodes, start=start, meets=self._meets(),
                stop=self._late,
            )  # fmt: skip
            self.nodes += fine.nodes
            if fine.complete and fine.low > 0.0:
                self.watch.prove(f"singular values are at least {fine.low:.4g}")
            if found is None or fine.complete:
                found = fine
            else:
                found = replace(found, high=min(found.high, fine.high), cell=fine.cell or found.cell, complete=False)
            if not fine.complete or found.high == 0.0:
                break
        assert found is not None
        return found

    def _deep(self, best: tuple[Cell, Pattern] | None) -> tuple[float, float, bool, tuple[Cell, Pattern] | None]:
        """σ* over all regions: full patterns of the earlier layers, the last one by branch and bound."""
        self._enter("least singular value of all regions", 0.6)
        high = math.inf if best is None else root_above(best[0].square)
        low = high
        for pattern, rows in self._patterns(0, (), self._first()):
            if high == 0.0:
                break
            found = least_singular(
                rows, tolerance=self.tolerance, limit=self.limit - self.nodes, below=high, meets=self._meets(),
                stop=self._late,
            )  # fmt: skip
            self.nodes += found.nodes
            if found.cell is not None:
                best = found.cell, (*pattern, found.cell.active)
                high = min(high, found.high)
            low = min(low, found.low)
            if not found.complete:
                return 0.0, high, False, best
        complete = self.nodes < self.limit and not self._late()
        low = min(low, high * (1 - 2 * self.tolerance)) if complete else 0.0
        return low if high else 0.0, high, complete or high == 0.0, best

    def _patterns(self, k: int, above: Pattern, rows: Rows) -> Iterator[tuple[Pattern, Rows]]:
        """Full patterns of all layers but the last, with the rows of the last on them."""
        if k == self.net.depth - 1:
            yield above, rows
            return
        search = PatternSearch(rows)
        search.tau[0] = math.inf
        found: list[tuple[int, ...]] = []
        meets = self._meets()

        def leaf() -> bool:
            if meets is None or meets(search) is not None:
                found.append(tuple(search.active()))
            return False

        # In slices: regions of the next layers are looked at as they come.
        done = False
        while not done and self.nodes < self.limit and not self._late():
            before = search.nodes
            done = search.run(leaf, min(self.limit - self.nodes, 1_000) + before, self._late)
            self.nodes += search.nodes - before
            for active in found:
                if self._late():
                    return
                yield from self._patterns(k + 1, (*above, active), self._next(k, rows, active))
            found.clear()

    def _next(self, k: int, rows: Rows, active: tuple[int, ...]) -> Rows:
        """Rows of layer k + 1 (from 0) on a pattern of layer k, with the pattern as walls."""
        w = self.net.exact_weights[k + 1]
        g = rows.g
        if active:
            left = to_flint([[row[i] for i in active] for row in w], len(active))
            image = product(left, to_flint([rows.rows[i] for i in active], g))
        else:
            image = tuple((Fraction(0),) * g for _ in w)
        if self.biases is not None:
            image = tuple((*row[:-1], row[-1] + b) for row, b in zip(image, self.biases[k + 1], strict=True))
        on = set(active)
        signed = tuple(
            row if i in on else tuple(-v for v in row) for i, row in enumerate(rows.rows) if any(row[: rows.n])
        )
        return Rows(rows.n, image, (*rows.walls, *signed))

    def _by_boxes(self, high: float) -> float:
        """A lower bound of κ from pairs of boxes, for few inputs: a first one, then as near to σ* / 2 as is cheap."""
        if not 0.0 < high < math.inf or self.net.n > _FEW:
            return 0.0
        self._enter("pairs of boxes", 0.85)
        limits = (None, None) if self.place is None else (self.place.low, self.place.high)
        radius = None if self.place is None else self.place.radius
        pairs = BoxPairs(self.net, *limits, radius=radius, keep=True)
        limit = min(_PAIRS, self.limit - self.nodes)

        def poll() -> None:
            if self._late():
                raise TimeUp

        best, target = 0.0, 0.0
        try:
            while target < high / 2:
                found = pairs.run(target, limit, poll)
                if not found.closed:
                    break
                best = max(best, found.kappa)
                target = max(2.0 * best, high / 64)
        except TimeUp:
            pass
        self.nodes += pairs.nodes
        return best

    @cached_property
    def _opposites(self) -> list[OppositeBounds]:
        """What opposite rows prove of each layer, on all of its inputs."""
        biases = self.biases or (None,) * self.net.depth
        return [from_opposites(w, b) for w, b in zip(self.net.exact_weights, biases, strict=True)]

    def _product(self, alone: list[float]) -> float:
        """A lower bound of κ from those of the layers, `alone`: σ* of each; leaky ReLUs are taken as they are."""
        weights, biases = list(self.net.exact_weights), self.biases or (None,) * self.net.depth
        factors = []
        merged = False  # the layer's inputs are those of merged pairs
        for k in range(len(weights)):
            found = two_sided(weights[k], biases[k], weights[k + 1]) if k + 1 < len(weights) else None
            if found is not None:
                factors.append(found[0])
                weights[k + 1] = found[1]
            elif merged:
                factors.append(from_opposites(weights[k], biases[k]).kappa)
            else:
                factors.append(max(alone[k] / 2, self._opposites[k].kappa))
            merged = found is not None
        return _below(factors)

    def _alone(self) -> tuple[tuple[float, float], ...]:
        """σ* of each layer alone: the first on the domain, later ones on inputs >= 0, which is all that they meet."""
        result = []
        for k, w in enumerate(self.net.exact_weights):
            self._enter(f"layer {k + 1} alone", 0.75)
            n = len(w[0])
            opposites = self._opposites[k]
            if opposites.all_rows:  # all cells have the same singular values
                result.append((opposites.sigma, opposites.sigma_above))
                continue
            if k == 0:
                rows = self._rows(0, self.walls)
            elif n > _WIDE or self._late():
                result.append((opposites.sigma, math.inf))
                continue
            else:
                affine = self.biases is not None and any(self.biases[k])
                orthant = tuple(tuple(Fraction(int(i == j)) for j in range(n + affine)) for i in range(n))
                rows = self._rows(k, orthant) if affine else Rows(n, w, orthant)
            found = least_singular(
                rows, tolerance=max(self.tolerance, 1e-3), limit=min(self.limit, 100_000),
                meets=self._meets() if k == 0 else None, stop=self._late,
            )  # fmt: skip
            self.nodes += found.nodes
            if found.complete and found.low > 0.0:
                self.watch.prove(f"singular values of layer {k + 1} alone are at least {found.low:.4g}")
            result.append((max(found.low, opposites.sigma), found.high))
        return tuple(result)

    def _sampled(self) -> list[tuple[Cell, Pattern]]:
        """Regions with few active units among sampled ones; patterns are exact."""
        self._enter("sampled regions", 0.2)
        net, rng = self.net, np.random.default_rng(0)
        x = rng.standard_normal((_SAMPLES, net.n))
        if self.place is not None and self.place.shape == "box":
            x = self.place.uniform(rng, x.shape)
        elif self.place is not None:
            x *= rng.uniform(0, 1, (len(x), 1)) / np.linalg.norm(x, axis=1, keepdims=True)
            x *= self.place.high  # last: it may be the largest float
        elif self.biases is not None:
            x *= np.exp(rng.uniform(-4, 4, (len(x), 1)))
        with np.errstate(over="ignore", invalid="ignore"):
            h = x
            for k, w in enumerate(net.weights):
                level = h @ w.T + (0.0 if net.biases is None else net.biases[k])
                h = np.maximum(level, 0.0)
            order = np.argsort((level > 0).sum(axis=1), kind="stable")
        cells: list[tuple[Cell, Pattern]] = []
        for row in order[:_STARTS]:
            if cells and self._late():
                break
            point = tuple(Fraction(float(v)) for v in x[row])
            if self.place is not None and not self.place.holds(point):
                continue
            levels = net.exact_pre_activations(point)
            if any(v == 0 for v in self._alive(levels)):
                continue  # on a wall
            pattern = tuple(tuple(i for i, v in enumerate(level) if v > 0) for level in levels)
            cells.append((self._cell(point, pattern), pattern))
        return cells

    def _alive(self, levels: Sequence[FractionVector]) -> list[Fraction]:
        """Pre-activations of units that are not off for all inputs."""
        first = zip(self.net.exact_weights[0], levels[0], strict=True)
        return [*(v for row, v in first if any(row)), *(v for level in levels[1:] for v in level)]

    def _cell(self, point: FractionVector, pattern: Pattern) -> Cell:
        rows = self._first()
        for k, active in enumerate(pattern[:-1]):
            rows = self._next(k, rows, active)
        return cell_at(rows, point, pattern[-1])

    def _pair(self, cell: Cell, high: float) -> tuple[Witness | None, float, Fraction]:
        """The pair that shows kappa_hi, kappa_hi, and the rational of which it is the rounded root."""
        net, place = self.net, self.place
        if high == 0.0:
            collision = collision_at(net, cell.point)
            return (None if collision is None else self._within(collision[0])), 0.0, Fraction(0)

        sizes = [float(np.abs(w).max()) for w in net.weights]
        others = [float(np.abs(b).max()) for b in net.biases or ()]
        others += [] if place is None else [abs(place.low), abs(place.high)]
        point = cell.point
        if place is None and self.biases is None:  # a direction
            size = power_of_two(point)
            point = tuple(t / size for t in point)
        far = max(abs(t) for t in point)
        if min(sizes) <= 2.0**-_RANGE or max(sizes + others) >= 2.0**_RANGE or far >= 2.0**_RANGE:
            return None, high, cell.square  # squares of floats would leave their range

        self._enter("closest pairs", 1.0)

        def holds(x: FractionVector) -> bool:
            return place is None or place.holds(x)

        bounds = None if place is None else (place.low, place.high)
        x = np.array([float(t) for t in point])
        v = np.array([float(t) for t in cell.direction])
        rng = np.random.default_rng(0)
        near = [
            (x + 0.3 * np.linalg.norm(x) * rng.standard_normal(net.n), rng.standard_normal(net.n)) for _ in range(8)
        ]
        found = closest_pair(net, [(x, v), *near], holds, bounds, self._late)
        if found is None:
            return None, high, cell.square
        ratio, one, two = found
        value = root_above(ratio)
        return (Witness(one, two), value, ratio) if value < high else (None, high, cell.square)

    def _within(self, pair: Witness) -> Witness | None:
        """The collision, moved into the domain along its segment, on which all outputs are equal."""
        x, y = pair.x, pair.x_prime
        for _ in range(2_200):  # floats have about as many powers of two
            if self.place is None or self.place.holds(y):
                shorter = Witness(x, y)
                return shorter if shorter.collides(self.net) else None
            y = tuple((a + b) / 2 for a, b in zip(x, y, strict=True))
        return None


def _squared(bound: float) -> Fraction:
    """The square of a lower bound; 0 for one that says that no region was reached."""
    return Fraction(bound) ** 2 if math.isfinite(bound) else Fraction(0)


def _below(factors: Sequence[float]) -> float:
    """The product of floats, rounded down; floats on the way could leave their range."""
    return float_below(math.prod(map(Fraction, factors), start=Fraction(1)))


def _into(net: Network, found: Stability, place: Domain) -> Stability:
    """The same answer with its points scaled into a domain around 0; the network is homogeneous."""

    def inside(points: Sequence[FractionVector]) -> Fraction:
        factor = Fraction(1)
        while not all(place.holds(tuple(factor * v for v in x)) for x in points):
            factor /= 2
        return factor

    x = found.x
    if x is not None:
        f = inside([x])
        x = tuple(f * v for v in x)
    pair = found.pair
    if pair is not None:
        f = inside([pair.x, pair.x_prime])
        pair = Witness(tuple(f * v for v in pair.x), tuple(f * v for v in pair.x_prime))
    return replace(found, x=x, pair=pair)

"""By how much a layer is injective, or fails to be: the margin, enclosed between proved bounds.

For rows a_i and a direction u let ρ(u) be the largest t such that the rows with `a_i·u >= t` have rank n (in general
position: the n-th largest of `a_i·u`). The margin of the layer is

    κ* = min ρ(u)  over |u| = 1,

-∞ where the rows do not have rank n together. If two inputs have equal outputs, the same rows are active at both and
agree on them; so an input is told from all others as soon as its active rows have rank n, and if even the rows that
are not negative have not, then a neighbour has the same output. Scaling x by r scales a_i·x, whence for a bias -t on
all units, κ* ≠ 0:

* κ* < 0: `x ↦ ReLU(Ax + β)` is injective on |x| < R iff `β >= -κ* R`.
* κ* > 0: `x ↦ ReLU(Ax)` is injective, and `x ↦ ReLU(Ax - t)`, t > 0, tells all x with |x| > R iff `t <= κ* R`.

With biases b, and on a ball |x| <= R, the margin is the least ρ of the rows' values `a_i·x + b_i` there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from mcinj.certify.rational import kernel, rank
from mcinj.decide.bounded.domain import Domain
from mcinj.decide.budget import limit_of
from mcinj.decide.check import as_network, check
from mcinj.decide.verdict import Outcome
from mcinj.decide.watch import Allowance, attended, time_limit_of
from mcinj.errors import InputError
from mcinj.networks import Network
from mcinj.networks.network import FractionMatrix, FractionVector
from mcinj.networks.traced import accepts_modules
from mcinj.quantify.margin_search import MarginSearch
from mcinj.quantify.margin_value import Value
from mcinj.quantify.opposite_pairs import spanned_by_opposites
from mcinj.quantify.roots import float_below

# Tolerances of the passes after a fine one that did not end: each leaves a proved bound.
_COARSE = (0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3)

LARGEST = Fraction(10) ** 301  # entries beyond this could have lengths beyond float64


@dataclass(frozen=True)
class Margin:
    """What `margin` found: `lo <= κ* <= hi`, both proved.

    Attributes
    ----------
    lo, hi
        The bounds, rounded down and up, in units of a pre-activation per unit of input length; -inf, both, where the
        rows do not have rank n. On a ball: in units of a pre-activation.
    x
        Where hi is attained, exact (n,): a direction, of any length (`ρ(x) <= hi |x|` exactly); on a ball a point of
        it. None: the rows do not have rank n (then every direction is one).
    above
        Rows (from 0) that are above the margin at x: their rank is below n.
    scale
        No margin of these rows is larger in size; `tolerance` is a share of it.
    radius
        Of the ball, None: all directions.
    injective
        Whether the layer is injective, on the (open) ball if there is one; None where the bounds leave it open.
    complete
        Whether lo is as near to hi as was asked for. Otherwise a budget ended the search, or rounding did.
    nodes, seconds
        Cost. Nodes do not depend on the machine's speed.
    """

    lo: float
    hi: float
    x: FractionVector | None
    above: tuple[int, ...]
    scale: float
    radius: float | None
    injective: bool | None
    complete: bool
    nodes: int
    seconds: float

    @property
    def meaning(self) -> str:
        """What the numbers say about biases, in one line."""
        if self.hi == -math.inf:
            return "the rows do not have full column rank: no bias makes the layer injective anywhere"
        if self.radius is not None:
            where = f"|x| < {self.radius:.9g}"
            if self.hi < 0:
                return (
                    f"not injective on {where}; the least common bias to add that makes it so lies between "
                    f"{-self.hi:.9g} and {-self.lo:.9g}"
                )
            if self.lo > 0:
                return (
                    f"injective on {where}; the largest common bias that it can lose lies between {self.lo:.9g} and "
                    f"{self.hi:.9g}"
                )
            return f"at the edge: a common bias of {abs(self.lo):.9g} more is enough to make it injective on {where}"
        if self.hi < 0:
            return (
                "not injective; the least common bias b for which x -> ReLU(Ax + b) is injective on |x| < 1 lies "
                f"between {-self.hi:.9g} and {-self.lo:.9g} (on |x| < R: R times that)"
            )
        if self.lo > 0:
            return (
                "injective; the largest common bias t that it can lose, x -> ReLU(Ax - t), and still tell all "
                f"|x| > 1 lies between {self.lo:.9g} and {self.hi:.9g} (|x| > R: R times that)"
            )
        known = {True: "injective", False: "not injective", None: "injective or not (see `mcinj check`)"}
        return f"{known[self.injective]}, at the edge: a common bias of {abs(self.lo):.9g} is enough on |x| < 1"

    def to_json(self) -> dict[str, Any]:
        """The object that `mcinj margin --json` prints; x is a list of `"p/q"`, null stands for -∞."""
        return {
            "lo": None if math.isinf(self.lo) else self.lo,
            "hi": None if math.isinf(self.hi) else self.hi,
            "x": None if self.x is None else [f"{v.numerator}/{v.denominator}" for v in self.x],
            "above": list(self.above),
            "scale": self.scale,
            "radius": self.radius,
            "injective": self.injective,
            "complete": self.complete,
            "nodes": self.nodes,
            "seconds": self.seconds,
            "meaning": self.meaning,
        }


@accepts_modules
def margin(
    layer: Network | Sequence[Any] | np.ndarray[Any, Any],
    *,
    domain: str | None = None,
    tolerance: float = 1e-6,
    node_budget: int | None = 1_000_000,
    time_limit: float | None = None,
) -> Margin:
    """Enclose the margin of one layer.

    Parameters
    ----------
    layer
        What `mcinj.check` takes, with one layer: a matrix `(m, n)`, a `Network`, or a torch module and an example
        input.
    domain
        `"ball:R"`: of the values `a_i·x + b_i` on |x| <= R, and the only way for a layer with biases. None: of
        directions.
    tolerance
        Width of the enclosure that is aimed at, as a share of the largest margin that the rows' lengths allow
        (`Margin.scale`), between 1e-9 and 0.5.
    node_budget, time_limit
        Most search nodes, most seconds of search (its compilation, once, does not count); None: no limit. What is
        proved by then is returned, with `complete` False.

    Raises
    ------
    InputError
        Several layers, biases without a ball, a box; a bad tolerance or limit; numbers beyond 1e301.

    Notes
    -----
    The margin's sign decides injectivity: positive, injective; negative, not. Margin 0 leaves it open (`[I; -I]` is
    injective with margin 0), so where the bounds are near 0 the sign is settled by `mcinj.check`, exactly.

    Examples
    --------
    >>> import mcinj
    >>> found = mcinj.margin([[[1, 0], [0, 1], [-1, -1]]])
    >>> round(found.lo, 4), round(found.hi, 4)  # the second largest of -1, -1, 2 at (-1, -1), over √2
    (-0.7071, -0.7071)
    >>> mcinj.margin([[[1, 0], [0, 1], [-1, 0], [0, -1]]]).hi
    0.0
    """
    net = as_network(layer)
    place = None if domain is None else Domain.parse(domain)
    if net.depth > 1:
        raise InputError(f"a margin is that of one layer; this network has {net.depth}: give one, network.layer(1)")
    if place is not None and place.shape != "ball":
        raise InputError(f"a margin is that of all directions or of a ball, ball:R; got {domain}")
    if place is None and net.has_biases:
        raise InputError(
            "this layer has biases: its margin is that on a ball, give ball:R as the domain (or its weights alone)"
        )
    if not 1e-9 <= tolerance <= 0.5:
        raise InputError(f"tolerance is a share of the largest margin, between 1e-9 and 0.5; got {tolerance!r}")
    limit, seconds = limit_of(node_budget), time_limit_of(time_limit)
    with attended() as watch:
        return _Task(net, place, tolerance, limit, Allowance(watch, seconds)).answer()


class _Task:
    """One question and its budget."""

    def __init__(
        self, net: Network, place: Domain | None, tolerance: float, budget: int, allowance: Allowance
    ) -> None:
        self.net, self.tolerance, self.budget = net, tolerance, budget
        self.radius = None if place is None else place.high
        self.started = time.perf_counter()
        self.allowance = allowance

    def answer(self) -> Margin:
        net = self.net
        length = Fraction(1) if self.radius is None else Fraction(self.radius)
        # Rows of zeros have no rank: they are never missed.
        units = [i for i, row in enumerate(net.exact_weights[0]) if any(row)]
        # The ball is the unit ball of x / R.
        rows: FractionMatrix = tuple(tuple(length * v for v in net.exact_weights[0][i]) for i in units)
        biases: FractionVector | None = None
        if self.radius is not None:
            given = net.exact_biases[0] if net.exact_biases is not None else (Fraction(0),) * net.widths[0]
            biases = tuple(given[i] for i in units)
        if rank(rows, net.n) < net.n:
            x = kernel(rows, net.n)[0] if self.radius is None else (Fraction(0),) * net.n
            seconds = time.perf_counter() - self.started
            return Margin(-math.inf, -math.inf, x, (), 0.0, self.radius, False, True, 0, seconds)
        top = max(abs(v) for row in (*rows, biases or ()) for v in row)
        if top > LARGEST:
            raise InputError(
                "weights (times the ball's radius) or biases beyond 1e301: margins would leave the range of float64; "
                "divide the layer by a power of two"
            )
        search = MarginSearch(rows, biases, lambda: self.allowance.over(0.2))
        injective: bool | None = None
        if self.radius is None and spanned_by_opposites(rows):
            search.low, injective = max(search.low, Fraction(0)), True  # one of two is active off the walls
        self._search(search)
        low, best, nodes = search.low, search.best, search.nodes
        if low < 0 <= best.level and self.radius is None:
            low, best, nodes, injective = self._signed(low, best, rows, nodes)
        high = best.high
        lo = min(float_below(low), high)
        if injective is None and (lo > 0 or high < 0):
            injective = lo > 0
        complete = Fraction(high) - low <= Fraction(self.tolerance) * search.scale * Fraction(1001, 1000)
        x = best.x if self.radius is None else tuple(length * v for v in best.x)
        return Margin(
            lo, high, x, tuple(units[i] for i in best.above), float(search.scale), self.radius, injective, complete,
            nodes, time.perf_counter() - self.started,
        )  # fmt: skip

    def _search(self, search: MarginSearch) -> None:
        """The fine search with half of the budget; where that is not enough, coarser ones with the rest."""
        self.allowance.watch.enter("least margin of all directions")
        half = (self.budget + 1) // 2
        if search.run(Fraction(self.tolerance) * search.scale, half, lambda: self.allowance.over(0.5)):
            return
        limit = self.budget
        for tolerance in _COARSE:
            if tolerance <= self.tolerance:
                break
            if not search.run(Fraction(tolerance) * search.scale, limit, lambda: self.allowance.over(1.0)):
                break

    def _signed(
        self, low: Fraction, best: Value, rows: FractionMatrix, nodes: int
    ) -> tuple[Fraction, Value, int, bool | None]:
        """Bounds on both sides of 0, cut there by an exact decision: injective is 0 or more, else 0 or less."""
        left = self.budget - nodes
        seconds = self.allowance.left  # one look, for `check` takes no limit of 0
        if left <= 0 or (seconds is not None and seconds <= 0):
            return low, best, nodes, None
        # Without a premise: no count may stand for a rank.
        verdict = check(self.net.with_premise(None), node_budget=left, time_limit=seconds)
        nodes += verdict.nodes
        if verdict.verdict is Outcome.UNKNOWN:
            return low, best, nodes, None
        injective = verdict.verdict is Outcome.INJECTIVE
        if injective:
            low = max(low, Fraction(0))
        elif verdict.witness is not None:
            # The active rows of a collision do not have rank n: its margin is 0 or less.
            points = [x for x in (verdict.witness.x, verdict.witness.x_prime) if any(x)]
            best = min([best, *(Value.at(rows, None, x) for x in points)], key=lambda value: value.key)
        return low, best, nodes, injective

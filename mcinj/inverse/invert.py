"""`invert`: x back from f(x), exactly, with the proof of whether it is the only one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from mcinj.decide.bounded.domain import Domain
from mcinj.decide.budget import limit_of
from mcinj.decide.check import as_network
from mcinj.decide.watch import time_limit_of
from mcinj.errors import InputError
from mcinj.inverse.fit import LeastSquares, fitted
from mcinj.inverse.layers import activated, forward, signs_of, slope_of
from mcinj.inverse.search import Piece, Search, peeled
from mcinj.networks import Network
from mcinj.networks.network import FractionVector
from mcinj.networks.traced import accepts_modules


@dataclass(frozen=True)
class Inversion:
    """All inputs with a given output, as far as they were searched.

    Attributes
    ----------
    x
        An input with `f(x) = y` exactly, checked by an exact forward pass; None if none was found.
    unique
        True: proved that no other input gives y. False: another one does. None: there is no x, or the search ended
        before this was known.
    pieces
        The solution set as disjoint polyhedra (`mcinj.inverse.search.Piece`), one per activation pattern.
    complete
        Whether these are all: the set is their union. If not, the node budget or the limit of pieces was reached.
    pattern
        Signs (-1, 0, 1) of the pre-activations of every layer at x; None without x.
    other
        A second input with the same output, if one was found.
    nodes, seconds
        Cost; nodes are machine-independent.
    fit
        With `noisy`: the least-squares answer (`mcinj.inverse.fit.LeastSquares`). Then `x` and `pattern` are its,
        `unique` says whether x is the only minimiser of its region, `complete` whether x is proved to be a global
        minimum (otherwise it is known to be one of its region only), and there are no pieces.
    """

    x: FractionVector | None
    unique: bool | None
    pieces: tuple[Piece, ...]
    complete: bool
    pattern: tuple[tuple[int, ...], ...] | None
    other: FractionVector | None
    nodes: int
    seconds: float
    fit: LeastSquares | None = None

    @property
    def residual(self) -> tuple[float, float] | None:
        """Floats below and above |f(x) - y|: 0 where x is exact; None without x."""
        if self.fit is not None:
            return self.fit.residual
        return None if self.x is None else (0.0, 0.0)

    @property
    def impossible(self) -> bool:
        """Whether it is proved that no input (of the domain) gives y."""
        return self.complete and not self.pieces and self.fit is None

    def to_json(self) -> dict[str, Any]:
        """The object that `mcinj invert --json` prints; rationals are strings."""
        return {
            "x": None if self.x is None else [str(v) for v in self.x],
            "unique": self.unique,
            "impossible": self.impossible,
            "complete": self.complete,
            "residual": None if self.residual is None else list(self.residual),
            "other": None if self.other is None else [str(v) for v in self.other],
            "pattern": None if self.pattern is None else [list(p) for p in self.pattern],
            "pieces": [piece.to_json() for piece in self.pieces],
            "nodes": self.nodes,
            "seconds": self.seconds,
            "fit": None if self.fit is None else self.fit.to_json(),
        }


@accepts_modules
def invert(
    network: Network | Sequence[Any] | np.ndarray[Any, Any],
    y: Sequence[Any] | np.ndarray[Any, Any],
    *,
    domain: str | None = None,
    slope: float = 0.0,
    noisy: bool = False,
    max_pieces: int = 100,
    node_budget: int | None = 100_000,
    time_limit: float | None = None,
) -> Inversion:
    """All inputs x with f(x) = y, exactly: one of them, whether it is the only one, and the whole set.

    Parameters
    ----------
    network
        As in `mcinj.check`: a Network, a list of matrices, one matrix, or `invert(module, example_input, y)`.
    y
        The output, `m_l` numbers: floats (each is the rational that it holds), integers or `Fraction`s. For a network
        whose last layer is `[W; -W]` (a linear last layer, `Network.with_linear_last_layer`) also the linear output
        itself, half as many numbers.
    domain
        `box:LOW,HIGH` or `ball:R`: only inputs inside (both are open).
    slope
        0 for ReLU; otherwise the slope of leaky ReLUs, 0 < slope < 1.
    noisy
        y is no exact output: find x with the least `|f(x) - y|²` instead (`Inversion.fit`). Domains are closed then.
        For a linear last layer and a linear output the distance is that of the linear outputs.
    max_pieces, node_budget, time_limit
        The search ends after this many pieces, nodes or seconds; `complete` is False then.

    Raises
    ------
    InputError
        A bad network, an output of another length, nan or inf, a bad domain, slope or limit.

    Notes
    -----
    A forward pass in floating point rounds: with more positive outputs than inputs its result is, as a rule, no output
    of the network at all, and that is what is proved then. Exact outputs come from `Network.exact_forward`.

    Examples
    --------
    >>> import mcinj
    >>> net = mcinj.Network([[[1, 0], [0, 1], [-1, -1]]])
    >>> found = mcinj.invert(net, [2, 0, 0])
    >>> found.unique, found.pieces[0].dimension, found.pieces[0].bounded
    (False, 1, True)
    >>> found = mcinj.invert(net, [2, 3, 0])
    >>> [str(v) for v in found.x], found.unique
    (['2', '3'], True)
    >>> mcinj.invert(net, [2, 3, 1]).impossible
    True
    >>> found = mcinj.invert(net, [2, 3, 1], noisy=True)
    >>> [str(v) for v in found.x], str(found.fit.squared), found.fit.proved
    (['2', '3'], '1', True)

    The method: docs/invert.md.
    """
    net = as_network(network)
    if isinstance(max_pieces, bool) or not isinstance(max_pieces, int) or max_pieces < 1:
        raise InputError(f"max_pieces must be a whole number >= 1, got {max_pieces!r}")
    limit = limit_of(node_budget)
    place = None if domain is None else Domain.parse(domain)
    leak = slope_of(slope)
    seconds = time_limit_of(time_limit)
    started = time.perf_counter()
    deadline = None if seconds is None else started + seconds
    if noisy:
        return _noisy(net, _numbers(y), place, leak, limit, deadline)
    output = _output(net, _numbers(y), leak)
    pieces: list[Piece] = []
    nodes, complete = 0, True
    known = None if not leak and any(v < 0 for v in output) else peeled(net, output, leak)
    if known is not None:
        search = Search(*known, place, limit, leak, deadline)
        for piece in search.pieces():
            if len(pieces) == max_pieces:
                search.complete = False
                break
            pieces.append(piece)
        nodes, complete = search.nodes, search.complete
    return _answer(net, output, leak, pieces, complete, nodes, started)


def _answer(
    net: Network, output: FractionVector, slope: Fraction, pieces: list[Piece], complete: bool, nodes: int,
    started: float,
) -> Inversion:  # fmt: skip
    x = pieces[0].point if pieces else None
    other = None
    if len(pieces) > 1:
        other = pieces[1].point
    elif pieces and pieces[0].directions:
        other = _beside(pieces[0])
    for found in (x, other):
        if found is not None and forward(net, found, slope) != output:
            raise RuntimeError("an exact preimage failed its check; please report this network")
    if x is not None and x == other:
        raise RuntimeError("two exact preimages are one; please report this network")
    unique = False if other is not None else (True if x is not None and complete else None)
    pattern = None if x is None else signs_of(net, x, slope)
    return Inversion(x, unique, tuple(pieces), complete, pattern, other, nodes, time.perf_counter() - started)


def _beside(piece: Piece) -> FractionVector:
    """A second point of a piece of positive dimension."""
    step = Fraction(1)
    while True:
        x = tuple(a + step * b for a, b in zip(piece.point, piece.directions[0], strict=True))
        if piece.holds(x):
            return x
        step /= 2  # the point is in the relative interior, so this ends


def _noisy(
    net: Network, y: list[Fraction], domain: Domain | None, slope: Fraction, limit: int, deadline: float | None
) -> Inversion:
    linear = 2 * len(y) == net.widths[-1] and _both_signs(net)
    if not linear and len(y) != net.widths[-1]:
        raise _wrong_length(net, y)
    found = fitted(_one_sign(net) if linear else net, tuple(y), domain, slope, limit, deadline, linear)
    return Inversion(
        found.x, found.unique, (), found.proved, signs_of(net, found.x, slope), None, found.nodes, found.seconds, found
    )


def _one_sign(net: Network) -> Network:
    """The network with the first half of its last layer."""
    half = net.widths[-1] // 2
    weights = [*net.exact_weights[:-1], net.exact_weights[-1][:half]]
    biases = net.exact_biases
    return Network(weights, None if biases is None else [*biases[:-1], biases[-1][:half]])


def _output(net: Network, y: list[Fraction], slope: Fraction) -> FractionVector:
    """The output, both signs of it for a linear last layer."""
    if len(y) == net.widths[-1]:
        return tuple(y)
    if 2 * len(y) == net.widths[-1] and _both_signs(net):
        return activated([s * v for s in (1, -1) for v in y], slope)
    raise _wrong_length(net, y)


def _wrong_length(net: Network, y: list[Fraction]) -> InputError:
    return InputError(f"y has {len(y)} entries, the network has {net.widths[-1]} outputs")


def _numbers(y: Any) -> list[Fraction]:
    """A vector of rationals."""
    if isinstance(y, str):
        raise InputError("y is a string; give a list or an array of numbers")
    try:
        values = list(np.asarray(y, dtype=object).tolist())
    except (TypeError, ValueError):
        raise InputError("y is not a vector; give a list or a one-dimensional array of numbers") from None
    result = []
    for i, v in enumerate(values):
        if isinstance(v, bool) or not isinstance(v, (int, float, Fraction, np.integer, np.floating)):
            raise InputError(f"y[{i}] is no number but a {type(v).__name__}; give floats, integers or Fractions")
        if isinstance(v, (float, np.floating)) and not np.isfinite(v):
            raise InputError(f"y[{i}] is {v}; every entry must be finite")
        result.append(Fraction(int(v)) if isinstance(v, (int, np.integer)) else _rational(v))
    return result


def _rational(value: Any) -> Fraction:
    """A float of any width, or a `Fraction`, without rounding."""
    return value if isinstance(value, Fraction) else Fraction(*value.as_integer_ratio())


def _both_signs(net: Network) -> bool:
    """Whether the last layer is `[W; -W]` with biases `[b; -b]`."""
    w = net.exact_weights[-1]
    half = len(w) // 2
    rows = [(*r, *(() if net.exact_biases is None else (net.exact_biases[-1][i],))) for i, r in enumerate(w)]
    return all(tuple(-v for v in a) == b for a, b in zip(rows[:half], rows[half:], strict=True))

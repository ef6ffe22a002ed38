"""Injectivity with a lower Lipschitz bound, by pairs of boxes: for few inputs, any weights, any depth and width.

All pairs (x, x') of a domain are covered by pairs of boxes; each is closed by a proved lower bound of
|f(x) - f(x')| / |x - x'| (`mcinj.decide.bounded.box_pairs`) or split. The number of units hardly matters, that of
inputs does: pairs of boxes have twice as many dimensions.

The whole space: with x = u / t and the biases multiplied by t the network is homogeneous, g(u, t) = t f(u / t). A pair
x, x' is scaled until the longest of u, u' and t is 1 in the maximum norm. So either t = 1 and u, u' lie in the cube
[-1, 1]^n, or u lies on a face of the cube (the roles of x and x' are the same), u' in the cube and 0 <= t <= 1.
Differences and distances of outputs and inputs have the same factor t.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from mcinj.decide.bounded.box_forms import Boxes, Flags, Floats, Weights, forms
from mcinj.decide.bounded.box_pairs import by_secants, by_separation
from mcinj.networks import Network

_BATCH = 128  # pairs that are looked at together
_MUCH = 1.5  # a box is split alone if it moves the outputs so many times more than the other one
_DEEP = 2.0**-30  # boxes smaller than this, relative to the first one: it leads nowhere


@dataclass(frozen=True)
class PairBounds:
    """What pairs of boxes say.

    Attributes
    ----------
    kappa
        Lower bound of the lower Lipschitz constant on the domain; 0 where some pairs have none yet.
    closed
        Whether every pair is closed with a bound above the target, so that the network is injective on the domain.
    share
        Share of all pairs of inputs, by volume, that is closed.
    nodes
        Pairs of boxes that were looked at.
    """

    kappa: float
    closed: bool
    share: float
    nodes: int


@dataclass(frozen=True)
class _Pairs:
    """N pairs of boxes with one t; `share` of the whole, `bound` proved so far."""

    a: Floats
    ra: Floats
    b: Floats
    rb: Floats
    t: Floats
    spread: Floats
    share: Floats
    bound: Floats

    def __len__(self) -> int:
        return len(self.a)

    def take(self, index: Any) -> _Pairs:
        return _Pairs(*(getattr(self, f.name)[index] for f in fields(self)))

    @staticmethod
    def join(parts: list[_Pairs]) -> _Pairs:
        return _Pairs(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(_Pairs)))

    @property
    def same(self) -> Flags:
        """Whether the two boxes are one, so that only half of its pairs matter."""
        return np.asarray(((self.a == self.b) & (self.ra == self.rb)).all(axis=1))


class BoxPairs:
    """The pairs of a network on a box, or on all of R^n.

    Parameters
    ----------
    low, high
        The box's limits, the same for all inputs; None: the whole space.
    radius
        Only inputs with |x| < radius, a ball in the box: pairs with a box outside of it are left out.
    outputs
        Use at most about so many outputs: fewer cost less, and bounds stay valid. None: all.
    keep
        Keep closed pairs, so that `run` can go on with a larger target.
    """

    def __init__(
        self, network: Network, low: float | None = None, high: float | None = None, *, radius: float | None = None,
        outputs: int | None = None, keep: bool = False,
    ) -> None:  # fmt: skip
        everywhere = low is None or high is None
        self._unit = _unit(network) if everywhere and network.has_biases else 1.0
        size = 1.0 if everywhere else max(abs(float(low or 0.0)), abs(float(high or 0.0)))
        layers = Weights.of(network, self._unit, size)
        if layers is not None and outputs is not None and network.widths[-1] >= 2 * outputs:
            layers = (*layers[:-1], layers[-1].every(network.widths[-1] // outputs))
        self._layers = layers  # None: weights of a size that floats do not work with
        self.nodes = 0
        self._open = _everywhere(network) if everywhere else _in_box(network.n, float(low or 0.0), float(high or 0.0))
        self._radius = radius
        self._keep = keep
        self._closed: list[_Pairs] = []
        self._least = np.inf  # of bounds of closed pairs that are not kept
        self._first = float(max(self._open.ra.max(), self._open.rb.max()))

    @property
    def open(self) -> int:
        """Pairs that wait."""
        return len(self._open)

    @property
    def share(self) -> float:
        """Share of all pairs that is closed."""
        return min(1.0, max(0.0, 1.0 - float(self._open.share.sum())))

    def run(self, target: float, limit: int, poll: Callable[[], None] = lambda: None) -> PairBounds:
        """Close all pairs with bounds above `target` (0: with any); at most about `limit` pairs are looked at.

        Pairs that were closed for a smaller target and kept are taken up again where their bound is too small.
        """
        scaled = target * self._unit
        low = [p.take(p.bound <= scaled) for p in self._closed]
        self._closed = [p.take(p.bound > scaled) for p in self._closed]
        self._open = _Pairs.join([self._open, *low])
        while len(self._open) and self.nodes < limit and self._layers is not None:
            poll()
            now, rest = self._open.take(slice(-_BATCH, None)), self._open.take(slice(None, -_BATCH))
            self.nodes += len(now)
            bound, influence = self._bounds(now)
            now = replace(now, bound=np.maximum(bound, now.bound))
            done = now.bound > scaled
            if self._keep:
                self._closed.append(now.take(done))
            else:
                self._least = min(self._least, float(now.bound[done].min(initial=np.inf)))
            stuck = now.take(~done)
            if len(stuck) and float(np.maximum(stuck.ra, stuck.rb).max(axis=1).min()) < _DEEP * self._first:
                self._open = _Pairs.join([rest, stuck])
                break
            parts = _split(stuck, influence.take(~done))
            self._open = _Pairs.join([rest, *(p.take(self._meets(p)) for p in parts)])
        return self._answer()

    def _meets(self, pairs: _Pairs) -> Flags:
        """Whether both boxes may meet the ball."""
        if self._radius is None:
            return np.ones(len(pairs), dtype=bool)
        nearest = [np.maximum(np.abs(c) - r, 0.0) for c, r in ((pairs.a, pairs.ra), (pairs.b, pairs.rb))]
        farther = np.maximum(*((v * v).sum(axis=1) for v in nearest))
        return np.asarray(farther <= self._radius**2 * (1.0 + 1e-12))

    def _answer(self) -> PairBounds:
        """What is known; pairs that wait may have a bound from before."""
        known = [*self._closed, self._open]
        least = min(self._least, *(float(p.bound.min(initial=np.inf)) for p in known))
        # Distances in x are `unit` times those in u.
        kappa = least / self._unit if np.isfinite(least) else 0.0
        return PairBounds(kappa, not len(self._open) and self._layers is not None, self.share, self.nodes)

    def _bounds(self, pairs: _Pairs) -> tuple[Floats, _Influence]:
        N = len(pairs)
        layers = self._layers
        assert layers is not None  # checked by the caller
        both = np.concatenate(
            [
                np.concatenate([pairs.a, pairs.b]), np.concatenate([pairs.ra, pairs.rb]),
                np.tile(np.stack([pairs.t, pairs.spread], axis=1), (2, 1)),
            ], axis=1,
        )  # fmt: skip
        unique, place = np.unique(both, axis=0, return_inverse=True)
        place = place.ravel()
        n = pairs.a.shape[1]
        boxes = Boxes(unique[:, :n].copy(), unique[:, n : 2 * n].copy(), unique[:, -2].copy(), unique[:, -1].copy())
        found = forms(layers, boxes)
        a, b = found.take(place[:N]), found.take(place[N:])
        A, B = boxes.take(place[:N]), boxes.take(place[N:])
        bound = by_separation(layers, A, B, a, b)
        left = np.flatnonzero(bound <= 0.0)
        if len(left):
            bound[left] = by_secants(layers, a.take(left), b.take(left))
        sizes = np.abs(found.J).sum(axis=1)
        weight = sizes[:, :n] * boxes.radius
        return bound, _Influence(weight[place[:N]], weight[place[N:]], sizes[place[:N], n] * pairs.spread)


@dataclass(frozen=True)
class _Influence:
    """How much each coordinate of the two boxes, and t, moves the outputs."""

    a: Floats
    b: Floats
    t: Floats

    def take(self, index: Any) -> _Influence:
        return _Influence(self.a[index], self.b[index], self.t[index])


def _unit(network: Network) -> float:
    """A power of two near the distance of the walls from 0: x is measured in it."""
    w, b = network.weights[0], network.biases
    assert b is not None
    with np.errstate(over="ignore"):  # a guess: rows and distances beyond the range of floats do not count
        norms = np.linalg.norm(w, axis=1)
        far = np.abs(b[0][norms > 0]) / norms[norms > 0]
    typical = float(np.median(far[far > 0])) if (far > 0).any() else 1.0
    return float(2.0 ** np.clip(np.round(np.log2(typical)) + 2.0, -60, 60))


def _in_box(n: int, low: float, high: float) -> _Pairs:
    center, radius = np.full((1, n), (low + high) / 2), np.full((1, n), (high - low) / 2)
    radius = _wider(center, radius)
    return _pairs(center, radius, center, radius, 1.0, 0.0, 1.0)


def _everywhere(network: Network) -> _Pairs:
    n = network.n
    parts = []
    cube, zero = np.ones((1, n)), np.zeros((1, n))
    if network.has_biases:
        parts.append(_pairs(zero, cube, zero, cube, 1.0, 0.0, 0.5))
    share = (0.5 if network.has_biases else 1.0) / (2 * n)
    for q in range(n):
        for sign in (-1.0, 1.0):
            center, radius = zero.copy(), cube.copy()
            center[0, q], radius[0, q] = sign, 0.0
            t, spread = (0.5, 0.5) if network.has_biases else (1.0, 0.0)
            parts.append(_pairs(center, radius, zero, cube, t, spread, share))
    return _Pairs.join(parts)


def _pairs(a: Floats, ra: Floats, b: Floats, rb: Floats, t: float, spread: float, share: float) -> _Pairs:
    one = np.ones(1)
    return _Pairs(a, ra, b, rb, t * one, spread * one, share * one, 0.0 * one)


def _wider(center: Floats, radius: Floats) -> Floats:
    """Radii with room for the rounding of center and radius; 0 stays 0."""
    return np.where(radius > 0.0, radius * (1.0 + 2.0**-50) + np.abs(center) * 2.0**-51, 0.0)


def _split(pairs: _Pairs, influence: _Influence) -> list[_Pairs]:
    """What moves the outputs most is halved: one box, both if they do about equally, or t."""
    if not len(pairs):
        return []
    one, two = influence.a.max(axis=1), influence.b.max(axis=1)
    in_t = influence.t > np.maximum(one, two)
    parts = []
    late = pairs.take(in_t)
    if len(late):
        half = late.spread / 2
        spread = half * (1.0 + 2.0**-50) + late.t * 2.0**-51
        parts += [replace(late, t=late.t + s * half, spread=spread, share=late.share / 2) for s in (-1.0, 1.0)]
    rest, force = pairs.take(~in_t), influence.take(~in_t)
    one, two, same = one[~in_t], two[~in_t], rest.same
    first, second = _halves(rest.a, rest.ra, force.a), _halves(rest.b, rest.rb, force.b)
    only_a, only_b = ~same & (one > _MUCH * two), ~same & (two > _MUCH * one)
    both = ~only_a & ~only_b
    for i in (0, 1):
        parts.append(replace(rest, a=first[i][0], ra=first[i][1], share=rest.share / 2).take(only_a))
        parts.append(replace(rest, b=second[i][0], rb=second[i][1], share=rest.share / 2).take(only_b))
        for j in (0, 1):
            part = replace(rest, a=first[i][0], ra=first[i][1], b=second[j][0], rb=second[j][1])
            part = replace(part, share=np.where(same & (i != j), rest.share / 2, rest.share / 4))
            parts.append(part.take(both & ~same if (i, j) == (1, 0) else both))
    return parts


def _halves(center: Floats, radius: Floats, force: Floats) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    q, rows = force.argmax(axis=1), np.arange(len(center))
    half = radius[rows, q] / 2
    down, up, smaller = center.copy(), center.copy(), radius.copy()
    down[rows, q] -= half
    up[rows, q] += half
    smaller[rows, q] = half
    smaller[rows, q] = _wider(up, smaller)[rows, q]
    smaller[rows, q] = np.maximum(smaller[rows, q], _wider(down, smaller)[rows, q])
    return (down, smaller), (up, smaller)

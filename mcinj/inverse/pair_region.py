"""Pairs of inputs with two given activation patterns and equal outputs: a polyhedron, in floats.

Over (x, x') in R^2n a network is affine on both patterns, so "same output" is linear, and the farthest pair is the
maximum of a convex function over a polyhedron. It is climbed by linear programs: maximise u·(x - x'), take the new
difference as u, repeat; every step makes the pair longer. Nothing here is a proof (`mcinj.inverse.pair_exact`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mcinj.decide.bounded.domain import Domain
from mcinj.inverse.polish import polished
from mcinj.networks import Network
from mcinj.networks.network import FloatArray

Bits = np.ndarray[Any, np.dtype[np.bool_]]

_CUTS = 40  # rounds of planes that touch a ball, per linear program
COARSE = 1e-3  # relative accuracy of a ball in linear programs; `polished` mends it
_CLOSE = 1e-9  # least relative gain of a step
_STEPS = 30
_NEAR = (16.0, 1e4)  # a center is looked for within so many units, or so many, where no domain bounds it
THIN = 1e-9  # a polyhedron without a ball of this radius (rows of unit length) counts as thin
_ZERO = 1e-7  # units with values below this, for rows of unit length, are on their wall


@dataclass(frozen=True)
class Patterns:
    """Which units are positive: `first` and `second` at x and x' in the hidden layers, `last` at both in the last."""

    first: tuple[Bits, ...]
    second: tuple[Bits, ...]
    last: Bits

    @property
    def key(self) -> bytes:
        """A value that tells patterns apart."""
        return b"".join(v.tobytes() for v in (*self.first, *self.second, self.last))

    def flipped(self, side: int, layer: int, unit: int) -> Patterns:
        """One unit changed: of a hidden layer at one of the inputs, of the last layer at both."""
        sides = [list(self.first), list(self.second)]
        last = self.last.copy()
        if layer == len(self.first):
            last[unit] = not last[unit]
        else:
            changed = sides[side][layer].copy()
            changed[unit] = not changed[unit]
            sides[side][layer] = changed
        return Patterns(tuple(sides[0]), tuple(sides[1]), last)


def affine_rows(network: Network, hidden: Sequence[Bits]) -> list[FloatArray]:
    """Pre-activations of every layer as rows over (x, 1), where these hidden units are positive."""
    rows: FloatArray = np.eye(network.n + 1)[: network.n]
    result = []
    for k, w in enumerate(network.weights):
        rows = w @ rows
        if network.biases is not None:
            rows[:, -1] += network.biases[k]
        result.append(rows)
        if k < len(hidden):
            rows = rows * hidden[k][:, None]
    return result


class PairRegion:
    """The polyhedron of one pair of patterns; `poll` is called between linear programs."""

    def __init__(self, network: Network, patterns: Patterns, domain: Domain | None, poll: Callable[[], None]) -> None:
        self.network, self.patterns, self.domain, self.poll = network, patterns, domain, poll
        n = network.n
        sides = [affine_rows(network, hidden) for hidden in (patterns.first, patterns.second)]
        rows, self.units = [], []
        for side, (layers, hidden) in enumerate(zip(sides, (patterns.first, patterns.second), strict=True)):
            for k, layer in enumerate(layers):
                on = patterns.last if k == len(hidden) else hidden[k]
                rows.append(_placed(np.where(on, 1.0, -1.0)[:, None] * layer, side, n))
                self.units += [(side, k, i) for i in range(len(on))]
        signed = np.vstack(rows)
        sizes = np.linalg.norm(signed[:, :-1], axis=1)
        self.constant = sizes <= 1e-14 * np.abs(signed).max(initial=1e-300)
        # A unit that does not depend on the inputs here holds, or shuts the region.
        self.empty = bool((signed[self.constant, -1] < -_ZERO).any())
        self.signed = signed / np.where(self.constant, 1.0, sizes)[:, None]
        walls = [self.signed[~self.constant]]
        if domain is not None:
            high = domain.high
            low = domain.low if domain.shape == "box" else -high
            eye, ones = np.eye(2 * n), np.ones((2 * n, 1))
            walls += [np.hstack([eye, -low * ones]), np.hstack([-eye, high * ones])]
        self.walls: FloatArray = np.vstack(walls)
        self.equations = _independent(
            _placed(sides[0][-1][patterns.last], 0, n) - _placed(sides[1][-1][patterns.last], 1, n)
        )
        self.cuts: list[FloatArray] = []

    @cached_property
    def line(self) -> FloatArray | None:
        """The direction of all differences x - x' in floats, (n,), where they are parallel; else None."""
        n = self.network.n
        # Both patterns one: the equations are of the form g·(x - x') = 0.
        same = self.patterns.first is self.patterns.second or all(
            (a == b).all() for a, b in zip(self.patterns.first, self.patterns.second, strict=True)
        )
        if not same or len(self.equations) != n - 1:
            return None
        return np.asarray(np.linalg.svd(self.equations[:, :n])[2][-1]) if n > 1 else np.ones(1)

    @cached_property
    def center(self) -> FloatArray | None:
        """A pair well inside, (2n,); None where the region is thin or empty."""
        if self.empty:
            return None
        n = self.network.n
        spare = np.append(np.zeros(2 * n), 1.0)
        for near in _NEAR if self.domain is None else (None,):
            found = self._solve(-spare, [(None, None) if near is None else (-near, near)] * (2 * n))
            if found is not None and not isinstance(found, str) and found[-1] >= THIN:
                return found[: 2 * n]
        return None

    def farthest(self, u: FloatArray) -> FloatArray | str | None:
        """A pair that is locally farthest apart, climbed to from the direction u; "unbounded"; None: no answer.

        On a ball it may lie outside by a share of `COARSE`.
        """
        n = self.network.n
        best, least = None, 0.0
        for _ in range(_STEPS):
            found = self._solve(-np.concatenate([u, -u]))
            if found is None or isinstance(found, str):
                return found if best is None else best
            step = found[:n] - found[n:]
            size = float(np.linalg.norm(step))
            if not size > least * (1.0 + _CLOSE):
                break
            best, least, u = found, size, step / size
        return best

    def recedes(self, u: FloatArray) -> bool:
        """Whether some direction (d, d') of the recession cone seems to have u·(d - d') > 0 (no domain)."""
        from scipy.optimize import linprog

        answer: Any = linprog(
            -np.concatenate([u, -u]), A_ub=-self.walls[:, :-1], b_ub=np.zeros(len(self.walls)),
            A_eq=self.equations[:, :-1], b_eq=np.zeros(len(self.equations)), bounds=(-1.0, 1.0), method="highs",
        )  # fmt: skip
        return answer.x is not None and float(answer.fun) < -1e-7

    def on_walls(self, v: FloatArray) -> list[tuple[int, int, int]]:
        """Units (side, layer, unit) that vanish at a pair; of the last layer those that vanish at both inputs."""
        values = self.signed @ np.append(v, 1.0)
        zero = {unit for unit, z, c in zip(self.units, values, self.constant, strict=True) if not c and abs(z) < _ZERO}
        depth = len(self.patterns.first)
        return [u for u in sorted(zero) if u[1] < depth or (u[0] == 0 and (1, u[1], u[2]) in zero)]

    def _solve(self, cost: FloatArray, bounds: Sequence[Any] = ()) -> FloatArray | str | None:
        """The linear program over the region, and the ball if there is one.

        With bounds of the pair's coordinates: over (x, x', t), where t is a distance to all walls.
        """
        from scipy.optimize import linprog

        room = bool(bounds)
        ball = self.domain is not None and self.domain.shape == "ball"
        v: FloatArray | None = None
        for _ in range(_CUTS if ball else 1):
            self.poll()
            walls = np.vstack([self.walls, *self.cuts]) if self.cuts else self.walls
            lhs, equal = -walls[:, :-1], self.equations[:, :-1]
            if room:
                lhs = np.hstack([lhs, np.ones((len(lhs), 1))])
                equal = np.hstack([equal, np.zeros((len(equal), 1))])
            answer: Any = linprog(
                cost, A_ub=lhs, b_ub=walls[:, -1], A_eq=equal, b_eq=-self.equations[:, -1],
                bounds=[*bounds, (None, 1.0)] if room else (None, None), method="highs",
            )  # fmt: skip
            if answer.status == 3:
                return "unbounded"
            if answer.status != 0 or answer.x is None or not np.isfinite(answer.x).all():
                return None
            v = np.asarray(answer.x)
            if not ball or not self._cut(v, float(v[-1]) if room else 0.0):
                return v
        return v

    def polished(self, v: FloatArray) -> FloatArray | None:
        """The farthest pair near v that keeps to the ball itself; v where there is no ball; None: no answer."""
        if self.domain is None or self.domain.shape != "ball":
            return v
        return polished(v, self.walls, self.equations, self.domain.high, self.poll)

    def _cut(self, v: FloatArray, room: float) -> bool:
        """Planes that touch the ball where x and x' leave it; whether there were any."""
        assert self.domain is not None
        n, radius = self.network.n, self.domain.high
        new = []
        for side in (0, 1):
            x = v[side * n : (side + 1) * n]
            size = float(np.linalg.norm(x))
            if size + max(room, 0.0) > radius * (1.0 + COARSE):
                new.append(_placed(np.append(-x / size, radius)[None], side, n))
        self.cuts += new
        return bool(new)


def _placed(rows: FloatArray, side: int, n: int) -> FloatArray:
    """Rows over (x, 1) or (x', 1) as rows over (x, x', 1)."""
    result = np.zeros((len(rows), 2 * n + 1))
    result[:, side * n : (side + 1) * n] = rows[:, :-1]
    result[:, -1] = rows[:, -1]
    return result


def _independent(rows: FloatArray) -> FloatArray:
    """As many equations as they have rank, in floats: orthonormal ones with the same solutions."""
    if not len(rows):
        return rows
    size = float(np.abs(rows).max())
    if size == 0.0:
        return rows[:0]
    _, singular, vt = np.linalg.svd(rows[:, :-1] / size, full_matrices=False)
    kept = singular > 1e-11 * max(1.0, float(singular[0]))
    left, _, _ = np.linalg.svd(rows[:, :-1] / size, full_matrices=False)
    constants = (left[:, kept].T @ (rows[:, -1] / size)) / singular[kept]
    return np.hstack([vt[kept], constants[:, None]])

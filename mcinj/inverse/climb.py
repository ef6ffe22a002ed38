"""The search behind `farthest`: from region to region, towards inputs with equal outputs that are farther apart.

Starts are the regions of sampled inputs where the Jacobian loses rank, those first in which a walk along the kernel, in
both directions to the walls, is longest. On each the distance is climbed (`mcinj.inverse.pair_region`); then patterns
with one unit changed, on whose wall the best pair lies, are tried, as long as that helps. The
best pairs are made exact.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from mcinj.certify.witness import Witness
from mcinj.decide.bounded.domain import Domain
from mcinj.decide.deep.scaling import in_units_of, power_of_two
from mcinj.decide.quick.samples import towards_fewer
from mcinj.inverse.pair_exact import ExactPairs, ray_holds
from mcinj.inverse.pair_region import PairRegion, Patterns, affine_rows
from mcinj.networks import Network, Seed
from mcinj.networks.network import FloatArray, FractionVector
from mcinj.quantify.roots import root_above

# Random directions on a region that the search starts from, and on one that it moves to (besides the one at hand).
_DIRECTIONS, _MORE = 16, 4
_NEIGHBOURS = 12  # patterns next to the best pair that are tried
_GAIN = 1e-6  # least relative gain for which the search moves on
_POLISHED = 3  # pairs of a region that are tried on a ball, best first, until one is found
_MOVED = 256  # samples that are moved towards fewer active units
_FAR = 2**10  # no sample of a network with biases lies farther out, in its own units


class _TimeUp(Exception):
    """The deadline is over."""


class Climb:
    """One search. `best` is the farthest exact pair, `ray` directions in which pairs from it on part without bound."""

    def __init__(self, network: Network, domain: Domain | None, seed: Seed, deadline: float | None) -> None:
        self.unit = _unit_of(network, domain)
        self.given, self.inner = network, in_units_of(network, self.unit)
        self._ends = (Fraction(0), Fraction(0))  # of the domain; its floats may have lost digits
        self.domain = domain
        if domain is not None:
            self._ends = low, high = Fraction(domain.low) / self.unit, Fraction(domain.high) / self.unit
            self.domain = Domain(domain.shape, float(low), float(high))
        self.rng, self.deadline = seed.generator(), deadline
        self.exact = ExactPairs(self.inner)
        self.best: Witness | None = None
        self.ray: Witness | None = None
        self.regions = 0
        self._squared = Fraction(0)
        self._seen: set[bytes] = set()

    def run(self, starts: Sequence[Patterns]) -> None:
        """Climb from these regions, one after the other."""
        try:
            for patterns in starts:
                if self.ray is not None:
                    return
                self._climb(patterns)
        except _TimeUp:
            return

    @property
    def is_ball(self) -> bool:
        """Whether the inputs lie in a ball."""
        return self.domain is not None and self.domain.shape == "ball"

    def reaches(self, witness: Witness) -> bool:
        """Whether `start_from` may be given this collision: it lies in the closed domain, or is scaled into it."""
        scaled = self.is_ball and not self.given.has_biases
        return scaled or all(self.holds(tuple(v / self.unit for v in x)) for x in (witness.x, witness.x_prime))

    def start_from(self, witness: Witness) -> None:
        """Climb from a collision of the network in the domain, or, without biases, one that is scaled into the ball."""
        scale = 1 / self.unit
        if self.is_ball and not self.given.has_biases:
            largest = max(sum((v * v for v in x), Fraction(0)) for x in (witness.x, witness.x_prime))
            scale = self._ends[1] / Fraction(root_above(largest))
        inside = Witness(*(tuple(scale * v for v in x) for x in (witness.x, witness.x_prime)))
        self._take(inside)
        sides = [self.inner.exact_pattern(x) for x in (inside.x, inside.x_prime)]
        first, second = ([np.asarray(p) > 0 for p in side] for side in sides)
        self.run([Patterns(tuple(first[:-1]), tuple(second[:-1]), first[-1])])

    def poll(self) -> None:
        """Raise past the deadline."""
        if self.is_late:
            raise _TimeUp

    def holds(self, x: FractionVector) -> bool:
        """Whether an input (in the search's units) lies in the closed domain."""
        if self.domain is None:
            return True
        low, high = self._ends
        if self.domain.shape == "ball":
            return sum((v * v for v in x), Fraction(0)) <= high * high
        return all(low <= v <= high for v in x)

    @property
    def is_late(self) -> bool:
        """Whether the deadline is over."""
        return self.deadline is not None and time.perf_counter() > self.deadline

    def _climb(self, patterns: Patterns) -> None:
        u = None
        length = 0.0
        while patterns.key not in self._seen:
            self._seen.add(patterns.key)
            found = self._of_region(patterns, u)
            if found is None:
                return
            size, v, region = found
            if size > length:
                self._prove(region, v)
                length = size
            n = self.inner.n
            u = (v[:n] - v[n:]) / size
            walls = region.on_walls(v)
            self.rng.shuffle(walls)
            best = size * (1.0 + _GAIN)
            move = None
            for wall in walls[:_NEIGHBOURS]:
                other = patterns.flipped(*wall)
                if other.key in self._seen:
                    continue
                there = PairRegion(self.inner, other, self.domain, self.poll)
                end = there.farthest(u) if there.center is not None else None
                if isinstance(end, str):
                    move = other
                    break
                if end is not None and float(np.linalg.norm(end[:n] - end[n:])) > best:
                    end = there.polished(end)  # on a ball the first answer may be too long
                if end is not None and float(np.linalg.norm(end[:n] - end[n:])) > best:
                    best, move = float(np.linalg.norm(end[:n] - end[n:])), other
            if move is None or self.ray is not None:
                return
            patterns = move

    def _of_region(self, patterns: Patterns, u: FloatArray | None) -> tuple[float, FloatArray, PairRegion] | None:
        """The farthest pair of a region from several directions, its distance and the region; None: thin or empty."""
        n = self.inner.n
        region = PairRegion(self.inner, patterns, self.domain, self.poll)
        if region.center is None:
            return None
        self.regions += 1
        line = region.line
        if line is not None:
            tries = [line]
        else:
            count = _DIRECTIONS if u is None else _MORE
            tries = [self.rng.standard_normal(n) for _ in range(count)] + ([] if u is None else [u])
        ends: list[tuple[float, FloatArray]] = []
        for t in tries:
            v = region.farthest(t / np.linalg.norm(t))
            if isinstance(v, str):
                self._recede(region)
                return None
            if v is not None:
                ends.append((float(np.linalg.norm(v[:n] - v[n:])), v))
        for _, v in sorted(ends, key=lambda end: -end[0])[:_POLISHED]:
            fine = region.polished(v)
            size = 0.0 if fine is None else float(np.linalg.norm(fine[:n] - fine[n:]))
            if fine is not None and size > 0.0:
                return size, fine, region
        return None

    def _prove(self, region: PairRegion, v: FloatArray) -> None:
        assert region.center is not None
        pair = self.exact.pair(region.patterns, v, region.center, self.holds)
        if pair is not None:
            self._take(pair)

    def _take(self, pair: Witness) -> None:
        squared = sum(((a - b) ** 2 for a, b in zip(pair.x, pair.x_prime, strict=True)), Fraction(0))
        if squared > self._squared:
            self._squared = squared
            self.best = Witness(*(tuple(v * self.unit for v in x) for x in (pair.x, pair.x_prime)))

    def _recede(self, region: PairRegion) -> None:
        """A pair of a region without bound, and a direction in which such pairs part, proved."""
        n = self.inner.n
        assert region.center is not None
        pair = self.exact.pair(region.patterns, region.center, region.center, self.holds)
        for u in (s * e for e in np.eye(n) for s in (1.0, -1.0)):
            self.poll()
            if pair is None or not region.recedes(u):
                continue
            ray = self.exact.ray(region.patterns, [Fraction(int(t)) for t in u])
            if ray is not None and ray_holds(self.inner, pair, ray):
                # A pair some way along the ray: its distance can be seen.
                sides = ((pair.x, ray.x), (pair.x_prime, ray.x_prime))
                moved = [tuple(a + d for a, d in zip(*side, strict=True)) for side in sides]
                self._squared = Fraction(0)
                self._take(Witness(*moved))
                self.ray = ray
                return


def sampled_patterns(climb: Climb, samples: int) -> list[Patterns]:
    """Patterns of sampled inputs where the Jacobian has rank below n, in floats, those with the longest walks first.

    Where no sample is of the kind, inputs are moved towards fewer active units, layer by layer.
    """
    found: dict[bytes, tuple[float, Patterns]] = {}
    points = _draw(climb, samples)
    _look(climb, points, found)
    for layer in range(1, climb.inner.depth + 1):
        if found or climb.is_late:
            break
        _look(climb, towards_fewer(climb.inner, layer, points[:_MOVED], climb.domain, climb.rng)[0], found)
    return [patterns for _, patterns in sorted(found.values(), key=lambda item: -item[0])]


def _look(climb: Climb, points: FloatArray, found: dict[bytes, tuple[float, Patterns]]) -> None:
    """Add the patterns of those points where rank is lost, with the longest walk seen."""
    net, n = climb.inner, climb.inner.n
    seen: set[bytes] = set()
    for x in points:
        if climb.is_late:
            return
        pattern, v = [], x
        for k, w in enumerate(net.weights):
            z = w @ v + (0.0 if net.biases is None else net.biases[k])
            pattern.append(z > 0)
            v = np.maximum(z, 0.0)
        patterns = Patterns(tuple(pattern[:-1]), tuple(pattern[:-1]), pattern[-1])
        if patterns.key in seen:
            continue
        seen.add(patterns.key)
        rows = affine_rows(net, patterns.first)
        active = rows[-1][patterns.last, :-1]
        _, singular, vt = np.linalg.svd(active) if len(active) else (None, np.zeros(0), np.eye(n))
        kernel = vt[int((singular > 1e-11 * max(singular.max(initial=0.0), 1e-300)).sum()) :]
        if len(kernel):
            found[patterns.key] = _walk(climb, rows, x, kernel), patterns


def _walk(climb: Climb, rows: Sequence[FloatArray], x: FloatArray, kernel: FloatArray) -> float:
    """The longest way from x to walls and back, over a few kernel directions; inf where there is no wall."""
    best = 0.0
    for _ in range(3):
        d = climb.rng.standard_normal(len(kernel)) @ kernel
        d /= np.linalg.norm(d)
        ends = [np.inf, np.inf]
        if climb.domain is not None:
            reach = max(abs(climb.domain.low), abs(climb.domain.high)) * (1 + np.sqrt(len(x)))
            ends = [reach, reach]
        for layer in rows:
            value, slope = layer @ np.append(x, 1.0), layer[:, :-1] @ d
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                times = -value / slope
            moving = np.abs(slope) > 1e-12 * np.linalg.norm(layer[:, :-1], axis=1)
            ends[0] = min(ends[0], float(times[moving & (times > 0)].min(initial=np.inf)))
            ends[1] = min(ends[1], float((-times[moving & (times < 0)]).min(initial=np.inf)))
        best = max(best, sum(ends))
    return best


def _draw(climb: Climb, samples: int) -> FloatArray:
    """Inputs, (samples, n): uniform on a box or ball, of many sizes on the whole space."""
    n, domain, rng = climb.inner.n, climb.domain, climb.rng
    if domain is not None and domain.shape == "box":
        return domain.uniform(rng, (samples, n))
    points = rng.standard_normal((samples, n))
    if domain is None:
        return np.asarray(points * float(_FAR) ** rng.uniform(-0.5, 1.0, (samples, 1)))
    radius = domain.high * rng.uniform(size=(samples, 1)) ** (1.0 / n)
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True) * radius)


def _unit_of(network: Network, domain: Domain | None) -> Fraction:
    """The length that the search takes for 1: that of the domain, or of the distances of the first layer's walls."""
    if domain is not None:
        return power_of_two([Fraction(domain.low), Fraction(domain.high)])
    if network.exact_biases is None:
        return Fraction(1)
    walls = sorted(
        abs(b) / max(abs(v) for v in row)
        for row, b in zip(network.exact_weights[0], network.exact_biases[0], strict=True)
        if b and any(row)
    )
    return power_of_two([walls[len(walls) // 2]]) if walls else Fraction(1)

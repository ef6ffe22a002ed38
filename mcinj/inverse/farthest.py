"""`farthest`: how far apart two inputs with equal outputs can be, by search, each pair exact."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from mcinj.decide.bounded.domain import Domain
from mcinj.decide.budget import limit_of
from mcinj.decide.check import as_network, check
from mcinj.decide.verdict import Outcome
from mcinj.decide.watch import time_limit_of
from mcinj.errors import InputError
from mcinj.inverse.climb import Climb, sampled_patterns
from mcinj.inverse.pair_exact import ray_holds
from mcinj.networks import Network, Seed
from mcinj.networks.network import FractionVector
from mcinj.networks.traced import accepts_modules
from mcinj.quantify.roots import root_above, root_below


@dataclass(frozen=True)
class Farthest:
    """The farthest pair of inputs with equal outputs that was found.

    Attributes
    ----------
    x, x_prime
        The pair, `f(x) = f(x')` checked in exact arithmetic; None where no collision was found.
    squared
        |x - x'|², exactly; 0 without a pair. Larger distances may exist.
    relative_squared
        |x - x'|² / max(|x|², |x'|²), exactly, at most 4.
    directions
        (d, d') such that all `(x + t d, x' + t d')`, t >= 0, have equal outputs and |x + t d - x' - t d'| has no bound,
        proved; else None. Then collisions are arbitrarily far apart.
    scale_free
        Whether outputs scale with inputs and the inputs are not bounded: `relative_squared` is what was made large.
    injective
        True: it is proved that there are no collisions, on a domain with its boundary. False: there are. None: neither
        was found.
    samples, regions
        Inputs that were drawn; pairs of activation patterns on which the distance was made as large as can be.
    seconds
        Time taken.
    """

    x: FractionVector | None
    x_prime: FractionVector | None
    squared: Fraction
    relative_squared: Fraction
    directions: tuple[FractionVector, FractionVector] | None
    scale_free: bool
    injective: bool | None
    samples: int
    regions: int
    seconds: float

    @property
    def distance(self) -> tuple[float, float]:
        """Floats below and above |x - x'|."""
        return root_below(self.squared), root_above(self.squared)

    @property
    def relative(self) -> tuple[float, float]:
        """Floats below and above |x - x'| / max(|x|, |x'|)."""
        return root_below(self.relative_squared), root_above(self.relative_squared)

    @property
    def unbounded(self) -> bool:
        """Whether it is proved that collisions are arbitrarily far apart."""
        return self.directions is not None

    def to_json(self) -> dict[str, Any]:
        """The object that `mcinj farthest --json` prints; rationals are strings."""

        def texts(x: FractionVector | None) -> list[str] | None:
            return None if x is None else [str(v) for v in x]

        return {
            "x": texts(self.x),
            "x_prime": texts(self.x_prime),
            "squared": str(self.squared),
            "distance": list(self.distance),
            "relative_squared": str(self.relative_squared),
            "relative": list(self.relative),
            "unbounded": self.unbounded,
            "directions": None if self.directions is None else [texts(d) for d in self.directions],
            "scale_free": self.scale_free,
            "injective": self.injective,
            "samples": self.samples,
            "regions": self.regions,
            "seconds": self.seconds,
        }


@accepts_modules
def farthest(
    network: Network | Sequence[Any] | np.ndarray[Any, Any],
    *,
    domain: str | None = None,
    samples: int = 1000,
    starts: int = 30,
    seed: Seed | int | str = 0,
    node_budget: int | None = 100_000,
    time_limit: float | None = None,
) -> Farthest:
    """The largest distance of two inputs with equal outputs, as far as a seeded search finds it.

    Parameters
    ----------
    network
        As in `mcinj.check`.
    domain
        `box:LOW,HIGH` or `ball:R`, closed here. Without one the answer is often that there is no bound; where the
        network has no biases, so that outputs scale with inputs, the largest distance for inputs with |x| <= 1 is
        looked for, which is the largest `|x - x'| / max(|x|, |x'|)`.
    samples
        Inputs drawn to find regions where the Jacobian has rank below n.
    starts
        Most regions from which the search starts: those with the longest chords of equal output come first.
    seed
        Of the samples and of the search.
    node_budget
        Where no sample lies in such a region, `mcinj.check` looks for a collision with at most this many nodes.
    time_limit
        Most seconds; the best pair by then is returned. None: no limit.

    Raises
    ------
    InputError
        A bad network, domain, seed or limit, or fewer than one sample or start.

    Examples
    --------
    >>> import mcinj
    >>> found = mcinj.farthest([[[1, 0], [0, 1], [-1, -1]]], domain="box:-1,1")
    >>> str(found.squared), sorted([found.x, found.x_prime]) == [(-1, 0), (0, -1)]
    ('2', True)
    >>> biased = mcinj.farthest(mcinj.Network([[[1, 0], [0, 1], [-1, -1]]], [[1, 1, 1]]))
    >>> biased.unbounded, biased.injective
    (True, False)

    The method: docs/invert.md.
    """
    net = as_network(network)
    for name, value in (("samples", samples), ("starts", starts)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"{name} must be a whole number >= 1, got {value!r}")
    budget = limit_of(node_budget)
    place = None if domain is None else Domain.parse(domain)
    seconds = time_limit_of(time_limit)
    started = time.perf_counter()
    deadline = None if seconds is None else started + seconds
    free = place is None and not net.has_biases
    climb = Climb(net, Domain("ball", -1.0, 1.0) if free else place, Seed.parse(seed), deadline)
    climb.run(sampled_patterns(climb, samples)[:starts])
    injective: bool | None = None
    if climb.best is None:
        injective = _settled(net, place, climb, budget, deadline)
    return _answer(net, climb, free, injective, samples, started)


def _settled(net: Network, place: Domain | None, climb: Climb, budget: int, deadline: float | None) -> bool | None:
    """Where the search met no collision: True if `check` proves that there is none; one that it finds is climbed from.

    The domain is closed and that of `check` is open, so a pass counts on a larger one. Of one layer it counts on the
    domain itself: the least singular value of its cells, halved, bounds |f(x) - f(x')| / |x - x'| on the closure too.
    """
    asked: list[tuple[Domain | None, bool]] = [(place, place is None or net.depth == 1)]
    larger = None if place is None or net.depth == 1 else place.larger()
    if larger is not None:
        asked.insert(0, (larger, True))
    for domain, enough in asked:
        left = None if deadline is None else max((deadline - time.perf_counter()) / 2.0, 0.1)
        text = None if domain is None else domain.text
        verdict = check(net, domain=text, node_budget=budget, time_limit=left)
        if verdict.verdict is Outcome.INJECTIVE and enough:
            return True
        if verdict.witness is not None and climb.reaches(verdict.witness):
            if left is not None:  # compilation, once per machine, has not been counted
                climb.deadline = time.perf_counter() + left
            climb.start_from(verdict.witness)
            return None
    return None


def _answer(net: Network, climb: Climb, free: bool, injective: bool | None, samples: int, started: float) -> Farthest:
    pair, rays = climb.best, None
    if pair is None:
        zero = Fraction(0)
        seconds = time.perf_counter() - started
        return Farthest(None, None, zero, zero, None, free, injective, samples, climb.regions, seconds)
    if not pair.collides(net):
        raise RuntimeError("a pair failed its exact check; please report this network")
    squared = _square([a - b for a, b in zip(pair.x, pair.x_prime, strict=True)])
    if free:
        rays = (pair.x, pair.x_prime)  # f(t x) = t f(x)
    elif climb.ray is not None:
        if not ray_holds(net, pair, climb.ray):
            raise RuntimeError("a ray failed its exact check; please report this network")
        rays = (climb.ray.x, climb.ray.x_prime)
    largest = max(_square(pair.x), _square(pair.x_prime))
    seconds = time.perf_counter() - started
    return Farthest(
        pair.x, pair.x_prime, squared, squared / largest, rays, free, False, samples, climb.regions, seconds
    )


def _square(x: Sequence[Fraction]) -> Fraction:
    return sum((v * v for v in x), Fraction(0))

"""Failures that sampling finds, before any search: inputs at which fewer than n units of a layer are active.

Inputs are drawn with a fixed seed, at many scales, and moved towards fewer active units. Floats only guide: what is
returned is a pair of rational inputs whose outputs are equal in exact arithmetic.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mcinj.certify.collision import collision_at
from mcinj.certify.witness import Witness
from mcinj.decide.watch import current
from mcinj.networks import Network

if TYPE_CHECKING:
    from mcinj.decide.bounded.domain import Domain

Floats = npt.NDArray[np.float64]

LARGE = 5_000  # weights from which sampling comes first; smaller networks are decided in less time
_EXACT = 300_000  # weights up to which exact arithmetic takes seconds
_POINTS = 256
_ROUNDS = 40
_TRIES = 3  # candidates per layer that are looked at exactly


def sampled_failure(network: Network, domain: Domain | None = None) -> tuple[Witness, int] | None:
    """A collision near an input of low rank, checked exactly, and the layer where it arises; None where none was found.

    The least numbers of active units that were seen go to the current watch.
    """
    if sum(w.size for w in network.weights) < LARGE:
        return None
    watch = current()
    watch.enter("sampling inputs")
    rng = np.random.default_rng(20240229)
    points = _first(network, domain, rng)
    n = network.n
    for layer in range(1, network.depth + 1):
        best, counts = towards_fewer(network, layer, points, domain, rng)
        order = np.argsort(counts, kind="stable")
        watch.see(layer, int(counts[order[0]]), lambda best=best, order=order: tuple(best[order[0]].tolist()))  # type: ignore[misc]
        for i in order[:_TRIES].tolist():
            if counts[i] >= n:
                break
            watch.poll()
            found = _collision(network.prefix(layer), best[i], domain)
            if found is not None and found[0].collides(network):
                return found
    return None


def towards_fewer(
    network: Network, layer: int, points: Floats, domain: Domain | None, rng: np.random.Generator
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Points moved, in rounds, to where fewer units of a layer are active, until one has fewer than n; the counts."""
    counts = _active(network, layer, points)
    for k in range(_ROUNDS):
        current().poll()
        if counts.min() < network.n:
            break
        order = np.argsort(counts, kind="stable")[: max(1, len(points) // 4)]
        parents = points[order]
        size = np.abs(parents).max(axis=1, keepdims=True) * 0.7 ** (1 + k % 12)
        moved = [parents + size * rng.standard_normal(parents.shape) for _ in range(3)]
        points = _inside(np.vstack([parents, *moved]), domain)
        counts = _active(network, layer, points)
    return points, counts


def _first(network: Network, domain: Domain | None, rng: np.random.Generator) -> Floats:
    x = rng.standard_normal((_POINTS, network.n))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    w = network.weights[0]
    norms = np.linalg.norm(w, axis=1, keepdims=True)
    unit = np.divide(w, norms, out=np.zeros_like(w), where=norms > 0)
    against = -unit.mean(axis=0)
    if against.any():
        x[0] = against / np.linalg.norm(against)
    if len(w) >= network.n:
        # All of the first n rows negative.
        offsets = np.zeros(network.n) if network.biases is None else network.biases[0][: network.n]
        with np.errstate(all="ignore"):
            behind = np.linalg.lstsq(w[: network.n], -np.abs(offsets).max() - 1.0 - offsets, rcond=None)[0]
        if np.isfinite(behind).all() and behind.any():
            x[1] = behind
    if domain is not None:
        reach = max(abs(domain.low), abs(domain.high))
        inside = domain.uniform(rng, x.shape)
        inside[::2] = x[::2] * reach * rng.random((len(x[::2]), 1)) * 2.0
        return _inside(inside, domain)
    if not network.has_biases:
        return x
    scale = 10.0 ** rng.uniform(-2.0, 3.0, (_POINTS, 1))
    scale[1] = 1.0
    return np.asarray(x * scale)


def _inside(x: Floats, domain: Domain | None) -> Floats:
    """Inputs moved into the domain, well inside."""
    if domain is None:
        return x
    margin = 1e-3 * (domain.high - domain.low)
    if domain.shape == "box":
        return np.clip(x, domain.low + margin, domain.high - margin)
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(x * np.minimum(1.0, (domain.high - margin) / np.maximum(norms, 1e-300)))


def _active(network: Network, layer: int, x: Floats) -> npt.NDArray[np.int64]:
    """How many units of a layer are active at each input, in floats."""
    with np.errstate(all="ignore"):
        for k in range(layer):
            x = x @ network.weights[k].T
            if network.biases is not None:
                x = x + network.biases[k]
            if k < layer - 1:
                x = np.maximum(x, 0.0)
    return np.asarray((x > 0.0).sum(axis=1))


def _collision(prefix: Network, x: Floats, domain: Domain | None) -> tuple[Witness, int] | None:
    if not np.isfinite(x).all():
        return None
    if prefix.depth == 1 and domain is None and prefix.weights[0].size > _EXACT:
        return _one_layer(prefix, x)
    # Few digits: exact arithmetic is faster, and the input can be read.
    for bits in (10, 30, 52):
        top = 2.0 ** np.ceil(np.log2(np.abs(x).max())) if x.any() else 1.0
        step = Fraction(top) / 2**bits
        point = tuple(round(float(v) / top * 2**bits) * step for v in x.tolist())
        if domain is not None and not domain.holds(point):
            continue
        found = collision_at(prefix, point)
        if found is None:
            continue
        witness, layer = found
        # f is constant on the segment: any shorter step collides too.
        other = witness.x_prime
        while domain is not None and not domain.holds(other):
            other = tuple((a + b) / 2 for a, b in zip(witness.x, other, strict=True))
        return Witness(witness.x, other), layer
    return None


def _one_layer(network: Network, x: Floats) -> tuple[Witness, int] | None:
    """The same for one large layer: only the active rows are looked at exactly, at an input of few digits."""
    from mcinj.decide.quick.large import large_witness

    witness = large_witness(network, x)
    return None if witness is None else (witness, 1)

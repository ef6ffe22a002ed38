"""`coverage`: on which share of the inputs the network loses rank, estimated by sampling with exact limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from mcinj.certify.rational import rank, rows_on
from mcinj.decide.bounded.domain import Domain
from mcinj.decide.check import as_network
from mcinj.errors import InputError
from mcinj.infer.intervals import check_level, clopper_pearson
from mcinj.networks import Network, Seed
from mcinj.networks.network import FloatArray
from mcinj.networks.traced import accepts_modules


@dataclass(frozen=True)
class Coverage:
    """How much of the inputs lies in regions where the Jacobian has rank below n.

    Attributes
    ----------
    share, share_lo, share_hi
        Share of such samples, with Clopper–Pearson limits at `level`.
    deficient, samples
        Their number, and that of all samples; each one is decided exactly.
    active_least, active_mean
        Per layer the least and the mean number of positive units over the samples.
    """

    share: float
    share_lo: float
    share_hi: float
    level: float
    deficient: int
    samples: int
    active_least: tuple[int, ...]
    active_mean: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """The object that `mcinj coverage --json` prints."""
        return {**self.__dict__, "active_least": list(self.active_least), "active_mean": list(self.active_mean)}


@accepts_modules
def coverage(
    network: Network | Sequence[Any] | np.ndarray[Any, Any],
    *,
    samples: int = 1000,
    domain: str | None = None,
    seed: Seed | int | str = 0,
    level: float = 0.95,
) -> Coverage:
    """Share of inputs in regions where the Jacobian has rank below n, by seeded sampling.

    Parameters
    ----------
    network
        As in `mcinj.check`.
    samples
        Number of inputs: from N(0, I) without a domain, else uniform on it.
    domain
        `box:LOW,HIGH` or `ball:R`.
    seed, level
        Seed of the samples; confidence of the limits.

    Raises
    ------
    InputError
        A bad network, domain, seed or level, or fewer than one sample.

    Examples
    --------
    >>> import mcinj
    >>> found = mcinj.coverage([[[1, 0], [0, 1], [-1, -1]]], samples=400, level=0.999)
    >>> found.share_lo < 1 / 2 < found.share_hi, found.active_least
    (True, (1,))

    """
    net = as_network(network)
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
        raise InputError(f"samples must be a whole number >= 1, got {samples!r}")
    check_level(level)
    inputs = _draw(net.n, samples, None if domain is None else Domain.parse(domain), Seed.parse(seed))
    known: dict[bytes, bool] = {}
    counts = np.zeros((samples, net.depth), dtype=np.int64)
    deficient = 0
    for s, x in enumerate(inputs):
        pattern = _positive(net, x)
        counts[s] = [int(on.sum()) for on in pattern]
        if counts[s].min() < net.n:
            deficient += 1  # fewer rows than n somewhere: no arithmetic needed
            continue
        key = b"".join(on.tobytes() for on in pattern)
        if key not in known:
            signs = [on.tolist() for on in pattern]
            last = rows_on(net.exact_weights, signs)[-1]
            known[key] = rank([r for r, on in zip(last, signs[-1], strict=True) if on], net.n) < net.n
        deficient += known[key]
    low, high = clopper_pearson(deficient, samples, level)
    return Coverage(
        deficient / samples, float(low), float(high), level, deficient, samples,
        tuple(int(v) for v in counts.min(axis=0)), tuple(float(v) for v in counts.mean(axis=0)),
    )  # fmt: skip


def _draw(n: int, samples: int, domain: Domain | None, seed: Seed) -> FloatArray:
    rng = seed.generator()
    if domain is not None and domain.shape == "box":
        return domain.uniform(rng, (samples, n))
    points = rng.standard_normal((samples, n))
    if domain is None:
        return points
    radius = domain.high * rng.uniform(size=(samples, 1)) ** (1.0 / n)
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True) * radius)


def _positive(net: Network, x: FloatArray) -> list[np.ndarray[Any, np.dtype[np.bool_]]]:
    """Which units are positive at x, rigorously: in floats with an error bound, else in exact arithmetic.

    With u = 2^-53, a sum of k rounded products, in any order, is off by at most γ Σ|w||v|, γ = k u / (1 - k u) (Higham,
    Accuracy and Stability, 2002, §3.1); inputs off by e add |w| e. 4 (k + 2) u covers γ_(k+1) and the roundings of the
    bound itself, (k + 2) 2^-1020 what underflows.
    """
    if net.floats_are_exact:
        v, error = x, np.zeros(net.n)
        result = []
        with np.errstate(over="ignore", invalid="ignore"):
            for k, w in enumerate(net.weights):
                b = np.zeros(len(w)) if net.biases is None else net.biases[k]
                size, terms = np.abs(w), w.shape[1] + 2
                z = w @ v + b
                spread = size @ (np.abs(v) + error) + np.abs(b)
                error = (1 + 1e-6) * (size @ error) + 4 * terms * 2.0**-53 * spread + terms * 2.0**-1020
                if not (np.abs(z) > error).all():  # also where nan or inf came up
                    break
                result.append(z > 0)
                v, error = np.maximum(z, 0.0), np.where(z > 0, error, 0.0)
            else:
                return result
    return [p > 0 for p in net.exact_pattern([Fraction(float(t)) for t in x])]

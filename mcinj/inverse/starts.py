"""Where a least-squares search starts: guesses in floats. Nothing rests on them."""

from __future__ import annotations

import warnings

import numpy as np

from mcinj.decide.bounded.domain import Domain
from mcinj.networks import Network
from mcinj.networks.network import FloatArray

_RANDOM = 8
_KEPT = 4


def starts(
    network: Network, y: FloatArray, domain: Domain | None, slope: float, linear: bool = False
) -> list[FloatArray]:
    """Inputs with small `|f(x) - y|`, the best first: layers taken off backwards, then Gauss–Newton from there.

    `linear`: the last layer has no ReLU. The other starting points are seeded draws: the result is always the same.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        tried = [_backwards(network, y, slope, linear), np.zeros(network.n), *_draws(network, y, domain, slope, linear)]
        found = []
        for x in tried:
            for point in (x, _descended(network, y, x, domain, slope, linear)):
                if point is None:
                    continue
                inside = _moved_inside(point, domain)
                if np.isfinite(inside).all():
                    found.append((float(np.sum((_forward(network, inside, slope, linear)[0] - y) ** 2)), inside))
    found = [pair for pair in found if np.isfinite(pair[0])]
    found.sort(key=lambda pair: pair[0])
    kept: list[FloatArray] = []
    for _, x in found:
        if len(kept) < _KEPT and not any(np.allclose(x, other, rtol=1e-6, atol=0.0) for other in kept):
            kept.append(x)
    return kept or [np.asarray(_moved_inside(np.zeros(network.n), domain))]


def _forward(network: Network, x: FloatArray, slope: float, linear: bool) -> tuple[FloatArray, FloatArray]:
    """f(x) and its Jacobian."""
    jacobian = np.eye(network.n)
    for k, w in enumerate(network.weights):
        z = w @ x + (0.0 if network.biases is None else network.biases[k])
        factor = np.where((z > 0) | (linear and k == network.depth - 1), 1.0, slope)
        x, jacobian = z * factor, (w @ jacobian) * factor[:, None]
    return x, jacobian


def _backwards(network: Network, y: FloatArray, slope: float, linear: bool) -> FloatArray | None:
    """From the last layer down: the inputs of the layer whose active rows come nearest to its outputs."""
    from scipy.optimize import nnls

    v = y
    for k in range(network.depth - 1, -1, -1):
        w = network.weights[k]
        b = np.zeros(len(w)) if network.biases is None else network.biases[k]
        plain = linear and k == network.depth - 1
        z = np.where(v > 0, v, v / slope if slope and not plain else v)
        on = np.ones(len(w), dtype=bool) if slope or plain else v > 0
        try:
            if k == 0 or slope:
                v = np.linalg.lstsq(w[on], (z - b)[on], rcond=None)[0]
            else:
                v, _ = nnls(w[on], (z - b)[on]) if on.any() else (np.zeros(w.shape[1]), 0.0)
        except (np.linalg.LinAlgError, RuntimeError, ValueError):
            return None
    return np.asarray(v)


def _draws(network: Network, y: FloatArray, domain: Domain | None, slope: float, linear: bool) -> list[FloatArray]:
    rng = np.random.default_rng(0)
    if domain is not None:
        return [domain.uniform(rng, network.n) for _ in range(_RANDOM)]
    result = []
    for _ in range(_RANDOM):
        x = rng.standard_normal(network.n)
        size = float(np.linalg.norm(_forward(network, x, slope, linear)[0]))
        result.append(x * (float(np.linalg.norm(y)) / size) if size > 0 else x)
    return result


def _descended(
    network: Network, y: FloatArray, x: FloatArray | None, domain: Domain | None, slope: float, linear: bool
) -> FloatArray | None:
    """A local minimum near x by a trust-region Gauss–Newton method (scipy)."""
    from scipy.optimize import least_squares

    if x is None or not np.isfinite(x).all():
        return None
    x = _moved_inside(x, domain)
    bounds = (-np.inf, np.inf) if domain is None else (domain.low, domain.high)

    def residuals(v: FloatArray) -> FloatArray:
        return _forward(network, v, slope, linear)[0] - y

    def jacobian(v: FloatArray) -> FloatArray:
        return _forward(network, v, slope, linear)[1]

    try:
        answer = least_squares(residuals, x, jac=jacobian, bounds=bounds, max_nfev=50)
    except (np.linalg.LinAlgError, ValueError):
        return None
    return np.asarray(answer.x)


def _moved_inside(x: FloatArray, domain: Domain | None) -> FloatArray:
    if domain is None:
        return x
    if domain.shape == "box":
        return np.clip(x, domain.low, domain.high)
    length = float(np.linalg.norm(x))
    reach = domain.high * (1 - 1e-9)
    return x if length <= reach else x * (reach / length)

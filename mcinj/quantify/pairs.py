"""Two inputs whose outputs are close for their distance: an upper bound of the lower Lipschitz constant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from mcinj.decide.watch import TimeUp
from mcinj.networks import Network
from mcinj.networks.network import FractionVector

Floats = npt.NDArray[np.float64]
_STEPS = (0.1, 1.0, 3.0)
_DESCENTS = 8


def ratio_squared(network: Network, x: FractionVector, y: FractionVector) -> Fraction:
    """`|f(x) - f(y)|² / |x - y|²`, exactly."""
    outputs = zip(network.exact_forward(x), network.exact_forward(y), strict=True)
    image = sum(((a - b) ** 2 for a, b in outputs), Fraction(0))
    return image / sum(((a - b) ** 2 for a, b in zip(x, y, strict=True)), Fraction(0))


@np.errstate(over="ignore", invalid="ignore")
def closest_pair(
    network: Network,
    starts: Sequence[tuple[Floats, Floats]],
    holds: Callable[[FractionVector], bool],
    bounds: tuple[float, float] | None,
    stop: Callable[[], bool],
) -> tuple[Fraction, FractionVector, FractionVector] | None:
    """The best pair that descent finds from points `x` with directions `v`, and its ratio squared, exactly.

    A pair inside one cell gives the cell's singular value. A pair across walls can give less, down to half of it: a
    unit that one of the two inputs turns off tells only half of the difference.

    Parameters
    ----------
    holds
        Whether an exact input lies in the domain.
    bounds
        Least and largest coordinate of inputs in the domain, if it is bounded.
    stop
        Whether time is up: what was found by then is returned.
    """
    from scipy.optimize import minimize

    n = network.n
    box = None if bounds is None else [bounds] * (2 * n)
    tried: list[tuple[float, Floats]] = []
    for x, v in starts:
        size = float(np.linalg.norm(x)) or 1.0
        v = v / (float(np.linalg.norm(v)) or 1.0)
        for step in _STEPS:
            for a, b in ((-0.5, 0.5), (0.0, 1.0), (0.0, -1.0)):
                z = np.concatenate([x + a * step * size * v, x + b * step * size * v])
                if bounds is not None:
                    z = np.clip(z, *bounds)
                value = _value(z, network)[0]
                if np.isfinite(value):
                    tried.append((value, z))
    tried.sort(key=lambda t: t[0])
    # Pairs inside the cell of least singular value are stationary: descent starts from the others.
    flat = tried[0][0] * (1.0 + 1e-6) if tried else 0.0
    candidates = tried[:_DESCENTS]

    def timed(z: Floats) -> tuple[float, Floats]:
        if stop():
            raise TimeUp
        return _value(z, network)

    for z in [z for value, z in tried if value > flat][:_DESCENTS]:
        try:
            found = minimize(timed, z, jac=True, method="L-BFGS-B", bounds=box, options={"maxiter": 60})
        except TimeUp:
            break
        candidates.append((float(found.fun), found.x))
    best: tuple[Fraction, FractionVector, FractionVector] | None = None
    # The best first: if time is up, one is evaluated exactly, and it is that one.
    for k in np.argsort([value for value, _ in candidates], kind="stable"):
        value, z = candidates[k]
        if not np.isfinite(z).all():
            continue
        if best is not None and stop():
            break
        one = tuple(Fraction(float(t)) for t in z[:n])
        two = tuple(Fraction(float(t)) for t in z[n:])
        if one == two or not (holds(one) and holds(two)):
            continue
        if best is not None and value > 1.0001 * float(best[0]):
            continue
        ratio = ratio_squared(network, one, two)
        if best is None or ratio < best[0]:
            best = ratio, one, two
    return best


def _value(z: Floats, network: Network) -> tuple[float, Floats]:
    """`|f(x) - f(y)|² / |x - y|²` in floats, and its gradient where no unit is at 0."""
    n = network.n
    outputs, jacobians = [], []
    for point in (z[:n], z[n:]):
        h, jacobian = point, np.eye(n)
        for k, w in enumerate(network.weights):
            level = w @ h if network.biases is None else w @ h + network.biases[k]
            on = level > 0
            h, jacobian = np.where(on, level, 0.0), np.where(on[:, None], w @ jacobian, 0.0)
        outputs.append(h)
        jacobians.append(jacobian)
    d = z[:n] - z[n:]
    size = float(d @ d)
    if size == 0.0:
        return float("inf"), np.zeros(2 * n)
    r = outputs[0] - outputs[1]
    value = float(r @ r) / size
    gradient = np.concatenate([2 * jacobians[0].T @ r - 2 * value * d, -2 * jacobians[1].T @ r + 2 * value * d]) / size
    return value, gradient

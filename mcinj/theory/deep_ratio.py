"""The ratio of the last layer by plain random duality, for checked arguments (`mcinj.theory.deep`)."""

from __future__ import annotations

from collections.abc import Iterable

from mcinj.errors import InputError
from mcinj.theory.arguments import positive
from mcinj.theory.closed_form import gordon_distance
from mcinj.theory.cone import optimal_slope
from mcinj.theory.roots import falling_root

MOST_LAYERS = 8
_MOST_RATIO = 1e6  # beyond, the scalar problems lose digits


def plain_ratio(alphas: tuple[float, ...], theta: float) -> tuple[float, dict[str, float]]:
    """Value and parameters of `deep_plain` for checked arguments."""
    distance, parameters = 1.0, {"d1": 1.0}
    for k, alpha in enumerate(alphas, 1):
        if alpha <= 2 * distance:
            raise InputError(too_narrow(k, alpha, 2 * distance))
        layer = optimal_slope(distance / alpha)
        distance = alpha * layer.slope**2
        parameters |= {f"lambda{k}": layer.lam, f"mu{k}": layer.mu, f"d{k + 1}": distance}
    return last_ratio(distance, theta), parameters


def last_ratio(distance: float, theta: float) -> float:
    """Root of ``α c_θ(α) = distance``, which rises in α from 0 at 2θ."""
    return falling_root(lambda a: distance - a * gordon_distance(a, theta), 2 * theta)


def checked_ratios(alphas_before: Iterable[float]) -> tuple[float, ...]:
    """The ratios as floats, each in (0, 10^6], at most 7 of them; else `InputError` naming the layer."""
    if isinstance(alphas_before, str | bytes):
        raise InputError(f"alphas_before is {alphas_before!r}; give a list of ratios m_k/n")
    try:
        given = tuple(alphas_before)
    except TypeError:
        raise InputError(f"alphas_before is {alphas_before!r}; give a list of ratios m_k/n") from None
    if len(given) >= MOST_LAYERS:
        raise InputError(f"{len(given)} earlier layers; at most {MOST_LAYERS - 1} are supported")
    remedy = "give the ratio m_k/n, a number between 2 and a million"
    alphas = tuple(positive(f"the ratio of layer {k}", alpha, remedy) for k, alpha in enumerate(given, 1))
    for k, alpha in enumerate(alphas, 1):
        if alpha > _MOST_RATIO:
            raise InputError(f"the ratio of layer {k} is {alpha:g}; {remedy}")
    return alphas


def too_narrow(k: int, alpha: float, least: float) -> str:
    return (
        f"layer {k} has ratio {alpha:g}; this comparison bounds the next layer only above {least:.6g}, "
        "so widen that layer"
    )

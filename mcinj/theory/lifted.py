"""Partially lifted random duality for one layer: Gordon's comparison on the exponential scale.

For c > 0, ``P(min_x |S(x)| <= θn) <= e^{cθn} E exp(-c min_x |S(x)|)``, and the comparison bounds the
expectation; per input the exponent is ``θc + ½ ln(1+c/χ) + α ln E exp(-c V_χ(g))`` at its stationary χ. The
threshold ratio is therefore a stationary value, in fact a joint minimum, of ``α(c, χ) = (θc + ½ ln(1+c/χ)) /
(-ln E exp(-cV_χ(g)))``. c -> 0 is plain RDT. Derivation and what 'rigorous' needs: docs/theory.md.
"""

from __future__ import annotations

import math
import sys
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

from mcinj.theory.arguments import threshold
from mcinj.theory.bounds import Bound
from mcinj.theory.closed_form import plain_rdt
from mcinj.theory.field import Field

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mcinj.theory.newton import Sample

__all__ = ["lifted_ratio", "lifting_helps", "log_expectation", "outermost", "partially_lifted"]

_ULP = sys.float_info.epsilon
_SAFETY = 8  # standard errors of rounding that a quoted error covers


def log_expectation(c: float, chi: float) -> float:
    """``ln E exp(-c V_χ(g))`` for standard Gaussian g; V_χ(g) = 0 for g <= 0 and min(g²/2χ, 1) above."""
    return outermost(c / (2 * chi), 2 * chi)[0]


def outermost(b: float, nu: float) -> tuple[float, float, float]:
    """``ln E exp(-b min(g₊², ν))`` and its derivatives in b and ν, in closed form; cV_χ is b = c/2χ, ν = 2χ.

    ``1 - E`` is summed instead of E, so that it is right to one rounding of 1 also for small b.
    """
    s, stretch = math.sqrt(nu), math.sqrt(1 + 2 * b)
    tail = 0.5 * math.erfc(s / math.sqrt(2))
    inside = 0.5 * math.erf(s * stretch / math.sqrt(2)) / stretch
    density = math.exp(-0.5 * nu * (1 + 2 * b)) / math.sqrt(2 * math.pi)
    square = (inside - s * density) / (1 + 2 * b)  # E[g² exp(-bg²); 0 < g < s]
    kept = math.exp(-b * nu) * tail
    mean = 0.5 + inside + kept
    lost = 0.5 * math.erf(s / math.sqrt(2)) - inside - math.expm1(-b * nu) * tail
    return math.log1p(-lost), -(square + nu * kept) / mean, -b * kept / mean


def lifted_ratio(c: float, chi: float, theta: float) -> float:
    """``α(c, χ)`` at which the exponent vanishes; a bound where it is stationary in χ."""
    return (theta * c + 0.5 * math.log1p(c / chi)) / -log_expectation(c, chi)


def lifting_helps(theta: float) -> bool:
    """Whether α(c, χ) falls below plain RDT for small c: true from θ = 0.22671 on.

    To first order in c, ``α = α_0 (1 + c [Var V/(2 E V) - 1/(4χ² (θ + 1/2χ))])`` at the χ of plain RDT.
    """
    plain = plain_rdt(theta)
    p, t = plain.parameters["p"], plain.parameters["t"]
    density = math.exp(-0.5 * t * t) / math.sqrt(2 * math.pi)
    square = p - t * density  # E[g²; 0 < g < t], and of g⁴ next
    fourth = 3 * square - t**3 * density
    beyond = theta / plain.value
    mean = square / t**2 + beyond
    variance = fourth / t**4 + beyond - mean * mean
    chi = t * t / 2
    return variance / (2 * mean) < 1 / (4 * chi * chi * (theta + 0.5 / chi))


def partially_lifted(theta: float = 1.0, level: float = 0.0) -> Bound:
    """Width ratio of partially lifted RDT, a rigorous upper bound: 7.448639 for θ = 1 (c = .7085, χ = .2785).

    Where lifting does not help (small θ) the infimum is at c -> 0 and equals `plain_rdt`; parameter c is then 0.
    `level` as in `plain_rdt`. Source: docs/theory.md §3, §11; Stojnic, arXiv:2410.20646. Raises `InputError` unless θ
    is in [0.001, 100] and the level in [-3, 3].
    """
    theta, field = threshold(theta), Field(level=level)
    return _at_level(theta, field) if field.level else _partially_lifted(theta)


@lru_cache(maxsize=64)
def _partially_lifted(theta: float) -> Bound:
    import numpy as np

    from mcinj.theory.newton import minimum

    plain = plain_rdt(theta)
    c, chi, value, error = 0.0, plain.parameters["t"] ** 2 / 2, plain.value, plain.error or 0.0
    if lifting_helps(theta):
        found = minimum(lambda u: _ratio(u, theta), np.array([-0.5, math.log(chi / 2)]))
        rounding = _SAFETY * _ratio(found.point, theta).rounding
        if found.value < plain.value - rounding:
            c, chi, value = math.exp(found.point[0]), math.exp(found.point[1]), found.value
            error = found.error + rounding
        else:  # a gain too small to be told from rounding: plain RDT is a bound as well
            error += max(plain.value - found.value, 0.0) + rounding
    return Bound(
        name="partially lifted RDT",
        layers=1,
        value=value,
        status="rigorous",
        origin="computed",
        source="θc + ½ ln(1+c/χ) + α ln E exp(-cV_χ) = 0, docs/theory.md §3; arXiv:2410.20646",
        theta=theta,
        parameters={"c": c, "chi": chi},
        error=error,
    )


def _at_level(theta: float, field: Field) -> Bound:
    """The same bound at another level: half a step of replica-symmetry breaking, q_0 = 0 (`parisi`)."""
    import numpy as np

    from mcinj.theory.newton import Sample, minimum
    from mcinj.theory.parisi import Functional, Saddle, functional

    plain = plain_rdt(theta, field.level)

    def half_step(u: NDArray[np.float64], refine: float = 1.0) -> Functional:
        return functional(Saddle((0.0,), (math.exp(u[0]),), math.exp(u[1])), refine, field)

    def sample(u: NDArray[np.float64]) -> Sample:
        if not np.abs(u).max() < 30:
            return Sample(math.inf, u, 0.0)
        f = half_step(u)
        return Sample(f.ratio(theta), f.ratio_gradient(theta)[1:] * np.exp(u), f.ratio_rounding(theta))

    c, chi, value, error = 0.0, math.nan, plain.value, plain.error or 0.0
    with suppress(ArithmeticError):  # no minimum at c > 0: plain RDT
        found = minimum(sample, np.array([-0.5, math.log((plain.parameters["t"] - field.level) ** 2 / 4)]))
        if found.value < plain.value:
            c, chi, value = math.exp(found.point[0]), math.exp(found.point[1]), found.value
            grid = abs(half_step(found.point, 2).ratio(theta) - value)
            error = found.error + grid + _SAFETY * sample(found.point).rounding
    return Bound(
        name=field.named("partially lifted RDT"),
        layers=1,
        value=value,
        status="rigorous",
        origin="computed",
        source="θc + ½ ln(1+c/χ) + α ln E exp(-cV_χ(g-t)) = 0, docs/theory.md §3, §11; arXiv:2410.20646",
        theta=theta,
        parameters={"c": c, "chi": chi} if c else {"c": c},
        error=error,
    )


def _ratio(u: NDArray[np.float64], theta: float) -> Sample:
    """`lifted_ratio` at (ln c, ln χ) with its gradient."""
    import numpy as np

    from mcinj.theory.newton import Sample

    if not np.abs(u).max() < 60:
        return Sample(math.inf, u, 0.0)
    c, chi = math.exp(u[0]), math.exp(u[1])
    log, d_b, d_nu = outermost(c / (2 * chi), 2 * chi)
    if not log < 0:
        return Sample(math.inf, u, 0.0)
    gain = theta * c + 0.5 * math.log1p(c / chi)
    alpha = gain / -log
    along_c = theta * c + 0.5 * c / (chi + c) + alpha * d_b * c / (2 * chi)
    along_chi = -0.5 * c / (chi + c) + alpha * (2 * chi * d_nu - d_b * c / (2 * chi))
    return Sample(alpha, np.array([along_c, along_chi]) / -log, _ULP * alpha * (2 + 1 / -log))

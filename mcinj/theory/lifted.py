"""Partially lifted random duality for one layer: Gordon's comparison on the exponential scale.

For c > 0, ``P(min_x |S(x)| <= θn) <= e^{cθn} E exp(-c min_x |S(x)|)``, and the comparison bounds the
expectation; per input the exponent is ``θc + ½ ln(1+c/χ) + α ln E exp(-c V_χ(g))`` at its stationary χ. The
threshold ratio is therefore a stationary value, in fact a joint minimum, of ``α(c, χ) = (θc + ½ ln(1+c/χ)) /
(-ln E exp(-cV_χ(g)))``. c -> 0 is plain RDT. Derivation and what 'rigorous' needs: docs/theory.md.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mcinj.theory.arguments import threshold
from mcinj.theory.bounds import Bound
from mcinj.theory.closed_form import plain_rdt

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["lifted_ratio", "log_expectation", "partially_lifted"]


def log_expectation(c: float, chi: float) -> float:
    """``ln E exp(-c V_χ(g))`` for standard Gaussian g; V_χ(g) = 0 for g <= 0 and min(g²/2χ, 1) above.

    ``1 - E`` is summed instead of E, so that nothing is lost for small c.
    """
    s, stretch = math.sqrt(2 * chi), math.sqrt(1 + c / chi)
    inside = 0.5 * math.erf(s / math.sqrt(2)) - 0.5 * math.erf(s * stretch / math.sqrt(2)) / stretch
    return math.log1p(-(inside - math.expm1(-c) * 0.5 * math.erfc(s / math.sqrt(2))))


def lifted_ratio(c: float, chi: float, theta: float) -> float:
    """``α(c, χ)`` at which the exponent vanishes; a bound where it is stationary in χ."""
    return (theta * c + 0.5 * math.log1p(c / chi)) / -log_expectation(c, chi)


def partially_lifted(theta: float = 1.0) -> Bound:
    """Width ratio of partially lifted RDT, a rigorous upper bound: 7.448639 for θ = 1 (c = .7085, χ = .2785).

    Where lifting does not help (small θ) the infimum is at c -> 0 and equals `plain_rdt`; parameter c is then
    0. Source: docs/theory.md §3; Stojnic, arXiv:2410.20646. Raises `InputError` unless θ is in [0.001, 100].
    """
    return _partially_lifted(threshold(theta))


@lru_cache(maxsize=64)
def _partially_lifted(theta: float) -> Bound:
    import numpy as np
    from scipy.optimize import minimize

    def objective(u: NDArray[np.float64]) -> float:
        c, chi = math.exp(min(u[0], 5.0)), math.exp(min(max(u[1], -30.0), 30.0))
        return lifted_ratio(c, chi, theta)

    plain = plain_rdt(theta)
    chi = plain.parameters["t"] ** 2 / 2  # V saturates at √(2χ), which is t when c -> 0
    start = np.array([-0.5, math.log(chi / 2)])
    options: Any = {"xatol": 1e-9, "fatol": 1e-15, "maxiter": 2000}  # scipy-stubs know no such keys
    result = minimize(objective, start, method="Nelder-Mead", options=options)
    c, chi_best = math.exp(result.x[0]), math.exp(result.x[1])
    value = float(result.fun)
    if c < 1e-5:  # the minimum is at the edge
        c, chi_best, value = 0.0, chi, plain.value
    return Bound(
        name="partially lifted RDT",
        layers=1,
        value=value,
        status="rigorous",
        origin="computed",
        source="θc + ½ ln(1+c/χ) + α ln E exp(-cV_χ) = 0, docs/theory.md §3; arXiv:2410.20646",
        theta=theta,
        parameters={"c": c, "chi": chi_best},
        error=1e-10,
    )

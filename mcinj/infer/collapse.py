"""Scaling collapse: transition curves of several n on one variable x = (m/n - centre_n) n^κ.

The centre is each curve's own median (its drift is far larger than the transition is wide at these n, so a common
critical ratio would collapse nothing), or one number for all. κ says how the transition sharpens: width of m*/n
proportional to n^-κ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mcinj.errors import InputError
from mcinj.infer.curves import TransitionCurve
from mcinj.infer.quantiles import crossing, transition_width
from mcinj.infer.sample import FloatArray, ThresholdSample

if TYPE_CHECKING:
    import pandas as pd

# Points outside carry almost no information on the shape, and their errors are far from normal.
_P_MIN, _P_MAX = 0.02, 0.98


def _centre(curve: TransitionCurve, centre: float | None) -> float:
    if centre is not None:
        return centre
    middle = crossing(curve.m, curve.p, 0.5) / curve.n
    if not math.isfinite(middle):
        raise InputError(
            f"the curve at n = {curve.n} never reaches 1/2: leave it out of the collapse, or give a centre"
        )
    return middle


def collapse_table(curves: Sequence[TransitionCurve], exponent: float, centre: float | None = None) -> pd.DataFrame:
    """Collapsed curves, one row per n and width: n, m, alpha, p, lo, hi, x = (alpha - centre) n^exponent.

    centre: m/n about which to scale; None takes each curve's own interpolated median.
    """
    import pandas as pd

    if not curves:
        raise InputError("a collapse needs at least one curve, got none")
    parts = []
    for c in curves:
        x = (c.alpha - _centre(c, centre)) * float(c.n) ** exponent
        parts.append(pd.DataFrame({"n": c.n, "m": c.m, "alpha": c.alpha, "p": c.p, "lo": c.lo, "hi": c.hi, "x": x}))
    return pd.concat(parts, ignore_index=True)


def collapse_quality(curves: Sequence[TransitionCurve], exponent: float, centre: float | None = None) -> float:
    """Mean squared distance of each point from the other curves, in their joint variance (Houdayer & Hartmann,
    Phys. Rev. B 70, 014418, 2004): about 1 for a perfect collapse within sampling errors, larger otherwise.

    The other curves are linear between their points; widths are integers, so that at small n and many trials the
    lattice alone keeps it above 1.
    """
    if len(curves) < 2:
        raise InputError(f"a collapse compares at least two curves, got {len(curves)}")
    xs, ps, variances = [], [], []
    for c in curves:
        xs.append((c.alpha - _centre(c, centre)) * float(c.n) ** exponent)
        ps.append(c.p)
        # Agresti–Coull keeps the variance positive at counts of zero.
        share = (c.p * c.trials + 2.0) / (c.trials + 4.0)
        variances.append(share * (1.0 - share) / c.trials)
    total, points = 0.0, 0
    for i, c in enumerate(curves):
        inside = (c.p > _P_MIN) & (c.p < _P_MAX)
        for x, p, v in zip(xs[i][inside], ps[i][inside], variances[i][inside]):
            weight, weighted = 0.0, 0.0
            for k in range(len(curves)):
                if k != i and xs[k][0] <= x <= xs[k][-1]:
                    vk = float(np.interp(x, xs[k], variances[k]))
                    weight += 1.0 / vk
                    weighted += float(np.interp(x, xs[k], ps[k])) / vk
            if weight > 0:
                total += (p - weighted / weight) ** 2 / (v + 1.0 / weight)
                points += 1
    if points == 0:
        raise InputError("the curves do not overlap at this exponent and centre: choose others")
    return total / points


@dataclass(frozen=True)
class WidthScaling:
    """Power law of the transition width: (q90 - q10)/n = amplitude n^-exponent, weighted fit in logarithms.

    se: standard error of the exponent, widened by sqrt(chi2/freedom) when the fit is worse than its errors.
    n, width, width_se: the fitted points, in units of m*/n.
    """

    exponent: float
    se: float
    amplitude: float
    chi2: float
    freedom: int
    n: tuple[int, ...]
    width: tuple[float, ...]
    width_se: tuple[float, ...]


def width_scaling(samples: Sequence[ThresholdSample], *, resamples: int = 400, seed: int = 0) -> WidthScaling:
    """Fit the sharpening of the transition, one sample per n; sizes whose width is open or unmeasured are skipped."""
    rows: list[tuple[int, float, float]] = []
    for sample in sorted(samples, key=lambda s: s.n):
        # At level 68 % the bootstrap interval is two standard errors long.
        w = transition_width(sample, level=0.6827, resamples=resamples, seed=seed)
        error = (w.hi - w.lo) / 2.0
        if math.isfinite(w.width) and math.isfinite(error) and error > 0 and w.width > 0:
            rows.append((sample.n, w.width / sample.n, error / sample.n))
    if len(rows) < 3:
        raise InputError(
            f"the width's power law needs at least 3 sizes with a finite width, got {[r[0] for r in rows]}"
        )
    n, width, spread = (np.array(column, dtype=np.float64) for column in zip(*rows))
    design = np.column_stack((np.ones_like(n), -np.log(n)))
    sigma: FloatArray = spread / width
    covariance = np.linalg.inv((design / sigma[:, None]).T @ (design / sigma[:, None]))
    beta = covariance @ (design / sigma[:, None]).T @ (np.log(width) / sigma)
    chi2 = float(np.sum(((np.log(width) - design @ beta) / sigma) ** 2))
    freedom = len(rows) - 2
    return WidthScaling(
        exponent=float(beta[1]),
        se=float(math.sqrt(covariance[1, 1] * max(1.0, chi2 / freedom))),
        amplitude=float(math.exp(beta[0])),
        chi2=chi2,
        freedom=freedom,
        n=tuple(r[0] for r in rows),
        width=tuple(r[1] for r in rows),
        width_se=tuple(r[2] for r in rows),
    )

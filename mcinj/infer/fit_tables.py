"""What a scaling figure draws: the fits as a table, their residuals, their curves on a grid of sizes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mcinj.errors import InputError
from mcinj.infer.forms import FormFit
from mcinj.infer.reference import ReferenceSeries
from mcinj.infer.scaling import Extrapolation, ScalingFit

if TYPE_CHECKING:
    import pandas as pd


def fit_table(extrapolation: Extrapolation) -> pd.DataFrame:
    """One row per fit: form, reference, n_min, limit with bootstrap se and interval, chi2, freedom, p_value, aicc,
    delta_aicc, left_out_z, accepted. delta_aicc is against the best fit of the same reference and n_min."""
    import pandas as pd

    rows = [
        {
            "fit": f.name,
            "form": f.form,
            "reference": f.reference,
            "n_min": f.n_min,
            "limit": f.limit,
            "se": f.se,
            "lo": f.lo,
            "hi": f.hi,
            "chi2": f.chi2,
            "freedom": f.freedom,
            "p_value": f.p_value,
            "aicc": f.aicc,
            "left_out_z": f.left_out_z,
            "accepted": f.accepted,
        }
        for f in extrapolation.fits
    ]
    table = pd.DataFrame(rows)
    best = table.groupby(["reference", "n_min"])["aicc"].transform("min")
    table.insert(12, "delta_aicc", table["aicc"] - best)
    return table


def residual_table(extrapolation: Extrapolation) -> pd.DataFrame:
    """One row per fit and size: fit, n, alpha, sigma, fitted, residual (in standard errors)."""
    import pandas as pd

    parts = [
        pd.DataFrame(
            {
                "fit": f.name,
                "n": f.n,
                "alpha": f.alpha,
                "sigma": f.sigma,
                "fitted": f.fitted,
                "residual": f.residuals,
            }
        )
        for f in extrapolation.fits
    ]
    return pd.concat(parts, ignore_index=True)


def fitted_curves(
    extrapolation: Extrapolation, n: Sequence[int], references: Iterable[ReferenceSeries] = ()
) -> pd.DataFrame:
    """Every fit on a grid of sizes: fit, n, alpha (m/n), accepted.

    references: the reference series evaluated at all these n, for the ratio fits (reference_series(name, n)).
    """
    import pandas as pd

    by_name = {r.name: r for r in references}
    grid = np.asarray(list(n), dtype=np.int64)
    parts = []
    for f in extrapolation.fits:
        y = _form_of(f).predict(grid.astype(np.float64))[0]
        if f.reference:
            if f.reference not in by_name:
                raise InputError(f"fit {f.name!r} needs the {f.reference} series on the grid: pass references=")
            reference = by_name[f.reference]
            y = y * reference.at(grid) / reference.limit
        parts.append(pd.DataFrame({"fit": f.name, "n": grid, "alpha": y, "accepted": f.accepted}))
    return pd.concat(parts, ignore_index=True)


def _form_of(fit: ScalingFit) -> FormFit:
    """The fitted form alone, without replicates."""
    return FormFit(
        form=fit.form,
        limit=np.array([fit.limit]),
        coefficients=np.array([fit.coefficients]),
        chi2=np.array([fit.chi2]),
        fitted=fit.fitted[None, :],
    )

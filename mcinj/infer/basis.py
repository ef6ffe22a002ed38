"""Corrections to the limit n -> infinity that scaling version 2 allows, and how large it expects each to be.

A series is y(n) = y_inf + Σ_k c_k f_k(n) with Gaussian amplitudes c_k of standard deviation SCALES[k] times the size of
the series (`fit_basis`). Which terms may occur is an assumption about the law, so three sets are fitted side by side:

    logs   ln n/n, 1/n, ln n/n², 1/n², 1/n³       what counting gives: prefactors polynomial in n, and lattices
    full   the same with n^-2/3 and n^-4/3        edges of spectra, increasing subsequences, mean-field spin glasses
    wide   the same with n^-1/2                   what fluctuations of order n^1/2 give where they move the centre

Frozen: a change of a term or a scale is a new PROCEDURE_2 (docs/inference.md says on what they were fixed).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np

from mcinj.errors import InputError
from mcinj.infer.sample import FloatArray

PROCEDURE_2 = "mcinj scaling 2.1"

BasisName = Literal["logs", "full", "wide"]
BASIS_NAMES: tuple[BasisName, ...] = get_args(BasisName)

TERMS: Mapping[str, Callable[[FloatArray], FloatArray]] = MappingProxyType(
    {
        "n^-1/2": lambda n: n**-0.5,
        "n^-2/3": lambda n: n ** (-2.0 / 3.0),
        "ln n/n": lambda n: np.log(n) / n,
        "n^-1": lambda n: 1.0 / n,
        "n^-4/3": lambda n: n ** (-4.0 / 3.0),
        "ln n/n^2": lambda n: np.log(n) / n**2,
        "n^-2": lambda n: n**-2.0,
        "n^-3": lambda n: n**-3.0,
    }
)

# Standard deviations of the amplitudes over the size of the series. Largest eigenvalues and increasing subsequences
# have 0.9 to 1.1 at n^-2/3, the random energy model and coupons 0.26 and 0.36 at ln n/n.
SCALES: Mapping[str, float] = MappingProxyType(
    {
        "n^-1/2": 0.4,
        "n^-2/3": 0.8,
        "ln n/n": 0.5,
        "n^-1": 1.5,
        "n^-4/3": 1.0,
        "ln n/n^2": 1.4,
        "n^-2": 0.7,
        "n^-3": 0.7,
    }
)

_LOGS = ("ln n/n", "n^-1", "ln n/n^2", "n^-2", "n^-3")
_FULL = ("n^-2/3", "n^-4/3", *_LOGS)
BASES: Mapping[BasisName, tuple[str, ...]] = MappingProxyType(
    {"logs": _LOGS, "full": _FULL, "wide": ("n^-1/2", *_FULL)}
)

# Least sizes of the fits: the interval is the hull over all three, so that n_min is part of it.
N_MINS = (4, 5, 6)


def corrections(basis: BasisName, n: FloatArray) -> FloatArray:
    """The terms of a basis at sizes n > 0, each times its scale; shape (sizes, terms)."""
    if basis not in BASES:
        raise InputError(f"unknown basis {basis!r}: use one of {', '.join(BASIS_NAMES)}")
    x = np.asarray(n, dtype=np.float64)
    return np.column_stack([SCALES[term] * TERMS[term](x) for term in BASES[basis]])

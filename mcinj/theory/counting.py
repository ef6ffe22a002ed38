"""Exact expected counts of the cells of a Gaussian arrangement (integers and fractions, no floats).

A matrix A of m rows in R^n in general position cuts R^n into ``2 Σ_{i<n} C(m-1, i)`` open cones (Cover 1965;
Wendel 1962). Gaussian rows are symmetric one by one, so that every sign vector is equally likely to be one of
them; the expected number of cells with a given number of positive rows follows.
"""

from __future__ import annotations

from fractions import Fraction
from math import comb

from mcinj.theory.arguments import whole

__all__ = ["cells", "expected_cells", "expected_euler", "union_bound"]


def cells(m: int, n: int) -> int:
    """Open cells of m hyperplanes through the origin of R^n in general position: ``2 Σ_{i<n} C(m-1, i)``.

    Without hyperplanes (m = 0) there is one cell. Source: Cover (1965), theorem 1. Raises `InputError` unless
    m >= 0 and n >= 1.

    >>> cells(3, 2), cells(45, 6)
    (6, 2471988)
    """
    m, n = whole("m", m, 0), whole("n", n, 1)
    return _cells(m, n)


def expected_cells(m: int, n: int, j: int) -> int | Fraction:
    """Expected number of cells with exactly j positive rows among m Gaussian rows in R^n, exactly.

    ``N_j(m, n) = C(m, j) 2^{1-m} Σ_{i<n} C(m-1, i)``; the sum over j is the number of cells. An `int` when
    the value is whole, else a `Fraction`. Zero for j > m. Source: docs/theory.md §1 (symmetry of the rows
    with Cover's count). Raises `InputError` unless m >= 0, n >= 1, j >= 0.

    >>> expected_cells(3, 2, 1)
    Fraction(9, 4)
    >>> sum(expected_cells(7, 3, j) for j in range(8)) == cells(7, 3)
    True
    """
    m, n, j = whole("m", m, 0), whole("n", n, 1), whole("j", j, 0)
    return _reduced(Fraction(comb(m, j) * _cells(m, n), 2**m))


def union_bound(m: int, n: int) -> int | Fraction:
    """Expected number of cells with fewer than n positive rows: ``Σ_{j<n} N_j(m, n)``, exactly.

    By Markov's inequality an upper bound on P(not injective) for one Gaussian layer of m rows in R^n; it may
    exceed 1. An `int` when the value is whole, else a `Fraction`. Raises `InputError` unless m >= 0, n >= 1.

    >>> union_bound(5, 1)
    Fraction(1, 16)
    """
    m, n = whole("m", m, 0), whole("n", n, 1)
    return _reduced(Fraction(_partial_sum(m, n) * _cells(m, n), 2**m))


def expected_euler(m: int, n: int) -> int | Fraction:
    """Expected Euler characteristic of ``{x in S^{n-1} : at most n-1 entries of Ax are positive}``, exactly.

    A is m × n Gaussian, m >= n. The set is closed and a disjoint union of relatively open faces, each a ball
    of dimension n-1-z where z rows vanish, so

        Eχ = Σ_{z<n} (-1)^{n-1-z} C(m, z) [Σ_{p<n} C(m-z, p)] 2^{1-(m-z)} Σ_{i<n-z} C(m-z-1, i).

    For m < n faces are not balls, and `InputError` is raised. Empty set (injective layer): χ = 0. Source:
    docs/theory.md §1; Paleka (2021), Clum (2022), Maillard et al. arXiv:2302.14112 for its use as a
    heuristic.

    >>> expected_euler(2, 1), expected_euler(3, 3)
    (Fraction(1, 2), 1)
    """
    n = whole("n", n, 1)
    m = whole("m", m, n)
    total = 0  # in units of 2^-m
    for z in range(n):
        faces = comb(m, z) * _partial_sum(m - z, n) * _cells(m - z, n - z)
        total += (-1) ** (n - 1 - z) * (faces << z)
    return _reduced(Fraction(total, 2**m))


def _cells(m: int, n: int) -> int:
    return 1 if m == 0 else 2 * _partial_sum(m - 1, n)


def _partial_sum(m: int, n: int) -> int:
    """``Σ_{i<n} C(m, i)``, one multiplication and one division per term."""
    term, total = 1, 0
    for i in range(min(n, m + 1)):
        total += term
        term = term * (m - i) // (i + 1)
    return total


def _reduced(value: Fraction) -> int | Fraction:
    return value.numerator if value.denominator == 1 else value

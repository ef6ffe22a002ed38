"""The center kernel against a quadratic programme solved by another method; Farkas multipliers by definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog, nnls

from mcinj.numeric import cell


def _state(g):
    w = cell.padded(g)
    return np.zeros((g, w)), np.zeros(w), np.zeros(w), np.full(w, -1, dtype=np.int64)


def _settle(rows):
    g = rows.shape[1]
    signed = cell.padded_rows(rows)
    state = _state(g)
    r, z = np.zeros(signed.shape[1]), np.zeros(signed.shape[1])
    order = np.arange(len(rows), dtype=np.int64)
    status, row = cell.settle(signed, order, len(order), *state, r, z)
    return signed, state, r, status, row


def _min_norm(rows):
    """min |x| with rows·x >= 1 through NNLS of its dual (Lawson and Hanson, ch. 23)."""
    g = rows.shape[1]
    e = np.vstack([rows.T, np.ones(len(rows))])
    f = np.zeros(g + 1)
    f[-1] = 1.0
    u, residual = nnls(e, f, maxiter=10000)
    r = e @ u - f
    return None if residual < 1e-9 else -r[:g] / r[-1]


@pytest.mark.parametrize("g", [1, 2, 3, 5, 8, 9, 13])
def test_center_and_farkas_set(g):
    rng = np.random.default_rng(g)
    seen = {cell.FEASIBLE: 0, cell.EMPTY: 0}
    for k in range(40):
        rows = rng.standard_normal((1 + k % (2 * g + 3), g)) * np.exp(rng.uniform(-200, 200, (1 + k % (2 * g + 3), 1)))
        signed, (_, x, _, ids), r, status, row = _settle(rows)
        unit = signed[:, :g]
        seen[status] += 1
        feasible = linprog(np.zeros(g), A_ub=-unit, b_ub=-np.ones(len(unit)), bounds=(None, None)).status == 0
        assert feasible == (status == cell.FEASIBLE)
        if feasible:
            expected = _min_norm(unit)
            if expected is not None:
                np.testing.assert_allclose(x[:g], expected, rtol=1e-6, atol=1e-8 * np.linalg.norm(expected))
        else:
            active = ids[:g] >= 0
            y = -r[:g][active]
            assert (y >= -1e-12).all()
            np.testing.assert_allclose(unit[row] + y @ unit[ids[:g][active]], 0, atol=1e-8 * (1 + np.abs(y).sum()))
    assert min(seen.values()) > 0


@pytest.mark.parametrize("margin", [1e-3, 1e-6, 1e-9, 1e-11])
def test_thin_wedge_keeps_its_center(margin):
    rows = np.array([[1.0, 0.0, 0.0], [-1.0, margin, 0.0], [0.0, 0.0, 1.0]])
    signed, (_, x, _, _), _, status, _ = _settle(rows)
    assert status == cell.FEASIBLE
    assert (signed @ x > 0.5).all()
    assert 0.2 < np.linalg.norm(x) * margin < 5


def test_opposite_and_repeated_rows():
    b = np.random.default_rng(0).standard_normal((4, 4))
    assert _settle(np.vstack([b, b]))[3] == cell.FEASIBLE
    assert _settle(np.vstack([b, -b[:1]]))[3] == cell.EMPTY


def test_rows_at_both_ends_of_the_range():
    rows = cell.padded_rows([[1e300, -1e300], [1e-300, 2e-300], [5e-324, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), [1, 1, 1, 0], rtol=1e-14)

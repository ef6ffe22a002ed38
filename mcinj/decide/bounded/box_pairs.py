"""Lower bounds of |f(x) - f(x')| / |x - x'| for x in one box and x' in another, proved in floats.

*Secants.* Between x and x' a unit's output changes by d times what its pre-activation changes, d in [0, 1]; on boxes d
has a range, since secants of a convex function grow with both ends. So `f(x) - f(x') = M (x - x')` with
`M = D_L W_L … D_1 W_1`. With M₀ a member of that family, T near (M₀ᵀM₀)^(-1/2) and R = T M₀ᵀ, and λ a lower bound of
the eigenvalues of the symmetric part of R M T,

    |M v| >= |R M T (T⁻¹ v)| / |R| >= λ |T⁻¹ v| / |R| >= λ |v| / (|R| |T|).

By telescoping, with D⁰ the slopes of M₀,

    R M T = R M₀ T + Σ_k [R W_L D⁰_{L-1} … W_{k+1}] (D_k - D⁰_k) [W_k D_{k-1} … W_1 T],

so that a unit with a range of slopes counts once, with the column c and the row g left and right of it: its part of the
symmetric part has eigenvalues δ (c·g ± |c||g|) / 2. Only outputs that are active on both boxes are used.

*Separation.* A direction p with `p·(f(x) - f(x')) >= gap` gives gap / |p| over the largest distance. p·f is a linear
form on each box, up to the gaps of units without a fixed sign, each seen through the layers above it.
"""

from __future__ import annotations

import numpy as np

from mcinj.decide.bounded.box_forms import TINY, UNIT, Boxes, Flags, Floats, Forms, Weights

_LOWER = 0.1  # where in their ranges the slopes of the second member lie that is tried: active units rarely harm
_RIDGE = 1e-9
_MORE = 1.0 + 1e-12  # sums of a few dozen roundings


def secant_slopes(a: Forms, b: Forms, k: int) -> tuple[Floats, Floats]:
    """Least and largest slope of secants of layer k's units (from 0), one end in each box."""
    low = _secant(a.low[k], b.low[k])
    high = _secant(a.high[k], b.high[k])
    return np.maximum(low * (1.0 - 8.0 * UNIT), 0.0), np.minimum(high * (1.0 + 8.0 * UNIT), 1.0)


def _secant(s: Floats, t: Floats) -> Floats:
    top, rest = np.maximum(s, t), np.minimum(s, t)
    mixed = (top > 0.0) & (rest < 0.0)
    return np.where(mixed, top / np.where(mixed, top - rest, 1.0), (rest >= 0.0) & (top > 0.0))


def by_secants(layers: tuple[Weights, ...], a: Forms, b: Forms) -> Floats:
    """Lower bounds (N,) from the secant family; 0 where it is not proved to have rank n."""
    slopes = [secant_slopes(a, b, k) for k in range(len(layers))]
    on = ((a.low[-1] > 0.0) & (b.low[-1] > 0.0)) | layers[-1].linear
    best = _family(layers, slopes, on, 0.5)
    left = np.flatnonzero(best <= 0.0)
    if len(left):
        best[left] = _family(layers, [(lo[left], hi[left]) for lo, hi in slopes], on[left], _LOWER)
    return best


def _family(layers: tuple[Weights, ...], slopes: list[tuple[Floats, Floats]], on: Flags, share: float) -> Floats:
    """The same around the member whose slopes lie at `share` of their ranges."""
    first = layers[0]
    N, n = len(on), first.w.shape[1]
    L = len(layers)
    middle = [np.where(hi > lo, lo + share * (hi - lo), lo) for lo, hi in slopes]
    down = [(m - lo) * (1.0 + 8.0 * UNIT) for m, (lo, _) in zip(middle, slopes, strict=True)]
    up = [(hi - m) * (1.0 + 8.0 * UNIT) for m, (_, hi) in zip(middle, slopes, strict=True)]
    # Rows of all layers in the inputs, (N, n, m): of the middle member, and how far those of others are from them.
    G = [np.broadcast_to(first.w.T, (N, *first.w.T.shape))]
    rounding = np.full(N, 2.0 * UNIT * float(first.size.max()))
    away = [np.broadcast_to(rounding[:, None, None], G[0].shape)]
    for k in range(1, L):
        layer = layers[k]
        before = middle[k - 1][:, None, :] * G[-1]
        most = np.abs(G[-1]).max(axis=(1, 2))
        rounding = float(layer.rows.max()) * (rounding + 2.0 * layer.gamma * most) * _MORE + TINY
        if k < L - 1:
            far = np.maximum(down[k - 1], up[k - 1])
            rest = far[:, None, :] * np.abs(G[-1]) + slopes[k - 1][1][:, None, :] * away[-1]
            away.append((rest @ layer.size.T) * (1.0 + layer.gamma) * _MORE + rounding[:, None, None])
        G.append(before @ layer.w.T)
    M = G[-1] * on[:, None, :]
    gram = M @ M.transpose(0, 2, 1)
    trace = np.trace(gram, axis1=1, axis2=2)
    safe = np.where(trace > 0.0, trace, 1.0)
    values, vectors = np.linalg.eigh(gram / safe[:, None, None])
    good = (trace > 0.0) & (values[:, 0] > 1e-13)
    root = 1.0 / np.sqrt(np.where(good[:, None], values, 1.0)) / np.sqrt(safe)[:, None]
    T = (vectors * root[:, None, :]) @ vectors.transpose(0, 2, 1)  # near (MᵀM)^(-1/2), symmetric up to rounding
    T = (T + T.transpose(0, 2, 1)) / 2
    R = T @ M  # (N, n, m), near orthonormal rows
    size = np.abs(T)
    P = (R @ M.transpose(0, 2, 1)) @ T
    total = np.abs(R).sum(axis=2)
    most = np.abs(M).max(axis=(1, 2))
    last = 4.0 * UNIT * (R.shape[2] + 8)
    off = np.abs(P - np.eye(n)) + (total * (rounding + last * most)[:, None])[:, :, None] * size.sum(axis=1)[:, None, :]
    value = 1.0 - np.sqrt((off * off).sum(axis=(1, 2))) * _MORE
    C, err = R, np.zeros(N)
    for k in range(L - 2, -1, -1):
        above = layers[k + 1]
        most = np.abs(C).max(axis=(1, 2))
        gamma = 2.0 * UNIT * (above.w.shape[0] + 8)
        err = above.columns * (err + 2.0 * gamma * most) * _MORE + TINY
        C = C @ above.w
        g = T @ G[k]
        spare = size @ (away[k] + 2.0 * UNIT * (n + 8) * np.abs(G[k]))
        cc, gg = np.sqrt((C * C).sum(axis=1)) * _MORE, np.sqrt((g * g).sum(axis=1)) * _MORE
        cg = (C * g).sum(axis=1)
        more = np.sqrt((spare * spare).sum(axis=1)) * _MORE
        # The least eigenvalue of the symmetric part of δ c gᵀ is δ (c·g - |c| |g|) / 2 for δ > 0.
        loss = np.maximum(up[k] * (cc * gg - cg), down[k] * (cc * gg + cg)) / 2
        wide = np.maximum(up[k], down[k])
        e = (err * np.sqrt(n))[:, None]
        loss = np.maximum(loss, 0.0) + wide * (cc * more + e * (gg + more) + 8.0 * UNIT * (n + 4) * cc * gg)
        value = value - loss.sum(axis=1) * (1.0 + 2.0 * UNIT * (loss.shape[1] + 8))
        C = C * middle[k][:, None, :]
    with np.errstate(all="ignore"):
        value = value / (_norm(R) * _norm(T)) * (1.0 - 1e-12)
    return np.where(good & np.isfinite(value) & (value > TINY), value, 0.0)


def _norm(R: Floats) -> Floats:
    """Upper bounds of spectral norms: `|R|^16 <= tr (R Rᵀ)^8`."""
    gram = R @ R.transpose(0, 2, 1)
    trace = np.trace(gram, axis1=1, axis2=2)
    safe = np.where(trace > 0.0, trace, 1.0)
    power = gram / safe[:, None, None]
    for _ in range(3):
        power = power @ power
    return np.asarray(np.sqrt(safe) * np.trace(power, axis1=1, axis2=2) ** (1.0 / 16.0) * (1.0 + 1e-9))


def by_separation(layers: tuple[Weights, ...], A: Boxes, B: Boxes, a: Forms, b: Forms) -> Floats:
    """Lower bounds (N,) from a direction that separates the two images; 0 where none was found."""
    n = A.center.shape[1]
    apart = a.c - b.c
    error = a.e + b.e
    sides = [a.J[:, :, :n] * A.radius[:, None, :], b.J[:, :, :n] * B.radius[:, None, :]]
    if A.spread.any():
        sides.append((a.J[:, :, n:] - b.J[:, :, n:]) * A.spread[:, None, None])
    S = np.concatenate(sides, axis=2)  # (N, m, 2n or 2n + 1)
    reach = np.abs(S).sum(axis=2)
    size = np.abs(a.c) + np.abs(b.c) + reach
    slack = 16.0 * UNIT * (size + error)
    best = (np.abs(apart) - reach - error - slack).max(axis=1)
    firm = (a.gap[-1] == 0.0) & (b.gap[-1] == 0.0)
    gamma = 4.0 * UNIT * (apart.shape[1] + 8)
    masked = S * firm[:, :, None]
    d = apart * firm
    gram = masked.transpose(0, 2, 1) @ masked
    side = masked.transpose(0, 2, 1) @ d[:, :, None]
    trace = np.trace(gram, axis1=1, axis2=2)
    safe = np.where(trace > 0.0, trace, 1.0)
    along = np.linalg.solve(gram / safe[:, None, None] + _RIDGE * np.eye(gram.shape[1]), side) / safe[:, None, None]
    for p in (d, d - (masked @ along)[:, :, 0]):
        length = np.sqrt((p * p).sum(axis=1)) * _MORE
        total = np.abs(p).sum(axis=1)
        value = (p * apart).sum(axis=1) - np.abs(p[:, None, :] @ S).sum(axis=(1, 2))
        value = value - _spread(layers, a, p) - _spread(layers, b, p)
        value = value - gamma * (np.abs(p) * size).sum(axis=1) - total * (a.rounding + b.rounding) * _MORE
        best = np.maximum(best, np.where(length > TINY, value / np.where(length > TINY, length, 1.0), 0.0))
    farthest = np.sqrt(((np.abs(A.center - B.center) + A.radius + B.radius) ** 2).sum(axis=1)) * _MORE
    return np.where(best > TINY, best / farthest * (1.0 - 1e-12), 0.0)


def _spread(layers: tuple[Weights, ...], a: Forms, p: Floats) -> Floats:
    """How far p·f may lie from p times the linear forms: every unit's gap, seen through the layers above it."""
    q, err = p, np.zeros(len(p))
    found = np.zeros(len(p))
    for k in range(len(layers) - 1, -1, -1):
        # The outputs of layer k differ from their form by at most gap / 2.
        found = found + ((np.abs(q) + err[:, None]) * a.gap[k]).sum(axis=1) / 2
        if k:
            layer = layers[k]
            most = np.abs(q).max(axis=1)
            err = layer.columns * (err + 2.0 * UNIT * (layer.w.shape[0] + 8) * most) * _MORE + TINY
            q = (q * a.slope[k]) @ layer.w
    return found * (1.0 + 1e-11)

"""Series whose limits are known, exactly computable at each n: what the extrapolation is tested on.

Counting: where an expectation crosses a level, coupons (maxima of geometric variables), the random energy model,
Wendel's half-spaces, random assignment. Edges: largest eigenvalues of random matrices, increasing subsequences.
Fluctuations: birthdays, and quantiles of Wendel's law other than the median. Sources stand at the functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from mcinj.infer.basis import BasisName
from mcinj.infer.reference import SeriesName, known_limit, reference_series
from mcinj.infer.sample import FloatArray

# "scales": the scales of basis.py were fixed on it; "fresh": computed after they were frozen.
Role = Literal["scales", "fresh"]


@dataclass(frozen=True)
class KnownSeries:
    """y(n), computable, and its limit. needs: the smallest basis that holds its leading corrections."""

    name: str
    needs: BasisName
    role: Role
    limit: float
    value: Callable[[int], float]

    def at(self, sizes: Sequence[int]) -> FloatArray:
        """y at the sizes, shape (sizes,)."""
        return np.array([self.value(int(n)) for n in sizes])


@lru_cache(maxsize=8)
def _gauss(count: int) -> tuple[FloatArray, FloatArray]:
    x, w = np.polynomial.legendre.leggauss(count)
    return x, w


def _nodes(low: float, high: float, count: int) -> tuple[FloatArray, FloatArray]:
    x, w = _gauss(count)
    return (high - low) / 2.0 * x + (high + low) / 2.0, (high - low) / 2.0 * w


def wendel_quantile(n: int, q: float) -> float:
    """Width at which the probability that no half-space holds all points crosses q, linear between integers, over n.

    m symmetric points in R^n lie in one half-space with probability P(Bin(m - 1, 1/2) < n) (Wendel, Math. Scand. 11,
    1962). The median is 2 n exactly: m = 2 n points do with probability 1/2.
    """
    from scipy.special import bdtr

    m = np.arange(1, 6 * n + 40)
    p = np.asarray(1.0 - bdtr(n - 1, m - 1, 0.5), dtype=np.float64)
    k = int(np.argmax(p >= q))
    return float(m[k - 1] + (q - p[k - 1]) / (p[k] - p[k - 1])) / n


def narrow_mean(name: SeriesName, n: int) -> float:
    """Mean over n of the law P(m* > m) = min(1, expectation), made non-increasing: Σ_m P(m* > m)."""
    from mcinj.theory import expected_euler, union_bound

    expectation = union_bound if name == "union" else expected_euler
    value = np.array([float(expectation(int(m), n)) for m in range(n, 30 * n)])
    return float(n + np.minimum(np.maximum.accumulate(value[::-1])[::-1], 1.0).sum()) / n


def coupons(count: int, miss: float) -> float:
    """Mean number of rounds until `count` independent coupons have each been drawn; one is missed with probability
    `miss` each round: Σ_m 1 - (1 - miss^m)^count."""
    rounds = 1.0  # m = 0
    for m in range(1, int((math.log(count) + 45.0) / -math.log(miss)) + 1):
        rounds -= math.expm1(count * math.log1p(-(miss**m)))
    return rounds


def random_energies(n: int, base: float) -> float:
    """Mean of the largest of base^n Gaussians of variance n, over n (Derrida 1981): limit sqrt(2 ln base)."""
    from scipy.special import log_ndtr

    log_count = n * math.log(base)
    count = math.exp(log_count)
    x, w = _nodes(0.0, math.sqrt(2.0 * log_count) + 12.0, 400)
    above = float(np.sum(w * -np.expm1(count * log_ndtr(x))))
    x, w = _nodes(-12.0, 0.0, 200)
    return (above - float(np.sum(w * np.exp(count * log_ndtr(x))))) / math.sqrt(n)


def _largest(functions: Callable[[FloatArray], FloatArray], low: float, high: float, top: float) -> float:
    """Mean of the largest of a determinantal process: P(largest <= s) = det(1 - K on (s, top)), by Gauss–Legendre
    (Bornemann, Math. Comp. 79, 2010). functions: the orthonormal functions at points x, shape (n, len(x))."""
    s, weight = _nodes(low, high, 160)
    below = []
    for at in s:
        x, w = _nodes(float(at), top, 80)
        a = functions(x) * np.sqrt(w)
        below.append(np.linalg.det(np.eye(a.shape[0]) - a @ a.T))
    return float(low + np.sum(weight * (1.0 - np.array(below))))


def wishart_edge(n: int, excess: int) -> float:
    """Mean of the largest eigenvalue of X X*, X complex Gaussian n x (n + excess), over n."""

    def functions(x: FloatArray) -> FloatArray:
        first = np.exp((excess * np.log(x) - x - math.lgamma(excess + 1.0)) / 2.0)
        rows = [first, (1.0 + excess - x) * first / math.sqrt(1.0 + excess)]
        for k in range(1, n - 1):
            up, down = math.sqrt((k + 1.0) * (k + 1.0 + excess)), math.sqrt(k * (k + excess))
            rows.append(((2 * k + 1 + excess - x) * rows[k] - down * rows[k - 1]) / up)
        return np.array(rows[:n])

    edge = (math.sqrt(n) + math.sqrt(n + excess)) ** 2
    spread = edge / n ** (2.0 / 3.0)
    return _largest(functions, 0.0, edge + 6.0 * spread + 30.0, edge + 10.0 * spread + 60.0) / n


def hermitian_edge(n: int) -> float:
    """Mean of the largest eigenvalue of a complex Hermitian Gaussian matrix (unit variance) over sqrt(n): limit 2."""

    def functions(x: FloatArray) -> FloatArray:
        rows = [np.exp(-x * x / 4.0) / (2.0 * math.pi) ** 0.25]
        rows.append(x * rows[0])
        for k in range(1, n - 1):
            rows.append((x * rows[k] - math.sqrt(k) * rows[k - 1]) / math.sqrt(k + 1.0))
        return np.array(rows[:n])

    edge = 2.0 * math.sqrt(n)
    return _largest(functions, -edge - 6.0, edge + 8.0, edge + 14.0) / math.sqrt(n)


def increasing_subsequence(n: int) -> float:
    """Mean longest increasing subsequence of a random permutation of Poisson(n²) letters, over n: limit 2.

    P(length <= k) = det(1 - K) on {k, k+1, …}, K(i, j) = Σ_{l >= 1} J_{i+l}(2n) J_{j+l}(2n) (Borodin, Okounkov,
    Olshanski, J. AMS 13, 2000; Johansson 2001).
    """
    from scipy.special import jv

    top = 2 * n + int(12.0 * n ** (1.0 / 3.0)) + 20
    bessel = np.append(jv(np.arange(2 * top), 2.0 * n), 0.0)
    total = 0.0
    for k in range(top):
        i, step = np.arange(k, top)[:, None], np.arange(1, top)[None, :]
        a = bessel[np.minimum(i + step, 2 * top)]
        total += 1.0 - float(np.linalg.det(np.eye(top - k) - a @ a.T))
    return total / n


def birthday(n: int) -> float:
    """Mean number of draws until a birthday among n days repeats, over sqrt(n): limit sqrt(pi/2) (TAOCP 1.2.11.3)."""
    total, unseen = 0.0, 1.0
    for k in range(n + 1):
        total += unseen
        unseen *= (n - k) / n
    return total / math.sqrt(n)


def chi_mean(n: int) -> float:
    """Mean length of a Gaussian vector over sqrt(n): limit 1."""
    return math.sqrt(2.0 / n) * math.exp(math.lgamma((n + 1) / 2.0) - math.lgamma(n / 2.0))


@lru_cache(maxsize=4096)
def _crossing(name: SeriesName, level: float, n: int) -> float:
    return float(reference_series(name, [n], level=level).alpha[0])


def _entropy(ratio: int) -> float:
    """Limit of log2 C(ratio n, n) / n."""
    return ratio * math.log2(ratio) - (ratio - 1) * math.log2(ratio - 1)


def exact_series() -> list[KnownSeries]:
    """All exactly computable series, those that fixed the scales first."""
    union, euler = known_limit("union"), known_limit("euler")
    found = [
        KnownSeries("union bound crosses 1/2", "logs", "scales", union, lambda n: _crossing("union", 0.5, n)),
        KnownSeries("Euler crosses 1/2", "logs", "scales", euler, lambda n: _crossing("euler", 0.5, n)),
        KnownSeries("mean of the union law", "logs", "scales", union, lambda n: narrow_mean("union", n)),
        KnownSeries("mean of the Euler law", "logs", "scales", euler, lambda n: narrow_mean("euler", n)),
        KnownSeries("Wendel, median", "logs", "scales", 2.0, lambda n: wendel_quantile(n, 0.5)),
        KnownSeries("Wendel, mean", "logs", "scales", 2.0, lambda n: 2.0 + 1.0 / n),
        KnownSeries(
            "coupons, C(3n, n)", "logs", "scales", _entropy(3), lambda n: coupons(math.comb(3 * n, n), 0.5) / n
        ),
        KnownSeries("coupons, 2^n", "logs", "scales", 1.0, lambda n: coupons(2**n, 0.5) / n),
        KnownSeries(
            "random energies, 2^n", "logs", "scales", math.sqrt(2 * math.log(2)), lambda n: random_energies(n, 2.0)
        ),
        KnownSeries(
            "assignment", "logs", "scales", math.pi**2 / 6, lambda n: sum(1.0 / k**2 for k in range(1, n + 1))
        ),  # Aldous 2001; Linusson & Wästlund, Nair, Prabhakar & Sharma 2003
        KnownSeries("Wishart edge, square", "full", "scales", 4.0, lambda n: wishart_edge(n, 0)),
        KnownSeries("Hermitian edge", "full", "scales", 2.0, hermitian_edge),
        KnownSeries("increasing subsequence", "full", "scales", 2.0, increasing_subsequence),
        KnownSeries("birthdays", "wide", "scales", math.sqrt(math.pi / 2), birthday),
    ]
    names: tuple[tuple[SeriesName, str, float], ...] = (("union", "union bound", union), ("euler", "Euler", euler))
    for name, title, limit in names:
        for level in (0.05, 0.25, 0.9, 1.5):
            found.append(
                KnownSeries(
                    f"{title} crosses {level:g}",
                    "logs",
                    "fresh",
                    limit,
                    lambda n, name=name, level=level: _crossing(name, level, n),  # type: ignore[misc]
                )
            )
    root = math.sqrt(2.0)
    return [
        *found,
        KnownSeries("coupons, C(4n, n)", "logs", "fresh", _entropy(4), lambda n: coupons(math.comb(4 * n, n), 0.5) / n),
        KnownSeries(
            "coupons, C(2n, n), two thirds missed",
            "logs",
            "fresh",
            math.log(4) / math.log(1.5),
            lambda n: coupons(math.comb(2 * n, n), 2.0 / 3.0) / n,
        ),
        KnownSeries(
            "random energies, 4^n", "logs", "fresh", math.sqrt(2 * math.log(4)), lambda n: random_energies(n, 4.0)
        ),
        KnownSeries("length of a Gaussian vector", "logs", "fresh", 1.0, chi_mean),
        KnownSeries("Wishart edge, n x 2n", "full", "fresh", (1 + root) ** 2, lambda n: wishart_edge(n, n)),
        KnownSeries("Wishart edge, n x 5n", "full", "fresh", (1 + math.sqrt(5)) ** 2, lambda n: wishart_edge(n, 4 * n)),
        KnownSeries("Wendel, 75 % quantile", "wide", "fresh", 2.0, lambda n: wendel_quantile(n, 0.75)),
        KnownSeries("Wendel, 90 % quantile", "wide", "fresh", 2.0, lambda n: wendel_quantile(n, 0.9)),
    ]


def made_up_series() -> list[KnownSeries]:
    """Laws with limit 6.7 and about the data's values at n = 5 … 16, by their leading corrections."""
    laws: tuple[tuple[str, BasisName, Callable[[float], float]], ...] = (
        ("ln n/n", "logs", lambda n: -3 * math.log(n) / n - 3 / n + 2 / n**2),
        ("1/n, 1/n²", "logs", lambda n: -8.6 / n + 6 / n**2),
        ("1/(n + 0.8)", "logs", lambda n: -8.5 / (n + 0.8)),
        ("n^-2/3", "full", lambda n: -4.4 * n ** (-2 / 3)),
        ("n^-2/3, 1/n", "full", lambda n: -3 * n ** (-2 / 3) - 3 / n + 2 / n**2),
        ("n^-2/3 against 1/n", "full", lambda n: -5.6 * n ** (-2 / 3) + 3 / n - 2 / n**2),
        ("n^-2/3, n^-4/3", "full", lambda n: -4.6 * n ** (-2 / 3) + n ** (-4 / 3)),
        ("n^-2/3, ln n/n", "full", lambda n: -2 * n ** (-2 / 3) - 1.5 * math.log(n) / n - 1.5 / n),
        ("n^-3/4", "full", lambda n: -5.2 * n**-0.75),
        ("n^-5/6", "full", lambda n: -6 * n ** (-5 / 6)),
        ("n^-1/2", "wide", lambda n: -3.3 * n**-0.5),
        ("n^-1/2, 1/n", "wide", lambda n: -1.5 * n**-0.5 - 4.5 / n),
        ("ln² n/n", "wide", lambda n: -1.5 * math.log(n) ** 2 / n - 4 / n),
    )
    return [
        KnownSeries(f"6.7 + {name}", needs, "scales", 6.7, lambda n, law=law: 6.7 + law(n))  # type: ignore[misc]
        for name, needs, law in laws
    ]


def random_laws(count: int, seed: int = 0) -> list[KnownSeries]:
    """Laws with limit 6.7 whose amplitudes at n^-2/3, ln n/n, 1/n, n^-4/3 and 1/n² are drawn at random (uniformly, of
    any sign) and that pass within 0.2 of 5.3 at n = 5 and of 5.9 at n = 11, as the data do. All fresh."""
    rng = np.random.default_rng(seed)
    found: list[KnownSeries] = []
    while len(found) < count:
        a, b, c, d, e = (float(v) for v in rng.uniform(-1, 1, 5) * (7.0, 5.0, 12.0, 7.0, 7.0))

        def value(n: int, a: float = a, b: float = b, c: float = c, d: float = d, e: float = e) -> float:
            return float(6.7 + a * n ** (-2 / 3) + b * math.log(n) / n + c / n + d * n ** (-4 / 3) + e / n**2)

        if abs(value(5) - 5.3) < 0.2 and abs(value(11) - 5.9) < 0.2:
            found.append(KnownSeries(f"6.7 + random {len(found) + 1}", "full", "fresh", 6.7, value))
    return found

"""The least singular value σ* of one Gaussian layer above its transition: how large is it, and how does it grow?

σ* (docs/stability.md) is 0 below the threshold m* of a layer's stream of rows and positive from m* on, by definition;
the question is how large. The streams are those of results/one_layer, whose m* is proved; σ* is enclosed by proof at
m* and at widths beyond it.
    python experiments/sigma.py draw [--most-seconds S]    goes on with results/stability/trials.parquet
    python experiments/sigma.py                            tables and figure from it
Fits of mean σ*/√n against x = (m - m*)/n, intervals (95 %) by resampling streams: C x^β for each n, over two ranges of
x; and C (x + c/n)^β for all n together, where c/n stands for what a layer has at its own threshold.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas
from scipy.optimize import least_squares

from mcinj.decide.check import as_network
from mcinj.infer.intervals import student_half
from mcinj.networks import RowStream
from mcinj.quantify.search import Rows
from mcinj.quantify.singular import least_singular
from mcinj.show.style import MARKERS, figure, save, shade
from mcinj.show.tables import write_csv

results = Path(__file__).resolve().parent.parent / "results"
STREAMS = {2: 120, 3: 80, 4: 60, 5: 40, 6: 24}
BEYOND = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0)  # (m - m*)/n
RATIOS = (10, 14)  # m/n, where that is beyond m*
RANGES = ((0.5, 2.0), (1.0, 6.0))  # of x, in the fits
TOLERANCE = 1e-3
BUDGET = 1_000_000
RESAMPLED = 400


def widths(n: int, m_star: int) -> list[int]:
    """Widths at which σ* is enclosed, from m* on."""
    wanted = {m_star + round(x * n) for x in BEYOND} | {a * n for a in RATIOS}
    return sorted(m for m in wanted if m >= m_star)


def draw(path: Path, seconds: float) -> None:
    """Enclose σ* of streams that the table does not hold yet, every n in turn, for so many seconds."""
    columns = ["n", "seed", "trial", "m_lo", "m_hi"]
    proved = pandas.read_parquet(results / "one_layer" / "trials.parquet", columns=columns)
    proved = proved[(proved["m_hi"] == proved["m_lo"] + 1) & (proved["trial"] < proved["n"].map(STREAMS).fillna(0))]
    # By the share of its streams that each comes after, so that an early end leaves the same share of all sizes.
    proved = proved.assign(share=proved["trial"] / proved["n"].map(STREAMS)).sort_values(["share", "n"])
    parts = [pandas.read_parquet(path)] if path.exists() else []
    held = {(n, t) for part in parts for n, t in zip(part["n"], part["trial"], strict=True)}
    started, rows = time.monotonic(), []
    for stream in proved.itertuples():
        if (stream.n, stream.trial) in held:
            continue
        if time.monotonic() - started > seconds:
            break
        source, m_star = RowStream("gaussian", stream.n, stream.seed), int(stream.m_hi)
        for m in widths(stream.n, m_star):
            layer = as_network(source.take(m)).exact_weights[0]
            found = least_singular(Rows.of(layer, None), tolerance=TOLERANCE, limit=BUDGET)
            key = (stream.n, stream.trial, stream.seed, m_star, m)
            rows.append([*key, found.low, found.high, found.nodes, found.complete])
    names = ["n", "trial", "seed", "m_star", "m", "sigma_lo", "sigma_hi", "nodes", "complete"]
    table = pandas.concat([*parts, pandas.DataFrame(rows, columns=names)], ignore_index=True)
    path.parent.mkdir(exist_ok=True)
    table.sort_values(["n", "trial", "m"]).to_parquet(path, index=False)
    print(f"{len(rows)} more widths, {len(table)} in {path.name}")


def grid(table: pandas.DataFrame) -> dict[int, np.ndarray]:
    """For each n, σ*/√n as (streams, len(BEYOND)), the upper ends of the enclosures, at m = m* + round(x n)."""
    found = {}
    for n, part in table.groupby("n"):
        wide = part.pivot(index="trial", columns="m", values="sigma_hi")
        star = part.groupby("trial")["m_star"].first().loc[wide.index]
        at = np.array([[wide.at[t, m + round(x * n)] for x in BEYOND] for t, m in star.items()])
        found[int(n)] = at / np.sqrt(n)
    return found


def excess(n: int) -> np.ndarray:
    """(m - m*)/n at the widths of the grid, after rounding."""
    return np.array([round(x * n) / n for x in BEYOND])


def power(x: np.ndarray, y: np.ndarray) -> float:
    """Exponent of a power law through means, by least squares of logarithms."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def by_size(values: dict[int, np.ndarray], low: float, high: float) -> np.ndarray:
    """Exponent of a power of x for each n, over that range of x."""
    found = []
    for n, v in values.items():
        x = excess(n)
        inside = (x >= low - 1e-9) & (x <= high + 1e-9)
        found.append(power(x[inside], v.mean(axis=0)[inside]))
    return np.array(found)


def together(values: dict[int, np.ndarray], errors: dict[int, np.ndarray]) -> np.ndarray:
    """C, c, β of `C (x + c/n)^β` by least squares, and χ²; errors: standard errors of the means by n, the weights."""
    x = np.concatenate([excess(n) for n in values])
    sizes = np.concatenate([np.full(len(BEYOND), n) for n in values])
    means = np.concatenate([v.mean(axis=0) for v in values.values()])
    weights = 1.0 / np.concatenate([errors[n] for n in values])

    def residuals(p: np.ndarray) -> np.ndarray:
        return (np.exp(p[0]) * (x + np.exp(p[1]) / sizes) ** p[2] - means) * weights

    found = least_squares(residuals, [-2.0, 0.0, 1.0])
    return np.array([np.exp(found.x[0]), np.exp(found.x[1]), found.x[2], 2 * found.cost])


def resampled(
    values: dict[int, np.ndarray], estimate: Callable[[dict[int, np.ndarray]], float | np.ndarray]
) -> np.ndarray:
    """95 % intervals of an estimate, shape (2, …), by resampling streams."""
    rng = np.random.default_rng(0)
    draws = [estimate({n: v[rng.integers(0, len(v), len(v))] for n, v in values.items()}) for _ in range(RESAMPLED)]
    return np.quantile(np.array(draws), [0.025, 0.975], axis=0)


def show(folder: Path) -> None:
    """Print the tables; write `summary.csv` and the figure."""
    table = pandas.read_parquet(folder / "trials.parquet")
    values = grid(table)
    rows = [
        [n, len(v), float(x), float(column.mean()), student_half(column), float(np.median(column))]
        for n, v in values.items()
        for x, column in zip(excess(n), v.T, strict=True)
    ]
    summary = pandas.DataFrame(rows, columns=["n", "streams", "excess", "mean", "half", "median"])
    write_csv(summary, folder / "summary.csv")
    print(summary.pivot(index="n", columns="excess", values="mean").round(3).to_string(na_rep="–"))

    told = (f"n = {n} {v[:, 0].mean():.3f} ± {student_half(v[:, 0]):.3f}" for n, v in values.items())
    print("σ*/√n at m*, 95 % (Student):", ", ".join(told))
    sizes = np.array(list(values))

    def at_threshold(v: dict[int, np.ndarray]) -> float:
        return power(sizes, np.array([w[:, 0].mean() for w in v.values()]))

    low, high = resampled(values, at_threshold)
    print(f"at m*: mean σ*/√n falls as n^{at_threshold(values):.2f} [{low:.2f}, {high:.2f}]")
    for a, b in RANGES:
        found = by_size(values, a, b)
        ends = resampled(values, partial(by_size, low=a, high=b))
        told = (f"n = {n} {e:.2f} [{lo:.2f}, {hi:.2f}]" for n, e, lo, hi in zip(values, found, *ends, strict=True))
        print(f"exponent over x = {a:g} … {b:g}:", ", ".join(told))
    errors = {n: v.std(axis=0, ddof=1) / np.sqrt(len(v)) for n, v in values.items()}
    fit, ends = together(values, errors), resampled(values, partial(together, errors=errors))
    told = (
        f"{k} = {p:.2f} [{lo:.2f}, {hi:.2f}]" for k, p, lo, hi in zip(("C", "c", "β", "χ²"), fit, *ends, strict=True)
    )
    print("all n:", ", ".join(told), f"({len(summary) - 3} degrees of freedom)")

    with figure(figsize=(9.6, 4.2), ncols=2) as (fig, (left, right)):
        for k, (n, v) in enumerate(values.items()):
            look = {
                "color": shade(k, len(values)),
                "marker": MARKERS[k],
                "markersize": 4,
                "linewidth": 0.9,
                "capsize": 2,
            }
            half = [student_half(column) for column in v.T]
            left.errorbar(excess(n), v.mean(axis=0), yerr=half, label=f"n = {n}, {len(v)} streams", **look)
            right.errorbar(excess(n) + fit[1] / n, v.mean(axis=0), yerr=half, **{**look, "linestyle": "none"})
        x = np.geomspace(0.8 * fit[1] / sizes[-1], 9.0, 80)
        right.plot(x, fit[0] * x ** fit[2], color="0.0", linewidth=1.0)
        right.annotate(f"$x^{{{fit[2]:.2f}}}$", (x[20], fit[0] * x[20] ** fit[2]), (6, -14), textcoords="offset points")
        left.set(xlabel="(m - m*)/n", ylabel="mean σ*/√n", title="Least singular value beyond each layer's m*")
        right.set(
            xlabel=f"(m - m*)/n + {fit[1]:.2f}/n", xscale="log", yscale="log", title="The same, one curve for all n"
        )
        left.set_ylim(bottom=0.0)
        left.legend(title="means, 95 %", loc="upper left")
        (folder / "figures").mkdir(exist_ok=True)
        save(fig, folder / "figures", "sigma")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("what", nargs="?", choices=["draw", "show"], default="show")
    options.add_argument("--most-seconds", type=float, default=float("inf"))
    given = options.parse_args()
    if given.what == "draw":
        draw(results / "stability" / "trials.parquet", given.most_seconds)
    else:
        show(results / "stability")

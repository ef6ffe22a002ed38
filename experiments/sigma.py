"""The least singular value σ* of one Gaussian layer above its transition: how large is it, and how does it grow?

σ* (docs/stability.md) is 0 below the threshold m* of a layer's stream of rows and positive from m* on, by definition;
the question is how large. The streams are those of results/one_layer, whose m* is proved; σ* is enclosed by proof at
m* and at widths beyond it.
    python experiments/sigma.py draw [--most-seconds S]    goes on with results/stability/trials.parquet
    python experiments/sigma.py                            tables and figure from it
Fits of means against x = (m - m*)/n, intervals (95 %) by resampling streams: C x^β for σ*/√n as it is, over two ranges
of x, and for its growth beyond the threshold, [σ*(m) - σ*(m*)]/√n.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas

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
RANGES = ((0.4, 2.0), (1.0, 6.0))  # of x, in the fits
GROWTH = (0.4, 6.0)
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
    grown = {n: v - v[:, :1] for n, v in values.items()}
    found, ends = by_size(grown, *GROWTH), resampled(grown, partial(by_size, low=GROWTH[0], high=GROWTH[1]))
    told = (f"n = {n} {e:.2f} [{lo:.2f}, {hi:.2f}]" for n, e, lo, hi in zip(grown, found, *ends, strict=True))
    print(f"exponent of the growth over x = {GROWTH[0]:g} … {GROWTH[1]:g}:", ", ".join(told))
    found, ends = rate(grown), resampled(grown, rate)
    told = (f"n = {n} {e:.3f} [{lo:.3f}, {hi:.3f}]" for n, e, lo, hi in zip(grown, found, *ends, strict=True))
    print("growth to x = 6, per unit of x:", ", ".join(told))
    draw_figure(values, grown, folder / "figures")


def rate(grown: dict[int, np.ndarray]) -> np.ndarray:
    """Mean growth of σ*/√n from m* to the last width, per unit of x, for each n."""
    return np.array([v[:, -1].mean() / BEYOND[-1] for v in grown.values()])


def draw_figure(values: dict[int, np.ndarray], grown: dict[int, np.ndarray], folder: Path) -> None:
    """Means of σ*/√n, and of its growth on logarithmic axes with a line of slope 1."""
    folder.mkdir(exist_ok=True)
    with figure(figsize=(9.6, 4.2), ncols=2) as (fig, (left, right)):
        for k, n in enumerate(values):
            look = {"color": shade(k, len(values)), "marker": MARKERS[k], "markersize": 4, "capsize": 2}
            x = excess(n)
            for axes, v in ((left, values[n]), (right, grown[n])):
                half = [student_half(column) for column in v.T]
                shown = slice(0 if axes is left else 1, None)  # the growth is 0 at m*
                shift = 1.0 if axes is left else 1.0 + 0.015 * (k - 2)  # beside one another
                axes.errorbar(
                    x[shown] * shift, v.mean(axis=0)[shown], yerr=half[shown], linewidth=0.9 if axes is left else 0.0,
                    elinewidth=0.9, label=f"n = {n}, {len(v)} streams", **look,
                )  # fmt: skip
        x = np.array([0.35, 7.0])
        level = float(rate(grown)[-1])
        right.plot(x, level * x, color="0.0", linewidth=0.9)
        right.annotate("slope 1", (2.9, 2.4 * level), (10, -14), textcoords="offset points", fontsize=8)
        left.set(xlabel="x = (m - m*)/n", ylabel="mean σ*/√n", title="Least singular value beyond m*")
        right.set(xlabel="x = (m - m*)/n", ylabel="mean [σ*(m) - σ*(m*)]/√n", xscale="log", yscale="log")
        right.set_title("Its growth from m* on")
        right.set_xticks([0.5, 1, 2, 4, 6], ["0.5", "1", "2", "4", "6"])
        right.set_yticks([0.03, 0.1, 0.3, 0.6], ["0.03", "0.1", "0.3", "0.6"])
        right.minorticks_off()
        left.set_ylim(bottom=0.0)
        left.legend(title="means, 95 %", loc="upper left")
        save(fig, folder, "sigma")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("what", nargs="?", choices=["draw", "show"], default="show")
    options.add_argument("--most-seconds", type=float, default=float("inf"))
    given = options.parse_args()
    if given.what == "draw":
        draw(results / "stability" / "trials.parquet", given.most_seconds)
    else:
        show(results / "stability")

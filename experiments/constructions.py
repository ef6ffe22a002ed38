"""The constructions of `mcinj.constructions`, built and decided. Writes results/constructions:

    python experiments/constructions.py [--results DIR] [--trials N]

* `projections.parquet`: injective networks projected to d outputs. Is the projection injective?
* `convolutions.parquet`: random kernels. Is the convolution injective, and does the sufficient condition see it?

Everything is drawn from seeds: the tables are the same on every machine, seconds aside.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas

import mcinj
from mcinj import Network, Seed
from mcinj.constructions import PADDINGS, convolutional_layer, drawn, least_patch, projected
from mcinj.experiment.environment import write_environment
from mcinj.files import atomic_write
from mcinj.infer.intervals import clopper_pearson
from mcinj.show.style import COLOURS, MARKERS, figure, save

BUDGET = 1_000_000  # nodes of one decision; beyond it: unknown, and counted
# Base, inputs, trials.
PROJECTIONS = [
    ("doubled", 1, 200), ("doubled", 2, 200), ("doubled", 3, 100), ("doubled", 4, 15),
    ("doubled twice", 1, 100), ("doubled twice", 2, 60),
    ("Gaussian", 1, 200), ("Gaussian", 2, 100), ("Gaussian", 3, 20),
    ("Gaussian with biases", 1, 200), ("Gaussian with biases", 2, 60),
]  # fmt: skip
# Window, size of the image, numbers of kernels, trials.
CONVOLUTIONS: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], int]] = [
    ((2,), (8,), (2, 3, 4, 5, 6, 8, 10, 12), 100),
    ((3,), (8,), (2, 3, 4, 5, 6, 8, 10, 12, 16), 100),
    ((2, 2), (3, 3), (2, 4, 6, 8, 12), 30),
]
WIDE = 8  # units per input of the Gaussian bases


def base(kind: str, n: int, seed: Seed) -> Network:
    """An injective network of this kind; Gaussian ones are drawn until one is proved injective."""
    if kind.startswith("doubled"):
        return drawn(n, layers=2 if kind.endswith("twice") else 1, seed=seed)
    for attempt in range(1000):
        weights = mcinj.sample(n, (WIDE * n,), seed=seed.child(attempt)).weights
        offsets = [seed.child(attempt).generator(1).standard_normal(WIDE * n)] if kind.endswith("biases") else None
        network = Network(weights, offsets)
        if mcinj.check(network).verdict == "injective":
            return network
    raise SystemExit(f"no injective layer in 1000 draws: {kind}, n = {n}")


def projections(most: int) -> Iterator[dict[str, Any]]:
    """One row for every base and number of outputs; of one base the projections are prefixes of each other."""
    for case, (kind, n, trials) in enumerate(PROJECTIONS):
        for trial in range(min(trials, most)):
            seed = Seed(7).child(case, trial)
            network = base(kind, n, seed.child(0))
            for outputs in range(n, 2 * n + 2):
                found = mcinj.check(projected(network, outputs, seed.child(1)), node_budget=BUDGET)
                yield {
                    "base": kind, "n": n, "widths": ",".join(map(str, network.widths)), "outputs": outputs,
                    "seed": str(seed), "verdict": str(found.verdict), "certified": str(found.certified),
                    "nodes": found.nodes, "seconds": found.seconds,
                }  # fmt: skip


def convolutions(most: int) -> Iterator[dict[str, Any]]:
    """One row for every set of Gaussian kernels: the exact answer per padding, and the least patch, if there is one."""
    for case, (window, size, counts, trials) in enumerate(CONVOLUTIONS):
        for kernels in counts:
            for trial in range(min(trials, most)):
                seed = Seed(8).child(case, trial)
                # Fewer kernels are the first ones of more kernels.
                values = seed.generator().standard_normal((max(counts), 1, *window))[:kernels]
                started = time.perf_counter()
                verdicts = {
                    padding: str(mcinj.check(convolutional_layer(values, size, padding=padding)).verdict)
                    for padding in PADDINGS
                }
                yield {
                    "window": "x".join(map(str, window)), "size": "x".join(map(str, size)), "kernels": kernels,
                    "seed": str(seed), "patch": least_patch(values, min(size)), **verdicts,
                    "seconds": time.perf_counter() - started,
                }  # fmt: skip


def share(values: pandas.Series) -> tuple[float, float, float]:
    """Share of true values with 95 % limits."""
    low, high = clopper_pearson(int(values.sum()), len(values))
    return float(values.mean()), low, high


def draw(axes: Any, x: list[float], shares: list[tuple[float, float, float]], k: int, label: str, **line: Any) -> None:
    """Shares with their limits."""
    y, low, high = (np.array(v) for v in zip(*shares))
    axes.errorbar(x, y, [y - low, high - y], color=COLOURS[k], marker=MARKERS[k], label=label, capsize=2, **line)


def projection_figure(table: pandas.DataFrame, folder: Path) -> None:
    """Share of injective projections against the number of outputs."""
    kinds = list(dict.fromkeys(table["base"]))
    with figure([kinds[:2], kinds[2:]], figsize=(8.0, 6.0), sharex=True, sharey=True) as (fig, axes):
        for kind in kinds:
            for n, group in table[table["base"] == kind].groupby("n"):
                passes = (group["verdict"] == "injective").groupby(group["outputs"])
                x = [d - 2 * n + 0.03 * (n - 2) for d, _ in passes]
                draw(axes[kind], x, [share(g) for _, g in passes], int(n) - 1, f"n = {n}")
            axes[kind].set(title=kind, ylim=(-0.03, 1.03))
            axes[kind].legend()
        for kind in kinds[2:]:
            axes[kind].set_xlabel("outputs d − 2n")
        for kind in kinds[::2]:
            axes[kind].set_ylabel("share injective")
        save(fig, folder, "projections")


def convolution_figure(table: pandas.DataFrame, folder: Path) -> None:
    """The sufficient condition and the exact answers against the number of kernels."""
    cases = list(dict.fromkeys(zip(table["window"], table["size"])))
    with figure([[w for w, _ in cases]], figsize=(10.5, 3.8), sharey=True) as (fig, axes):
        for window, size in cases:
            part = table[table["window"] == window]
            smallest = max(int(v) for v in window.split("x"))
            lines = [
                (f"condition, P = {patch}", part["patch"] <= patch, patch - 2, "--")
                for patch in range(smallest, min(smallest + 2, int(size.split("x")[0])))
            ]
            lines += [
                ("exact, no padding (= condition, P as the image)", part["valid"] == "injective", 3, "-"),
                ("exact, zeros", part["zeros"] == "injective", 4, "-"),
                ("exact, circular", part["circular"] == "injective", 5, "-"),
            ]
            for label, passes, k, style in lines:
                groups = passes.fillna(False).groupby(part["kernels"])
                draw(axes[window], [q for q, _ in groups], [share(g) for _, g in groups], k, label, linestyle=style)
            axes[window].set(title=f"windows of {window} on images of {size}", xlabel="kernels")
            axes[window].locator_params(axis="x", integer=True)
        axes[cases[0][0]].set_ylabel("share of random kernels")
        handles = {label: handle for a in axes.values() for handle, label in zip(*a.get_legend_handles_labels())}
        fig.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3)
        save(fig, folder, "convolutions")


def main() -> None:
    """Decide everything, write tables and figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path(__file__).parents[1] / "results" / "constructions")
    parser.add_argument("--trials", type=int, default=sys.maxsize, help="at most so many of each kind")
    given = parser.parse_args()
    (given.results / "figures").mkdir(parents=True, exist_ok=True)
    tables = {}
    for name, rows in (("convolutions", convolutions), ("projections", projections)):
        tables[name] = pandas.DataFrame(list(rows(given.trials)))
        with atomic_write(given.results / f"{name}.parquet") as stream:
            tables[name].to_parquet(stream, index=False)
    tables["convolutions"]["patch"] = tables["convolutions"]["patch"].astype("Int64")
    projection_figure(tables["projections"], given.results / "figures")
    convolution_figure(tables["convolutions"], given.results / "figures")
    write_environment(given.results)
    silent(tables["convolutions"])
    table = tables["projections"]
    table["injective"] = table["verdict"] == "injective"
    print(table.groupby(["base", "n", "outputs"])["injective"].agg(["size", "sum"]).to_string())
    print("unknown:", int((table["verdict"] == "unknown").sum()))


def silent(table: pandas.DataFrame) -> None:
    """Print how often the condition is silent where the layer is injective, per padding."""
    for padding in PADDINGS:
        passes = table[table[padding] == "injective"]
        by = ["window", "kernels"]
        told = passes["patch"].notna().groupby([passes[b] for b in by]).agg(["size", "sum"])
        told["silent"] = told["size"] - told["sum"]
        print(f"{padding}:\n{told.to_string()}")


if __name__ == "__main__":
    main()

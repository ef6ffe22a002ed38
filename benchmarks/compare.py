"""Time the one-layer engine against what users have today, on the same instances in one run.

    python benchmarks/compare.py                    # everything, about half an hour
    python benchmarks/compare.py --sizes 4,5,6 --growth 8,10,12

Every instance is an injective Gaussian layer with m = round(6.7 n). Each call of another tool runs in a process of its
own, which is ended after `--limit` seconds. Times are processor seconds. Writes CSV files and figures to
benchmarks/results. See README.md here.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import platform
import statistics
import time
from pathlib import Path

import numpy as np

EPSILON = 1e-5  # SCIP's tolerance is 1e-6: with a smaller ε it takes x = 0 for a solution


def instance(n: int, seed: int) -> np.ndarray:
    """A Gaussian layer at ratio 6.7."""
    return np.random.default_rng([n, seed]).standard_normal((round(6.7 * n), n))


def tree(a: np.ndarray, exact: bool = False) -> tuple[bool, float, int]:
    """Our engine: verdict, seconds, nodes."""
    from mcinj.decide.layer.tree import decide_one_layer
    from mcinj.networks import Network, Premise

    network = Network([a], premise=None if exact else Premise.DRAWN)
    started = time.process_time()
    decision = decide_one_layer(network, exact=exact)
    return decision.outcome == "injective", time.process_time() - started, decision.nodes


def our_milp(a: np.ndarray) -> tuple[bool, float, int]:
    """Our MILP without epsilon (HiGHS)."""
    from mcinj.decide.oracles.milp import decide_one_layer
    from mcinj.networks import Network

    network = Network([a])
    started = time.process_time()
    result = decide_one_layer(network)
    return result.outcome == "injective", time.process_time() - started, result.nodes


def highs_milp(a: np.ndarray) -> tuple[bool, float, int]:
    """The model that a user would write: a_i x <= M_i b_i - ε (1 - b_i), |x| <= 1, Σ b_i <= n - 1, infeasible?"""
    import highspy

    m, n = a.shape
    started = time.process_time()
    h = highspy.Highs()
    h.setOptionValue("output_flag", False)
    h.setOptionValue("threads", 1)
    x = [h.addVariable(lb=-1.0, ub=1.0) for _ in range(n)]
    b = [h.addBinary() for _ in range(m)]
    for i in range(m):
        big = float(np.abs(a[i]).sum())
        h.addConstr(sum(float(a[i, j]) * x[j] for j in range(n)) <= (big + EPSILON) * b[i] - EPSILON)
    h.addConstr(sum(b) <= n - 1)
    h.run()
    infeasible = h.getModelStatus() == highspy.HighsModelStatus.kInfeasible
    return infeasible, time.process_time() - started, int(h.getInfo().mip_node_count)


def scip_milp(a: np.ndarray) -> tuple[bool, float, int]:
    """The same model in SCIP."""
    from pyscipopt import Model, quicksum

    m, n = a.shape
    started = time.process_time()
    model = Model()
    model.hideOutput()
    x = [model.addVar(lb=-1.0, ub=1.0) for _ in range(n)]
    b = [model.addVar(vtype="B") for _ in range(m)]
    for i in range(m):
        big = float(np.abs(a[i]).sum())
        model.addCons(quicksum(float(a[i, j]) * x[j] for j in range(n)) <= (big + EPSILON) * b[i] - EPSILON)
    model.addCons(quicksum(b) <= n - 1)
    model.optimize()
    return model.getStatus() == "infeasible", time.process_time() - started, int(model.getNNodes())


def exact_depth(a: np.ndarray) -> tuple[bool, float, int]:
    """data-depth's exact halfspace depth of the origin, by the fastest of its methods at these sizes ("line")."""
    from without_torch import halfspace

    started = time.process_time()
    depth = halfspace(np.zeros((1, a.shape[1])), a, exact=True, method="line")[0] * len(a)
    return round(float(depth)) >= a.shape[1], time.process_time() - started, 0


TOOLS = {"HiGHS MILP (ε)": highs_milp, "HiGHS MILP (ours)": our_milp, "SCIP MILP (ε)": scip_milp,
         "data-depth": exact_depth}


def _child(name: str, a: np.ndarray, pipe) -> None:  # type: ignore[no-untyped-def]
    try:
        pipe.send(TOOLS[name](a))
    except Exception as error:  # the table says what happened
        pipe.send(repr(error))


def timed(name: str, a: np.ndarray, limit: float) -> tuple[bool, float, int] | str:
    """Run a tool in a process of its own; a text if it fails or takes longer than `limit` seconds."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_child, args=(name, a, there))
    process.start()
    result = here.recv() if here.poll(limit + 10) else f"> {limit:g} s"
    process.kill()
    process.join()
    if not isinstance(result, str) and result[1] > limit:
        return f"> {limit:g} s"
    return result


def main() -> None:
    """Run, print and plot."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="4,5,6,7,8")
    parser.add_argument("--growth", default="8,9,10,11,12,13,14,15,16")
    parser.add_argument("--instances", type=int, default=3)
    parser.add_argument("--limit", type=float, default=120.0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--plot-only", action="store_true", help="draw the tables of --out again, measure nothing")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.plot_only:
        growth = [{k: float(v) for k, v in row.items() if v} for row in _read(args.out / "growth.csv")]
        tools = _read(args.out / "compare.csv")
        plot(growth, [{**v, "n": int(v["n"]), "seconds": v["seconds"] or None} for v in tools], args.limit, args.out)
        return
    tree(instance(4, 1))  # compiled, or loaded from the cache
    growth = measure_growth([int(v) for v in args.growth.split(",") if v], args.out)
    compare = measure_tools([int(v) for v in args.sizes.split(",") if v], args.instances, args.limit, args.out)
    plot(growth, compare, args.limit, args.out)


def injective_instances(n: int, count: int) -> list[tuple[int, np.ndarray, float, int]]:
    """The first injective instances of a size, with our time (best of three for short ones) and nodes."""
    found = []
    seed = 0
    while len(found) < count:
        seed += 1
        a = instance(n, seed)
        runs = [tree(a)]
        if runs[0][1] < 1:
            runs += [tree(a), tree(a)]
        if runs[0][0]:
            found.append((seed, a, min(r[1] for r in runs), runs[0][2]))
    return found


def measure_growth(sizes: list[int], out: Path) -> list[dict[str, float]]:
    """Medians of five injective instances per size."""
    table = []
    print(f"{platform.machine()}, {platform.python_version()}; tree, medians of 5 injective instances at m = 6.7 n")
    for n in sizes:
        five = injective_instances(n, 5)
        row = {"n": n, "seconds": statistics.median(v[2] for v in five), "nodes": statistics.median(v[3] for v in five)}
        if n <= 12:
            row["seconds_exact"] = statistics.median(tree(v[1], exact=True)[1] for v in five)
        table.append(row)
        print("  ".join(f"{k} {v:.4g}" for k, v in row.items()), flush=True)
    _write(out / "growth.csv", ["n", "seconds", "nodes", "seconds_exact"], table)
    return table


def measure_tools(sizes: list[int], instances: int, limit: float, out: Path) -> list[dict[str, object]]:
    """Every tool on every instance; a tool that ran out of time at one size is not tried at larger ones."""
    table: list[dict[str, object]] = []
    late: set[str] = set()
    for n in sizes:
        for seed, a, seconds, _ in injective_instances(n, instances):
            table.append({"n": n, "seed": seed, "tool": "tree", "seconds": seconds, "agrees": True})
            for name in TOOLS:
                if name in late:
                    continue
                result = timed(name, a, limit)
                if isinstance(result, str):
                    late.add(name)
                    table.append({"n": n, "seed": seed, "tool": name, "seconds": None, "agrees": result})
                else:
                    table.append({"n": n, "seed": seed, "tool": name, "seconds": result[1], "agrees": result[0]})
                print(n, seed, name, result, f"ratio {result[1] / seconds:.0f}" if result[1:] and not
                      isinstance(result, str) else "", flush=True)
        mine = statistics.median(float(r["seconds"]) for r in table if r["n"] == n and r["tool"] == "tree")  # type: ignore[arg-type]
        others = [
            statistics.median(times)
            for name in TOOLS
            if (times := [float(r["seconds"]) for r in table  # type: ignore[arg-type]
                          if r["n"] == n and r["tool"] == name and r["seconds"] is not None])
        ]
        if others:
            best = min(others)
            print(f"n = {n}: tree {mine:.2g} s, best other {best:.3g} s, {best / mine:.0f} times", flush=True)
        _write(out / "compare.csv", ["n", "seed", "tool", "seconds", "agrees"], table)
    return table


def _write(path: Path, names: list[str], rows: list[dict[str, object]] | list[dict[str, float]]) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, names)
        writer.writeheader()
        writer.writerows(rows)


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


# Okabe and Ito's palette; a marker and dashes of its own for each, for grey print.
LOOKS = {
    "HiGHS MILP (ε)": ("#0072B2", "s", "--"),
    "HiGHS MILP (ours)": ("#56B4E9", "D", "-."),
    "SCIP MILP (ε)": ("#E69F00", "^", ":"),
    "data-depth": ("#CC79A7", "v", "--"),
}


def plot(growth: list[dict[str, float]], table: list[dict[str, object]], limit: float, out: Path) -> None:
    """Seconds against n for all tools, and our nodes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.2), constrained_layout=True)
    if growth:
        left.semilogy([r["n"] for r in growth], [r["seconds"] for r in growth], "o-", color="black", label="mcinj tree")
        right.semilogy([r["n"] for r in growth], [r["nodes"] for r in growth], "o-", color="black")
    for name in TOOLS:
        sizes = sorted({int(r["n"]) for r in table if r["tool"] == name and r["seconds"] is not None})  # type: ignore[call-overload]
        times = [
            statistics.median(float(r["seconds"]) for r in table  # type: ignore[arg-type]
                              if r["tool"] == name and r["n"] == n and r["seconds"] is not None)
            for n in sizes
        ]
        if sizes:
            colour, marker, line = LOOKS[name]
            left.semilogy(sizes, times, color=colour, marker=marker, linestyle=line, label=name)
    left.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1.0, 0.02))
    left.axhline(limit, color="0.7", linewidth=0.8)
    left.annotate(f"limit {limit:g} s", (1.0, limit), (-2, 2), xycoords=left.get_yaxis_transform(),
                  textcoords="offset points", ha="right", fontsize=8, color="0.4")
    left.set(xlabel="inputs n", ylabel="median processor seconds", title="injective Gaussian layers, m = 6.7 n")
    if growth:
        left.annotate("mcinj tree", (growth[-1]["n"], growth[-1]["seconds"]), (-4, 6), textcoords="offset points",
                      ha="right", fontsize=8, fontweight="bold")
    right.set(xlabel="inputs n", ylabel="median nodes", title="nodes of mcinj tree")
    for axes in (left, right):
        axes.grid(alpha=0.25)
    figure.savefig(out / "compare.png", dpi=150)
    figure.savefig(out / "compare.svg")


if __name__ == "__main__":
    main()

"""Reports of searched margins: the plane of width ratio and margin, and the law of κ* at several ratios.

Searched margins have a symbol of their own, an open triangle that points down: each is a proved upper bound of its κ*,
and that nothing lower exists is estimated. Enclosed margins, where a figure shows both, are filled circles.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcinj.infer.searched import Searches, summarise_searches
from mcinj.show.distance import distance_axes, shared_by_sizes
from mcinj.show.groups import groups_by, size_name
from mcinj.show.margin import bounds_in_plane, level_at, margin_summary
from mcinj.show.names import law_name
from mcinj.show.searched import ENOUGH
from mcinj.show.style import DASHES, figure, legend_outside, save, shade

if TYPE_CHECKING:
    import pandas

    from mcinj.show.page import Page

_KEYS = ("n", "ensemble", "moves", "m")
# Digits to which margins of two runs are compared: the same cell gives the same value but for rounding.
_DIGITS = 9
_MOST_PANELS = 5


def margins_found(part: pandas.DataFrame) -> Any:
    """Margins of one series as a matrix (streams, runs), in the order of trials; without those of dependent rows."""
    found = part.pivot(index="trial", columns="run", values="margin_hi").dropna().to_numpy(dtype=float)
    return found[np.isfinite(found).all(axis=1)].round(_DIGITS)


def searched_margin_summary(trials: pandas.DataFrame) -> pandas.DataFrame:
    """One row per n, ensemble, budget and m, in units of a weight's standard deviation, per unit of |x|.

    mean: of the least margin of all runs, an estimate of the mean κ* from above; se its standard error. mean_lo,
    mean_hi: 95 % interval of the mean κ*, from below with the gap taken off. miss_geometric, miss_gap: two
    extrapolations of what all runs still miss, the first empty where noise makes it the larger one. unique: share of
    streams whose least margin only one run found. reach: share of runs that found the least of their stream. single:
    mean excess of one run over the least. share_positive: of the least margins, an upper bound of the share of
    injective layers. q10, median, q90: of the least margins. dependent: streams whose rows do not have rank n, left out
    of all the rest. seconds: per stream. Theory columns as in `margin_summary`.
    """
    import pandas

    rows = []
    for (n, ensemble, moves, m), part in groups_by(trials, *_KEYS):
        found = margins_found(part)
        row = {"n": n, "ensemble": ensemble, "moves": moves, "m": m, "alpha": m / n, "runs": part["run"].nunique()}
        row |= {"streams": len(found), "dependent": part["trial"].nunique() - len(found)}
        if len(found):
            # Margins are searched downwards, widths (which the estimates are about) upwards, where m* is one more.
            told, least = summarise_searches(-found), found.min(axis=1)
            q10, median, q90 = np.quantile(least, [0.1, 0.5, 0.9]).tolist()
            row |= {"mean": float(least.mean()), "se": told.se}
            row |= {"mean_lo": 1.0 - told.interval[1], "mean_hi": 1.0 - told.interval[0]}
            row |= {"q10": q10, "median": median, "q90": q90, "share_positive": float((least > 0).mean())}
            row |= {"miss_geometric": _geometric(told), "miss_gap": told.gap, "miss_gap_se": told.gap_se}
            row |= {"single": told.single, "reach": told.reach, "unique": told.unique, "unique_high": told.unique_high}
        for k, name in enumerate(("plain_rdt", "lifted_rdt", "one_rsb", "two_rsb")):
            row[name] = float(level_at(m / n, k)) if ensemble == "gaussian" else np.nan
        rows.append({**row, "seconds": float(part.groupby("trial")["seconds"].sum().mean())})
    return pandas.DataFrame(rows)


def _geometric(told: Searches) -> float:
    """The geometric estimate of the miss; NaN where it exceeds the gap, that is, where noise hides the gains' ratio."""
    return told.geometric if told.geometric <= told.gap else np.nan


def best_budget(summary: pandas.DataFrame) -> pandas.DataFrame:
    """Of several budgets of one size and width that with most streams, of equals the larger one, which misses less."""
    ordered = summary[summary["streams"] > 0].sort_values(["streams", "moves"])
    return ordered.groupby(["n", "ensemble", "m"], as_index=False).tail(1).sort_values(["n", "m"])


def searched_margin_axes(axes: Any, trials: pandas.DataFrame, proved: pandas.DataFrame | None = None) -> Any:
    """The plane (m/n, t): means of searched margins by n, of enclosed ones if their table is given, and the bounds."""
    searched = best_budget(searched_margin_summary(trials))
    parts = [("searched", key, part) for key, part in groups_by(searched, "ensemble", "n")]
    if proved is not None:
        parts += [("proved", key, part) for key, part in groups_by(margin_summary(proved), "ensemble", "n")]
    sizes = sorted({n for _, (_, n), _ in parts})
    # Bounds are for n → ∞, so the largest sizes tell most; a legend has room for eight.
    shown = {kind: [key for what, key, _ in parts if what == kind] for kind in ("proved", "searched")}
    kept = {kind: set(keys[-5:] if kind == "searched" else keys[-3:]) for kind, keys in shown.items()}
    for kind, key, part in parts:
        if key not in kept[kind]:
            continue
        law, n = key
        looks = {"marker": "v", "markerfacecolor": "white", "markersize": 6.5, "linestyle": "-"}
        if kind == "proved":
            looks = {"marker": "o", "markersize": 4, "linestyle": "none"}
        shift = 1.0 + 0.004 * (sizes.index(n) - (len(sizes) - 1) / 2)  # beside one another
        axes.errorbar(
            part["alpha"] * shift,
            part["mean"],
            yerr=[part["mean"] - part["mean_lo"], part["mean_hi"] - part["mean"]],
            color=shade(sizes.index(n), len(sizes)),
            linewidth=0.8,
            capsize=2,
            label=f"{kind}, {size_name(n, law)}",
            **looks,
        )
    bounds_in_plane(axes, "gaussian" in set(searched["ensemble"]))
    return axes


def margin_law_axes(axes: Any, trials: pandas.DataFrame, alpha: float) -> Any:
    """P(κ* > t) against t at one width ratio, by n: the share of streams whose least margin is above t."""
    summary = best_budget(searched_margin_summary(trials))
    rows = summary[(summary["alpha"] - alpha).abs() < 1e-9]
    for k, row in enumerate(rows.to_dict("records")):
        part = trials[(trials[list(_KEYS)] == [row[key] for key in _KEYS]).all(axis=1)]
        least = np.sort(margins_found(part).min(axis=1))
        share = 1.0 - np.arange(len(least) + 1) / len(least)
        axes.step(
            [*least, least[-1]], share, where="pre", color=shade(k, len(rows)), linewidth=1.3,
            linestyle=("-", *DASHES)[k % (1 + len(DASHES))], label=size_name(int(row["n"]), str(row["ensemble"])),
        )  # fmt: skip
    known = rows["two_rsb"].dropna()
    if len(known):
        axes.axvline(known.iloc[0], color="0.0", linewidth=1.0)
    axes.axvline(0.0, color="0.6", linewidth=0.8, linestyle=":")
    axes.set_ylim(0.0, 1.02)
    axes.set_title(f"m/n = {alpha:g}", fontsize=10)
    axes.set_xlabel("t")
    return axes


def searched_margin_gap_axes(axes: Any, trials: pandas.DataFrame) -> Any:
    """Mean searched margin minus the 2RSB margin against 1/n, one line per ratio that several n share."""
    shared = shared_by_sizes(best_budget(searched_margin_summary(trials)))
    distance_axes(axes, shared, sorted(shared["alpha"].unique()), "m/n")
    axes.set_ylabel("mean searched margin minus the 2RSB value")
    return axes


def searched_margin_part(
    page: Page, trials: pandas.DataFrame, figures: Path, suffix: str
) -> tuple[list[Path], pandas.DataFrame]:
    """Figures and words of one experiment of searched margins; the figures written, and the summary."""
    summary = searched_margin_summary(trials)
    best = best_budget(summary)
    for (law, n), part in groups_by(best, "ensemble", "n"):
        page.finding(_finding(int(n), law, part))
    page.warning(
        "Searched, not proved: every searched margin is the value of ρ at a rational point, a proved upper bound of "
        "κ*; that nothing lower exists is estimated from the agreement of independent runs (docs/margin.md)."
    )
    few = best[best["reach"] < ENOUGH]
    if len(few):
        sizes = ", ".join(str(n) for n in sorted(set(few["n"])))
        page.warning(
            f"At n = {sizes} less than {100 * ENOUGH:.0f} % of the runs found the least margin of their stream at some "
            "ratio: estimated misses there may be too small."
        )
    with figure(figsize=(9.6, 5.0)) as (fig, axes):
        searched_margin_axes(axes, trials)
        axes.set_title("Searched margins of one layer: means")
        axes.legend(loc="lower right", title="means, 95 %")
        written = save(fig, figures, f"plane{suffix}")
    page.picture(
        written[-2],
        "Open triangles: means of searched margins, the least of several independent searches per layer. Intervals at "
        "95 %: from above the sampling error of the mean as it is, from below with the estimated miss (gap) taken off. "
        "Curves: for n → ∞, and their standing (docs/theory.md §11).",
    )
    with figure(figsize=(8.2, 4.4)) as (fig, axes):
        searched_margin_gap_axes(axes, trials)
        axes.set_title("Distance of the mean searched margin to the 2RSB curve, 95 %")
        legend_outside(axes)
        written += save(fig, figures, f"gap{suffix}")
    page.picture(written[-2], "Intervals as above. The 2RSB values are for n → ∞, the right end.")
    written += _laws(page, best, trials, figures, suffix)
    return written, summary


def _laws(page: Page, best: pandas.DataFrame, trials: pandas.DataFrame, figures: Path, suffix: str) -> list[Path]:
    """The figure of P(κ* > t), a panel per ratio that most sizes share."""
    counts = best["alpha"].value_counts()
    ratios = sorted(counts[counts == counts.max()].index)
    ratios = [ratios[round(k)] for k in np.linspace(0, len(ratios) - 1, min(len(ratios), _MOST_PANELS))]
    with figure(figsize=(2.4 * len(ratios) + 1.0, 3.4), ncols=len(ratios), sharey=True, squeeze=False) as (fig, axes):
        for panel, alpha in zip(axes[0], ratios, strict=True):
            margin_law_axes(panel, trials, alpha)
        axes[0, 0].set_ylabel("share of layers with searched κ* > t")
        fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=8)
        written = save(fig, figures, f"law{suffix}")
    page.picture(
        written[-2],
        "P(κ* > t): the share of layers that are injective outside the unit ball with a common bias -t. Since searched "
        "margins are upper bounds, the curves are, but for sampling, bounds from above. Black line: 2RSB, n → ∞.",
    )
    return written


def _finding(n: int, law: str, part: pandas.DataFrame) -> str:
    """Means of one size at all its ratios."""
    values = ", ".join(
        f"{r['mean']:.3f} ± {r['se']:.3f} (– {r['miss_gap']:.3f}) at m/n = {r['alpha']:g}"
        for r in part.to_dict("records")
    )
    return (
        f"n = {n}, {law_name(law)}: mean searched κ* {values} (standard errors; in brackets the estimated miss, gap), "
        f"best of {part['runs'].max()} runs on up to {part['streams'].max()} streams."
    )


def calibration(trials: pandas.DataFrame, proved: pandas.DataFrame) -> pandas.DataFrame:
    """What searches miss of enclosed margins of the same layers: one row per n, ensemble, budget and m.

    missed: share of streams whose best run is above the enclosure; miss: mean excess over its upper end; geometric,
    gap: the two estimates on the same streams; hit: share of single runs inside the enclosure. below: searched values
    below the proved lower end, which no correct program has.
    """
    import pandas

    keys = ["n", "ensemble", "m", "trial", "seed"]
    known = proved[proved["complete"] == 1][[*keys, "margin_lo", "margin_hi"]]
    joined = trials.merge(known, on=keys, suffixes=("", "_proved"))
    rows = []
    for (n, ensemble, moves, m), part in groups_by(joined, *_KEYS):
        found = margins_found(part)
        first = part.drop_duplicates("trial").sort_values("trial")
        ends = first[["margin_lo", "margin_hi_proved"]].to_numpy()
        ends = ends[np.isfinite(ends).all(axis=1)]
        excess = found - ends[:, 1:]
        told = summarise_searches(-found)
        row = {"n": n, "ensemble": ensemble, "moves": moves, "m": m, "alpha": m / n, "streams": len(found)}
        row |= {"missed": float((excess.min(axis=1) > 10.0**-_DIGITS).mean()), "miss": float(excess.min(axis=1).mean())}
        row |= {"hit": float((excess <= 10.0**-_DIGITS).mean()), "geometric": _geometric(told), "gap": told.gap}
        low = found < ends[:, :1] - 10.0**-_DIGITS
        rows.append({**row, "reach": told.reach, "single": told.single, "below": int(low.sum())})
    return pandas.DataFrame(rows)

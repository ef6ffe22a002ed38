"""What searched margins miss of enclosed ones of the same layers; the plane with both; means against 2RSB.

    python experiments/margin_reach.py
Joins results/margin_searched and results/margin. First table, units of the margin: shares of streams that the best of
all runs missed and of single runs that hit, the true mean miss (from the upper end of the enclosure) and its two
estimates. Then means, enclosed and searched, and the exponent of n with which their distance to 2RSB falls, by weighted
least squares of `C n^-g` (a guess at the form). Draws results/margin_searched/figures/both.
"""

from pathlib import Path

import numpy as np
import pandas

import mcinj
from mcinj.show.margin import margin_summary
from mcinj.show.searched_margin import best_budget, calibration, searched_margin_axes
from mcinj.show.style import figure, save

results = Path(__file__).resolve().parent.parent / "results"


def distances(summary: pandas.DataFrame, enclosed: pandas.DataFrame) -> None:
    """Mean margins by n at each ratio, and how their distance to 2RSB falls."""
    proved = enclosed[enclosed["ensemble"] == "gaussian"]
    for alpha, part in summary.groupby("alpha"):
        known = proved[proved["alpha"] == alpha].assign(se=lambda t: (t["mean_hi"] - t["mean"]) / 2)
        known = known[~known["n"].isin(part["n"])]
        rows = pandas.concat([known[["n", "mean", "se", "two_rsb"]], part[["n", "mean", "se", "two_rsb"]]]).sort_values(
            "n"
        )
        rows = rows[rows["n"] >= 3]
        told = ", ".join(f"n = {r['n']:g} {r['mean']:.3f} ± {r['se']:.3f}" for r in rows.to_dict("records"))
        print(f"m/n = {alpha:g}: {told}; 2RSB {rows['two_rsb'].iloc[0]:.3f}")
        far = (rows["mean"] - rows["two_rsb"]).to_numpy()
        if (far > 0).all() and len(rows) > 2:
            weights = far / rows["se"].to_numpy()
            fit, covariance = np.polyfit(np.log(rows["n"]), np.log(far), 1, w=weights, cov="unscaled")
            print(f"    distance to 2RSB falls as n^{fit[0]:.2f} ± {np.sqrt(covariance[0, 0]):.2f} (standard error)")


def main() -> None:
    searched, proved = mcinj.load(results / "margin_searched"), mcinj.load(results / "margin")
    print(calibration(searched.trials, proved.trials).round(4).to_string(index=False))
    distances(best_budget(searched.summary), margin_summary(proved.trials))
    with figure(figsize=(9.6, 5.4)) as (fig, axes):
        searched_margin_axes(axes, searched.trials, proved.trials)
        axes.set_title("Margin of one layer: enclosed by proof, and searched")
        axes.legend(loc="lower right", title="means, 95 %")
        save(fig, results / "margin_searched" / "figures", "both")


if __name__ == "__main__":
    main()

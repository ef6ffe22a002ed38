"""Fixed stacks: networks of one shape, decided by several criteria and engines, with witnesses and active counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mcinj._version import __version__
from mcinj.certify.witness import Witness
from mcinj.decide.check import check
from mcinj.decide.oracles.enumeration import Enumeration, enumerate_regions
from mcinj.decide.verdict import Outcome, Verdict
from mcinj.experiment.config import StackSet
from mcinj.networks import Network, Seed, sample


def stack_rows(stacks: StackSet, root: int, trial: int) -> Iterator[dict[str, Any]]:
    """Rows of the table for one drawn network: one per criterion and engine."""
    seed = Seed(root).child(stacks.n, trial)
    network = sample(stacks.n, stacks.widths, stacks.ensemble, seed)
    regions = enumerate_regions(network) if stacks.enumerate else None
    for criterion in stacks.criteria:
        for engine in stacks.engines:
            verdict = check(network, criterion, engine, stacks.node_budget)
            lives = network if criterion != "layerwise" or verdict.layer is None else network.layer(verdict.layer)
            yield {
                "n": stacks.n,
                "widths": ",".join(str(w) for w in stacks.widths),
                "ensemble": stacks.ensemble,
                "trial": trial,
                "criterion": criterion,
                "engine": engine,
                "seed": str(seed),
                "node_budget": stacks.node_budget,
                "verdict": str(verdict.verdict),
                "layer": verdict.layer,
                "certified": str(verdict.certified),
                **_witness_columns(lives, verdict.witness),
                "regions": None if regions is None else regions.regions,
                "min_active": "" if regions is None else ",".join(str(c) for c in regions.min_active),
                "enumeration": _agreement(network, verdict, regions),
                "nodes": verdict.nodes,
                "seconds": verdict.seconds,
                "version": __version__,
            }


def _witness_columns(network: Network, witness: Witness | None) -> dict[str, str]:
    if witness is None:
        return {"x": "", "x_prime": "", "active_x": "", "active_x_prime": ""}
    texts = witness.to_json()
    return {
        "x": " ".join(texts["x"]),
        "x_prime": " ".join(texts["x_prime"]),
        "active_x": _active(network, witness.x),
        "active_x_prime": _active(network, witness.x_prime),
    }


def _active(network: Network, x: Any) -> str:
    return ",".join(str(int((signs > 0).sum())) for signs in network.exact_pattern(x))


def _agreement(network: Network, verdict: Verdict, regions: Enumeration | None) -> str:
    """Whether the verdict is what the enumeration of all regions says; "" where it says nothing."""
    if regions is None or verdict.verdict is Outcome.UNKNOWN:
        return ""
    if verdict.criterion == "regional" or network.depth == 1:
        expected = Outcome.INJECTIVE if regions.min_rank == network.n else Outcome.NOT_INJECTIVE
    elif verdict.criterion == "global" and regions.min_rank < network.n:
        expected = Outcome.NOT_INJECTIVE
    else:
        return ""
    return "agrees" if verdict.verdict is expected else "DISAGREES"

"""How long an experiment will still take, from what its trials have cost; and whether that is a guess.

A series is *measured* once a few of its trials are done. Until then its cost is guessed from its relatives at other n,
rather too high than too low, and never beyond what its node budget allows.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

MEASURED = 3  # trials
# Growth of the cost from n to n + 1 where nothing else is known: one layer (measured: about 2.5), several layers.
GROWTH_ONE, GROWTH_DEEP = 3.0, 10.0
# Per step of n a node costs a little more; its cost rises like n³ (measured: between n² and n³).
NODE_POWER = 3.0


@dataclass
class Part:
    """One series or set: what names it, what was measured, what is left.

    family      relatives differ in n only
    nodes_most  nodes that a trial may take at most; None: no limit
    count, seconds, nodes    totals over the trials that are done
    left        trials to do
    work        size of a trial in units that all relatives share, where it is known beforehand; else 0
    """

    n: int
    family: Hashable
    nodes_most: int | None = None
    deep: bool = False
    count: int = 0
    seconds: float = 0.0
    nodes: int = 0
    left: int = 0
    work: float = 0.0

    @property
    def mean(self) -> float:
        """Seconds of a trial that is done; at least one must be."""
        return self.seconds / self.count

    @property
    def measured(self) -> bool:
        """Whether enough trials are done for their mean to be worth something."""
        return self.count >= MEASURED


@dataclass(frozen=True)
class Estimate:
    """Seconds to go; `guess` lists the n at which too little is measured to know."""

    seconds: float
    guess: tuple[int, ...] = ()


def estimate(parts: Sequence[Part], workers: int, running: Iterable[tuple[Part, int, float]] = ()) -> Estimate | None:
    """Time to go on so many workers; None as long as nothing at all is measured.

    `running`: part, trials and seconds so far of the tasks under way; their trials count as left.
    """
    ages: dict[int, list[tuple[int, float]]] = {}
    for part, trials, age in running:
        ages.setdefault(id(part), []).append((trials, age))
    if not any(part.count for part in parts):
        return Estimate(0.0) if not any(part.left for part in parts) else None
    total = longest = 0.0
    for part in parts:
        if not part.left:
            continue
        cost = cost_of(part, parts)
        under_way = ages.get(id(part), [])
        if not part.measured and under_way:
            # A trial that still runs costs more than it has taken so far.
            cost = max(cost, *(age / trials for trials, age in under_way))
        saved = sum(min(age, cost * trials) for trials, age in under_way)
        total += max(part.left * cost - saved, 0.0)
        longest = max(longest, cost - max((age for _, age in under_way), default=0.0))
    unknown = tuple(sorted({part.n for part in parts if part.left and not part.measured}))
    return Estimate(max(total / max(workers, 1), longest), unknown)


def cost_of(part: Part, parts: Sequence[Part]) -> float:
    """Seconds of one trial of a part: measured, or guessed from the others, of which one at least is measured."""
    if part.measured:
        return part.mean
    known = [p for p in parts if p.count and p is not part]
    relatives = [p for p in known if p.family == part.family]
    if part.work and relatives and all(p.work for p in relatives):
        return part.work * max(p.mean / p.work for p in relatives)
    # Another family says little; its costs are only taken for want of better ones.
    guess = _by_size(part, relatives or [p for p in known if p.deep == part.deep] or known) if known else 0.0
    if part.count:
        guess = max(guess, part.mean) if not relatives else math.sqrt(max(guess, part.mean) * part.mean)
    return min(guess, _most(part, relatives or known or [part]))


def _by_size(part: Part, known: Sequence[Part]) -> float:
    """From the costs at other n: between two of them geometrically, beyond them by the growth seen or supposed."""
    costs: dict[int, float] = {}
    for other in known:
        costs[other.n] = max(costs.get(other.n, 0.0), other.mean, 1e-7)
    if part.n in costs:
        return costs[part.n]
    below, above = [n for n in costs if n < part.n], [n for n in costs if n > part.n]
    usual = GROWTH_DEEP if part.deep else GROWTH_ONE
    if not below:
        # Smaller ones cost less; how much less is not relied on.
        return costs[min(above)]
    near = max(below)
    if above:
        far = min(above)
        share = (part.n - near) / (far - near)
        return float(costs[near] ** (1 - share) * costs[far] ** share)
    growth = usual
    if len(below) > 1:
        second = sorted(below)[-2]
        seen = (costs[near] / costs[second]) ** (1 / (near - second))
        growth = min(max(seen, 1.5), 3 * usual)
    return costs[near] * float(growth) ** min(part.n - near, 60)


def _most(part: Part, known: Sequence[Part]) -> float:
    """What the node budget allows, at the speed seen at the nearest n."""
    with_nodes = [p for p in known if p.nodes > 0 and p.seconds > 0]
    if part.nodes_most is None or not with_nodes:
        return math.inf
    near = min(with_nodes, key=lambda p: abs(p.n - part.n))
    per_node = near.seconds / near.nodes * max(1.0, (part.n / near.n) ** NODE_POWER)
    return float(part.nodes_most * per_node)


def duration(seconds: float | None) -> str:
    """Seconds for people: `42 s`, `7 min`, `3.2 h`, `12 days`; `?` while unknown."""
    if seconds is None:
        return "?"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.0f} days" if seconds < 86400 * 36500 else "over 100 years"


def guessed(sizes: Sequence[int]) -> str:
    """What to add to a time that is a guess; nothing where it is measured."""
    if not sizes:
        return ""
    named = ", ".join(map(str, sizes[:4])) + (", …" if len(sizes) > 4 else "")
    return f" (a guess: n = {named} not measured yet)"

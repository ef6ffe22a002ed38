"""A tree of counts with raised steps, judged from its meaning: choices of one unit per set, one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

Circuit = tuple[frozenset[int], frozenset[int]]  # units that cannot all be inactive while those others are all active


class _Wrong(Exception):
    """The tree proves nothing."""


def proves_counts(tree: Sequence[int], circuits: Sequence[Circuit], units: Sequence[int], n: int) -> bool:
    """Whether the tree shows that every cell has n active units, given that the circuits are right.

    Facts of a raised step are all that its suppositions imply, so trees that propagate less are not refused.
    """
    try:
        reader = iter(tree)
        _node(reader, circuits, frozenset(units), n, frozenset(), frozenset())
        return next(reader, None) is None
    except (_Wrong, StopIteration, IndexError):
        return False


def _node(
    tree: Iterator[int], circuits: Sequence[Circuit], units: frozenset[int], n: int, off: frozenset[int],
    on: frozenset[int],
) -> None:  # fmt: skip
    head = next(tree)
    vacuous = bool(off & on)
    if head % 2 and head != 1:
        unit = head // 2
        if unit not in units:
            raise _Wrong
        _node(tree, circuits, units, n, off | {unit}, on)
        _node(tree, circuits, units, n, off, on | {unit})
        return
    if head != 1:
        sets = [_set(next(tree), circuits, off, on, vacuous) for _ in range(head // 2)]
        if not vacuous and all(sets):
            _disjoint(sets)
            if len(on) + len(sets) < n:
                raise _Wrong
        return
    known = _step(tree, circuits, units, n, off, on)
    if known is not None:
        _node(tree, circuits, units, n, *known)


def _step(
    tree: Iterator[int], circuits: Sequence[Circuit], units: frozenset[int], n: int, off: frozenset[int],
    on: frozenset[int],
) -> tuple[frozenset[int], frozenset[int]] | None:  # fmt: skip
    """A raised step behind its head: None for a leaf, else the units that are inactive and active then."""
    vacuous = bool(off & on)
    bound, named = len(on), []
    for _ in range(next(tree)):
        sets = [_set(next(tree), circuits, off, on, vacuous) for _ in range(next(tree))]
        chain = [circuits[next(tree)] for _ in range(next(tree))]
        # Units outside of the sets that the circuits need inactive.
        leant = frozenset().union(*(c[0] for c in chain)) - off - frozenset().union(*sets)
        if not vacuous and any(_choices(sets, chain, off | leant, on)):
            raise _Wrong
        named += [*sets, leant]
        bound += len(sets) + 1
    sets = [_set(next(tree), circuits, off, on, vacuous) for _ in range(next(tree))]
    named += sets
    bound += len(sets)
    if not vacuous:
        _disjoint(named)
    facts = next(tree)
    if not vacuous and bound < (n if facts == 0 else n - 1):
        raise _Wrong
    if not facts:
        return None
    chain = [circuits[next(tree)] for _ in range(facts - 1)]
    rest = off | (units - on - off - frozenset().union(*named))
    found = [] if vacuous else list(_choices(sets, chain, rest, on))
    ever = frozenset().union(*found)
    always = frozenset.intersection(*found) if found else units
    inside = frozenset().union(*sets)
    return rest | (inside - ever), on | (inside & always)


def inactive(
    step: Sequence[int], circuits: Sequence[Circuit], units: Sequence[int], n: int, off: frozenset[int],
    on: frozenset[int],
) -> frozenset[int] | None:  # fmt: skip
    """Units that a raised step shows to be inactive where fewer than n are active: all, if it is a right leaf.

    None if it proves nothing, or more numbers follow.
    """
    try:
        reader = iter(step)
        known = _step(reader, circuits, frozenset(units), n, off, on)
        if next(reader, None) is not None:
            return None
        return frozenset(units) if known is None else known[0]
    except (_Wrong, StopIteration, IndexError):
        return None


def _set(
    number: int, circuits: Sequence[Circuit], off: frozenset[int], on: frozenset[int], vacuous: bool
) -> frozenset[int]:
    """Units of which one is active, as the circuit shows."""
    low, high = circuits[number]
    if not vacuous and (not high <= on or low & on):
        raise _Wrong
    return low - off


def _disjoint(sets: Sequence[frozenset[int]]) -> None:
    if len(frozenset().union(*sets)) != sum(map(len, sets)):
        raise _Wrong


def _choices(
    sets: Sequence[frozenset[int]], chain: Sequence[Circuit], off: frozenset[int], on: frozenset[int]
) -> Iterator[frozenset[int]]:
    """Active units of `sets`, exactly one of each, that no circuit of the chain forbids."""
    every = frozenset().union(*sets)
    for chosen in product(*sets):
        active = on | set(chosen)
        inactive = off | (every - set(chosen))
        if not any(low <= inactive and high <= active for low, high in chain):
            yield frozenset(chosen)

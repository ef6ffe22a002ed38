"""In which order the layers of a state dict follow one another, where that can be known."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mcinj.errors import InputError
from mcinj.networks.reading import shown

_ASK = "say the order with --layers, e.g. --layers stem,body,head"
_MAX_DIGITS = 9
_MAX_CHAIN = 100


def order_of(shapes: Mapping[str, tuple[int, int]], *, stored: bool, asked: Sequence[str] | None) -> list[str]:
    """Names of the layers from input to output.

    Parameters
    ----------
    shapes
        Shape of each layer's matrix, `(outputs, inputs)`, in the order of the file.
    stored
        Whether the file keeps the order of the layers (torch does; safetensors sorts its keys).
    asked
        The order that the user gives, or None.

    Without `asked`: the stored order; else the order of numbers, where the names differ in one number only
    (`0`, `2`, `4`; `layers.0`, `layers.1`); else the one chain that the shapes allow. Raises `InputError` where the
    order stays open, where stored order and numbers contradict each other, and for names that `asked` leaves out.
    """
    names = list(shapes)
    if asked is not None:
        return _asked(names, asked)
    numbered = _numbered(names)
    if stored:
        if numbered is not None and numbered != names:
            raise InputError(f"its layers are stored in the order {listed(names)}, against their numbers; {_ASK}")
        return names
    if numbered is not None:
        return numbered
    chain = _only_chain(shapes)
    if chain is None:
        raise InputError(
            f"the file does not keep the order of its layers ({listed(names)}), and neither their names nor their "
            f"shapes tell it; {_ASK}"
        )
    return chain


def listed(names: Sequence[str]) -> str:
    """At most eight of the names."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(shown(n) or "''" for n in names[:8]) + more


def _asked(names: list[str], asked: Sequence[str]) -> list[str]:
    absent = [n for n in asked if n not in names]
    if absent:
        raise InputError(f"--layers names {listed(absent)}, but the layers are {listed(names)}")
    if len(set(asked)) != len(asked):
        raise InputError("--layers names a layer twice")
    left = [n for n in names if n not in asked]
    if left:
        raise InputError(
            f"--layers leaves out {listed(left)}; name every layer, or save the part of the model that is meant alone"
        )
    return list(asked)


def _numbered(names: list[str]) -> list[str] | None:
    """The names by the one number in which they differ, or None if they differ otherwise."""
    split = [re.split(r"([0-9]+)", name) for name in names]
    first = split[0]
    if any(len(s) != len(first) or s[::2] != first[::2] for s in split):
        return None
    differing = [i for i in range(1, len(first), 2) if any(s[i] != first[i] for s in split)]
    if len(differing) != 1:
        return list(names) if len(names) == 1 else None
    digits = [s[differing[0]] for s in split]
    if any(len(d) > _MAX_DIGITS for d in digits):
        return None
    values = [int(d) for d in digits]
    if len(set(values)) != len(values):  # 1 and 01
        return None
    return [name for _, name in sorted(zip(values, names, strict=True))]


def _only_chain(shapes: Mapping[str, tuple[int, int]]) -> list[str] | None:
    """The one order of all layers in which each takes what the one before gives, or None if there is none or several.

    Widths are the vertices of a directed graph and layers its edges, from inputs to outputs: a chain of all layers is
    an Eulerian trail. It is followed edge by edge; an edge can be next if the remaining ones have a trail from its end.
    """
    left = list(shapes)
    if len(left) > _MAX_CHAIN:
        return None
    starts = {shapes[n][1] for n in left}
    at = [s for s in starts if _has_trail(left, shapes, s)]
    if len(at) != 1:
        return None
    place, chain = at[0], []
    while left:
        possible = [
            n for n in left
            if shapes[n][1] == place and _has_trail([m for m in left if m != n], shapes, shapes[n][0])
        ]  # fmt: skip
        if len(possible) != 1:
            return None
        place = shapes[possible[0]][0]
        chain.append(possible[0])
        left.remove(possible[0])
    return chain


def _has_trail(names: list[str], shapes: Mapping[str, tuple[int, int]], start: int) -> bool:
    """Whether an Eulerian trail of these edges starts at `start`: degrees balance, and all edges are reached."""
    if not names:
        return True
    surplus: dict[int, int] = {}
    for n in names:
        outputs, inputs = shapes[n]
        surplus[inputs] = surplus.get(inputs, 0) + 1
        surplus[outputs] = surplus.get(outputs, 0) - 1
    uneven = {v: s for v, s in surplus.items() if s}
    if uneven and (len(uneven) != 2 or uneven.get(start) != 1 or -1 not in uneven.values()):
        return False
    reached, waiting = {start}, [start]
    while waiting:
        v = waiting.pop()
        for n in names:
            outputs, inputs = shapes[n]
            if inputs == v and outputs not in reached:
                reached.add(outputs)
                waiting.append(outputs)
    return all(shapes[n][1] in reached for n in names)

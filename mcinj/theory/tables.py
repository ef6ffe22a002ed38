"""One table of all bounds for networks of up to a given depth."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from mcinj.theory.arguments import whole
from mcinj.theory.bounds import Bound
from mcinj.theory.cache import remember
from mcinj.theory.published import FIRST_LAYER, published

__all__ = ["table"]


def table(layers: int = 1, *, use_cache: bool = True) -> list[Bound]:
    """All values for networks of 1 … `layers` layers, by depth, computed rows before published ones.

    Depth 1: `first_moment`, `euler_characteristic`, `plain_rdt`, `partially_lifted` (the rigorous ones with
    their proved enclosures), `one_rsb`, `two_rsb`, `full_rsb`. From depth 2 on the critical last ratio when
    every earlier layer is at its own critical value of the same chain: plain and lifted, from the published
    first layer 6.7004 (heuristic) and from rigorous ones, the unit-weight variant, and the sufficient global
    condition (2n active units from the second layer on). A few seconds at first, then from the disk cache
    (`cache`). Raises `InputError` unless `layers` is a whole number between 1 and 8.

    >>> [row.name for row in table(1)][0]
    'first moment (union bound)'
    """
    layers = whole("layers", layers, 1, 8)
    if not use_cache:
        return _table(layers)
    return remember("table", {"layers": layers}, lambda: _table(layers), _encode, _decode)


def _table(layers: int) -> list[Bound]:
    rows = [*_one_layer(), *published(1)]
    chains = _chains(layers) if layers > 1 else []
    for depth in range(2, layers + 1):
        rows += [chain[depth - 1] for chain in chains if len(chain) >= depth]
        rows += published(depth)
    return rows


def _one_layer() -> list[Bound]:
    from mcinj.theory.closed_form import euler_characteristic, first_moment, plain_rdt
    from mcinj.theory.enclosure import enclosed
    from mcinj.theory.lifted import partially_lifted
    from mcinj.theory.rsb import full_rsb, one_rsb, two_rsb

    return [
        enclosed(first_moment()),
        euler_characteristic(),
        enclosed(plain_rdt()),
        enclosed(partially_lifted()),
        one_rsb(),
        two_rsb(),
        full_rsb(),
    ]


def _chains(layers: int) -> list[list[Bound]]:
    from mcinj.theory.closed_form import plain_rdt
    from mcinj.theory.deep import deep_plain, deep_plain_unit
    from mcinj.theory.enclosure_deep import deep_plain_enclosed
    from mcinj.theory.lifted import partially_lifted
    from mcinj.theory.lifted_deep import deep_lifted, two_layer_lifted_unit

    plain, lifted = plain_rdt().value, partially_lifted().value

    def after(alphas: Iterable[float]) -> Bound:
        return deep_plain(alphas, 2.0)

    return [
        _chain(f"plain RDT chain from {FIRST_LAYER}", FIRST_LAYER, layers, deep_plain),
        _chain("plain RDT chain from plain RDT", plain, layers, deep_plain_enclosed),
        _chain(f"partially lifted RDT chain from {FIRST_LAYER}", FIRST_LAYER, layers, deep_lifted),
        _chain("partially lifted RDT chain from partially lifted RDT", lifted, layers, deep_lifted),
        _chain(f"unit-weight RDT chain from {FIRST_LAYER}", FIRST_LAYER, layers, deep_plain_unit),
        _chain(
            f"unit-weight partially lifted RDT from {FIRST_LAYER}",
            FIRST_LAYER,
            min(layers, 2),
            lambda alphas: two_layer_lifted_unit(next(iter(alphas))),
        ),
        _chain("global condition (2n active), plain RDT chain from plain RDT", plain, layers, after),
    ]


def _chain(name: str, alpha_1: float, layers: int, after: Callable[[Iterable[float]], Bound]) -> list[Bound]:
    """Bounds for depths 1 … layers, each after the ones before it; depth 1 is a placeholder for `alpha_1`."""
    first = Bound(name, 1, alpha_1, "reference", "published", "first layer of the chain")
    rows = [first]
    while len(rows) < layers:
        rows.append(replace(after([row.value for row in rows]), name=name))
    return rows


def _encode(rows: list[Bound]) -> list[object]:
    return [row.to_json() for row in rows]


def _decode(data: list[dict[str, object]]) -> list[Bound]:
    return [Bound.from_json(record) for record in data]

"""One table of all bounds for networks of up to a given depth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from mcinj.theory.arguments import whole
from mcinj.theory.bounds import Bound, Kind, Laws, Status, computed_or_not
from mcinj.theory.cache import remember
from mcinj.theory.field import Field
from mcinj.theory.published import FIRST_LAYER, published

__all__ = ["field_table", "table"]


def table(layers: int = 1, *, use_cache: bool = True) -> list[Bound]:
    """All values for networks of 1 … `layers` layers, by depth, computed rows before published ones.

    Depth 1: `first_moment`, `euler_characteristic`, `plain_rdt`, `partially_lifted` (the rigorous ones with
    their proved enclosures), `one_rsb`, `two_rsb`, `full_rsb`. From depth 2 on the critical last ratio when
    every earlier layer is at its own critical value of the same chain: plain and lifted, from the published
    first layer 6.7004 (heuristic) and from rigorous ones, the unit-weight variant, and the sufficient global
    condition (2n active units from the second layer on). A few seconds at first, then from the disk cache
    (`cache`). A value that cannot be computed keeps its row, without a value and with the reason. Raises
    `InputError` unless `layers` is a whole number between 1 and 8.

    Examples
    --------
    >>> [row.name for row in table(1)][0]
    'first moment (union bound)'
    """
    layers = whole("layers", layers, 1, 8)
    return _remembered("table", {"layers": layers}, lambda: _table(layers), use_cache)


def field_table(wide_layers_before: int = 0, level: float = 0.0, *, use_cache: bool = True) -> list[Bound]:
    """Values of one layer behind infinitely wide ones, or for another level than 0, that is, another margin.

    Plain RDT, partially lifted RDT (without layers before), 1RSB and 2RSB: the ratio m/n above which every input has
    at least n units with a pre-activation above `level` (docs/theory.md §10, §11). A value that cannot be computed
    keeps its row, with the reason. Raises `InputError` unless 0 <= wide_layers_before <= 20 and -3 <= level <= 3.

    Examples
    --------
    >>> [round(row.value, 3) for row in field_table(1, use_cache=False)]
    [7.588, 6.463, 6.44]
    """
    field = Field(wide_layers_before, level)
    arguments = {"wide_layers_before": field.wide_layers, "level": field.level}
    return _remembered("field", arguments, lambda: _field_table(field), use_cache)


def _remembered(
    what: str, arguments: dict[str, Any], compute: Callable[[], list[Bound]], use_cache: bool
) -> list[Bound]:
    """Rows from the disk cache, or computed; rows with a value missing are not kept."""
    if not use_cache:
        return compute()
    return remember(what, arguments, compute, _encode, _decode, keep=lambda rows: not any(row.reason for row in rows))


def _field_table(field: Field) -> list[Bound]:
    from mcinj.theory import lifted, rsb, wide

    behind, level, layers = field.wide_layers, field.level, 1 + field.wide_layers
    blank = _row(field.named("plain RDT"), layers=layers)
    rows = [computed_or_not(lambda: wide.plain_rdt_behind_wide(behind, 1.0, level), blank)]
    if not behind:
        blank = _row(field.named("partially lifted RDT"))
        rows.append(computed_or_not(lambda: lifted.partially_lifted(1.0, level), blank))
    for steps in (1, 2):
        blank = _row(field.named(f"{steps}RSB"), "heuristic", "estimate", layers=layers)
        rows.append(computed_or_not(partial(rsb.k_rsb, steps, 1.0, behind, level), blank))
    return rows


def _table(layers: int) -> list[Bound]:
    rows = [*_one_layer(), *published(1)]
    chains = _chains(layers) if layers > 1 else []
    for depth in range(2, layers + 1):
        rows += [chain[depth - 1] for chain in chains if len(chain) >= depth]
        rows += published(depth)
    return rows


def _one_layer() -> list[Bound]:
    from mcinj.theory import closed_form, lifted, rsb

    symmetric: Laws = "symmetric rows in general position"
    return [
        _enclosed(computed_or_not(closed_form.first_moment, _row("first moment (union bound)", laws=symmetric))),
        computed_or_not(
            closed_form.euler_characteristic, _row("Euler characteristic", "heuristic", "estimate", symmetric)
        ),
        _enclosed(computed_or_not(closed_form.plain_rdt, _row("plain RDT (replica symmetric)"))),
        _enclosed(computed_or_not(lifted.partially_lifted, _row("partially lifted RDT"))),
        computed_or_not(rsb.one_rsb, _row("1RSB", "heuristic", "estimate")),
        computed_or_not(rsb.two_rsb, _row("2RSB", "heuristic", "estimate")),
        computed_or_not(rsb.full_rsb, _row("full RSB (k-step limit)", "heuristic", "estimate")),
    ]


def _row(
    name: str,
    status: Status = "rigorous",
    kind: Kind = "upper",
    laws: Laws = "rotation-invariant rows",
    layers: int = 1,
) -> Bound:
    """What is known of a row before it is computed."""
    return Bound(
        name, layers, math.nan, status, "computed", "docs/theory.md", kind, laws=laws, reason="not yet computed"
    )


def _enclosed(bound: Bound) -> Bound:
    """The bound with its proved enclosure, or without one and with the reason."""
    from mcinj.theory.enclosure import enclosed

    if not bound.known:
        return bound
    try:
        return enclosed(bound)
    except Exception as error:
        return replace(bound, reason=f"not enclosed: {' '.join(str(error).split()) or type(error).__name__}")


def _chains(layers: int) -> list[list[Bound]]:
    from mcinj.theory.deep import deep_plain, deep_plain_unit
    from mcinj.theory.enclosure_deep import deep_plain_enclosed
    from mcinj.theory.lifted_deep import deep_lifted, two_layer_lifted_unit

    def after(alphas: Iterable[float]) -> Bound:
        return deep_plain(alphas, 2.0)

    def unit(alphas: Iterable[float]) -> Bound:
        return two_layer_lifted_unit(next(iter(alphas)))

    return [
        _chain(f"plain RDT chain from {FIRST_LAYER}", _published, layers, deep_plain),
        _chain("plain RDT chain from plain RDT", _plain, layers, deep_plain_enclosed),
        _chain(f"partially lifted RDT chain from {FIRST_LAYER}", _published, layers, deep_lifted),
        _chain("partially lifted RDT chain from partially lifted RDT", _lifted, layers, deep_lifted),
        _chain(f"unit-weight RDT chain from {FIRST_LAYER}", _published, layers, deep_plain_unit),
        _chain(f"unit-weight partially lifted RDT from {FIRST_LAYER}", _published, min(layers, 2), unit),
        _chain("global condition (2n active), plain RDT chain from plain RDT", _plain, layers, after, 2.0),
    ]


def _published() -> float:
    return FIRST_LAYER


def _plain() -> float:
    from mcinj.theory import closed_form

    return closed_form.plain_rdt().value


def _lifted() -> float:
    from mcinj.theory import lifted

    return lifted.partially_lifted().value


def _chain(
    name: str,
    alpha_1: Callable[[], float],
    layers: int,
    after: Callable[[Iterable[float]], Bound],
    theta: float = 1.0,
) -> list[Bound]:
    """Bounds for depths 1 … layers, each after the ones before it; depth 1 is a placeholder for `alpha_1`."""
    status: Status = "heuristic" if alpha_1 is _published else "rigorous"

    def first() -> Bound:
        return Bound(name, 1, alpha_1(), "reference", "published", "first layer of the chain")

    def further() -> Bound:
        missing = next((row for row in rows if not row.known), None)
        if missing is not None:
            raise ArithmeticError(f"layer {missing.layers} of the chain was not computed: {missing.reason}")
        return replace(after([row.value for row in rows]), name=name)

    rows = [computed_or_not(first, _row(name, status))]
    while len(rows) < layers:
        rows.append(computed_or_not(further, replace(_row(name, status, layers=len(rows) + 1), theta=theta)))
    return rows


def _encode(rows: list[Bound]) -> list[object]:
    return [row.to_json() for row in rows]


def _decode(data: list[dict[str, object]]) -> list[Bound]:
    return [Bound.from_json(record) for record in data]

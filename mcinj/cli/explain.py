"""What `mcinj check` prints for people: what is known without a verdict, and witnesses that can be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from mcinj.decide.known import Known


def distinct_decimals(x: Sequence[Fraction], other: Sequence[Fraction]) -> tuple[list[str], list[str]]:
    """Both inputs in decimals, six digits or as many more as it takes to tell every two different coordinates apart.

    >>> distinct_decimals([Fraction(1), Fraction(2)], [Fraction(1) + Fraction(1, 10**9), Fraction(2)])
    (['1.000000000', '2'], ['1.000000001', '2'])
    """
    first, second = [], []
    for a, b in zip(x, other, strict=True):
        digits = 6
        while a != b and _decimal(a, digits) == _decimal(b, digits):
            digits += 1
        # Digits that differ stand in one column.
        padded = digits > 6
        first.append(_decimal(a, digits, padded))
        second.append(_decimal(b, digits, padded))
    return first, second


def _decimal(value: Fraction, digits: int, padded: bool = False) -> str:
    """`digits` significant digits of an exact number; `padded`: zeros at the end stay."""
    from decimal import Context, Decimal

    number = Context(prec=digits).divide(Decimal(value.numerator), Decimal(value.denominator))
    if not number:
        return "0"
    text = f"{number:.{digits - 1}e}" if not -5 < number.adjusted() < digits else ""
    if not text:
        text = f"{number:.{digits - 1 - number.adjusted()}f}"
    if padded:
        return text
    mantissa, mark, power = text.partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return mantissa + mark + power


def explain_known(known: Known) -> None:
    """What is proved and seen where there is no answer, and what may help."""
    waiting = f", {known.open:,} of them open" if known.open else ""
    typer.echo(f"stopped at: {known.stage} ({known.nodes:,} nodes{waiting})")
    if known.share is not None:
        typer.echo(f"settled: {100 * known.share:.1f} % of all pairs of inputs, by volume")
    for fact in known.proved:
        typer.echo(f"proved: {fact}")
    if known.layers_alone:
        typer.echo("proved: injective on all of its inputs, alone: layer " + ", ".join(map(str, known.layers_alone)))
    for found in known.active:
        typer.echo(f"seen: an input with {found.count} active units of layer {found.layer} (--json has it)")
    typer.echo(f"advice: {known.advice}")

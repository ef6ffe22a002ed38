"""Checks of arguments shared by the theory functions."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

from mcinj.errors import InputError


def whole(name: str, value: object, least: int, most: int | None = None) -> int:
    """`value` as an int within [least, most], else `InputError` naming the argument (bools are refused)."""
    wanted = f"at least {least}" if most is None else f"between {least} and {most}"
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise InputError(f"{name} is {value!r}; give a whole number, {wanted}") from None
    if number < least or (most is not None and number > most):
        raise InputError(f"{name} is {number}; it must be {wanted}")
    return number


def positive(name: str, value: object, remedy: str = "give a finite number above 0") -> float:
    """`value` as a finite float above 0, else `InputError` naming the argument."""
    return _number(name, value, remedy, lambda x: math.isfinite(x) and x > 0)


def within(name: str, value: object, least: float, most: float, why: str) -> float:
    """`value` as a float within [least, most], else `InputError` naming the argument and saying why."""
    return _number(name, value, f"give a number from {least:g} to {most:g} ({why})", lambda x: least <= x <= most)


def _number(name: str, value: object, remedy: str, good: Callable[[float], bool]) -> float:
    if isinstance(value, bool | str | bytes):
        raise InputError(f"{name} is {value!r}; {remedy}")
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name} is {value!r}; {remedy}") from None
    if not good(number):
        raise InputError(f"{name} is {number}; {remedy}")
    return number


def threshold(value: object) -> float:
    """The count threshold θ as a float in [0.001, 100], else `InputError`; beyond, the solvers are not tested."""
    remedy = "give the count threshold over n, from 0.001 to 100 (1: injectivity, 2: global condition)"
    theta = positive("theta", value, remedy)
    if not 1e-3 <= theta <= 100:
        raise InputError(f"theta is {theta}; {remedy}")
    return theta

"""Second-order jets of functions of two variables over real balls (python-flint `arb`).

A `Jet` holds a function's value, gradient and Hessian on a box, each an `arb` ball that contains every value
taken on the box. Used by `enclosure` for interval Newton.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Jet", "erf", "exp", "log", "sqrt", "variables"]

Ball = Any  # flint.arb; flint is loaded on first use and has no type stubs


@dataclass(frozen=True)
class Jet:
    """Value ``v``, first derivatives ``a, b`` and second derivatives ``aa, ab, bb`` as balls."""

    v: Ball
    a: Ball
    b: Ball
    aa: Ball
    ab: Ball
    bb: Ball

    def __add__(self, other: Jet) -> Jet:
        return Jet(
            self.v + other.v,
            self.a + other.a,
            self.b + other.b,
            self.aa + other.aa,
            self.ab + other.ab,
            self.bb + other.bb,
        )

    def scale(self, factor: Ball) -> Jet:
        """The jet times a constant."""
        return Jet(*(factor * x for x in (self.v, self.a, self.b, self.aa, self.ab, self.bb)))

    def shift(self, constant: Ball) -> Jet:
        """The jet plus a constant."""
        return Jet(self.v + constant, self.a, self.b, self.aa, self.ab, self.bb)

    def __mul__(self, other: Jet) -> Jet:
        u, w = self, other
        return Jet(
            u.v * w.v,
            u.a * w.v + u.v * w.a,
            u.b * w.v + u.v * w.b,
            u.aa * w.v + 2 * u.a * w.a + u.v * w.aa,
            u.ab * w.v + u.a * w.b + u.b * w.a + u.v * w.ab,
            u.bb * w.v + 2 * u.b * w.b + u.v * w.bb,
        )

    def __truediv__(self, other: Jet) -> Jet:
        one = 1 / other.v
        return self * other._chain(one, -one * one, 2 * one * one * one)

    def _chain(self, f: Ball, df: Ball, ddf: Ball) -> Jet:
        """f(self) from f, f', f'' at the value."""
        return Jet(
            f,
            df * self.a,
            df * self.b,
            df * self.aa + ddf * self.a * self.a,
            df * self.ab + ddf * self.a * self.b,
            df * self.bb + ddf * self.b * self.b,
        )


def variables(a: Ball, b: Ball) -> tuple[Jet, Jet]:
    """The coordinates themselves, on the box a × b."""
    zero = 0 * a
    return Jet(a, zero + 1, zero, zero, zero, zero), Jet(b, zero, zero + 1, zero, zero, zero)


def exp(x: Jet) -> Jet:
    """e^x."""
    value = x.v.exp()
    return x._chain(value, value, value)


def log(x: Jet) -> Jet:
    """Natural logarithm."""
    one = 1 / x.v
    return x._chain(x.v.log(), one, -one * one)


def sqrt(x: Jet) -> Jet:
    """Square root."""
    root = x.v.sqrt()
    return x._chain(root, 1 / (2 * root), -1 / (4 * root * x.v))


def erf(x: Jet) -> Jet:
    """Error function, ``erf' = 2 exp(-x²)/√π``."""
    slope = 2 * (-x.v * x.v).exp() / (0 * x.v).pi().sqrt()
    return x._chain(x.v.erf(), slope, -2 * x.v * slope)

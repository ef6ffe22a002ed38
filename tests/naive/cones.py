"""Pointed polyhedral cones by their rays, in integers: cut by hyperplanes, nothing else (double description).

A ray is a primitive integer vector; its mask has a bit for each inequality that holds with equality there. Two rays
span a face of dimension two exactly if no third one has all the bits that they share. A linear map may be carried
along: its value at a new ray is the combination that the ray is.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

Vector = list[int]


@dataclass(frozen=True, slots=True)
class Ray:
    """A ray, the inequalities that are tight at it, and the value of a linear map there."""

    x: tuple[int, ...]
    tight: int
    value: tuple[int, ...]


def dot(a: tuple[int, ...] | Vector, b: tuple[int, ...] | Vector) -> int:
    """Scalar product."""
    return sum(u * v for u, v in zip(a, b))


def adjacent(rays: list[Ray], p: Ray, q: Ray) -> bool:
    """Whether p and q span a face of dimension two of the cone of all these rays."""
    common = p.tight & q.tight
    return not any(common & ~r.tight == 0 for r in rays if r is not p and r is not q)


def between(p: Ray, q: Ray, a: int, b: int, bit: int) -> Ray:
    """The ray through a p + b q, a, b > 0, with one more tight inequality."""
    x = [a * u + b * v for u, v in zip(p.x, q.x)]
    d = gcd(*x)
    value = [(a * u + b * v) // d for u, v in zip(p.value, q.value)]
    return Ray(tuple(v // d for v in x), (p.tight & q.tight) | bit, tuple(value))


def crossing(rays: list[Ray], levels: Vector, bit: int) -> list[Ray]:
    """The rays of the cone's section by the hyperplane on which the linear form with these values vanishes."""
    section = [Ray(r.x, r.tight | bit, r.value) for r, v in zip(rays, levels) if v == 0]
    above = [(r, v) for r, v in zip(rays, levels) if v > 0]
    below = [(r, v) for r, v in zip(rays, levels) if v < 0]
    return section + [between(p, q, -v, u, bit) for p, u in above for q, v in below if adjacent(rays, p, q)]


def halves(rays: list[Ray], levels: Vector, bit: int) -> list[tuple[int, list[Ray]]]:
    """The full-dimensional parts (sign, rays) on both sides of a hyperplane; one part if it does not pass between."""
    if all(v <= 0 for v in levels):
        return [(-1, rays)]
    if all(v >= 0 for v in levels):
        return [(1, rays)]
    section = crossing(rays, levels, bit)
    return [(s, [r for r, v in zip(rays, levels) if s * v > 0] + section) for s in (1, -1)]

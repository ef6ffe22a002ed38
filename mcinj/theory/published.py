"""Values quoted from the literature, never computed here and never used to compute anything.

The deep table is also the subject of docs/theory.md: two layers we can reproduce (`deep_plain_unit`), three
and four we cannot.
"""

from __future__ import annotations

from mcinj.theory.bounds import Bound

__all__ = ["FIRST_LAYER", "published"]

FIRST_LAYER = 6.7004
"""First layer's ratio in the published deep table (2RSB, equal to the third level of fully lifted RDT)."""

_FULL_RSB = "Maillard, Bandeira, Belius, Dokmanić, Nakajima, arXiv:2302.14112 (full RSB, Parisi PDE)"
_PUTHAWALA = "Puthawala, Kothari, Lassas, Dokmanić, de Hoop, arXiv:2006.08464"
_GATES = "Stojnic, arXiv:2410.20646 (fully lifted RDT, third level; equal to 2RSB)"
_DEEP = "Stojnic, arXiv:2412.19677 (plain RDT, weak injectivity; the first layer at 6.7004)"
_DEEP_LIFTED = "Stojnic, arXiv:2412.19677 (partially lifted RDT, weak injectivity)"


def published(layers: int) -> tuple[Bound, ...]:
    """The published values for networks of exactly `layers` layers; empty where the literature has none."""
    return _TABLE.get(layers, ())


def _quote(name: str, layers: int, value: float, source: str, **kind: str) -> Bound:
    return Bound(name, layers, value, "reference", "published", source, **kind)  # type: ignore[arg-type]


_TABLE: dict[int, tuple[Bound, ...]] = {
    1: (
        Bound("full RSB", 1, 6.698, "heuristic", "published", _FULL_RSB, "estimate"),
        _quote("fully lifted RDT, third level", 1, FIRST_LAYER, _GATES),
        Bound("Puthawala et al., upper", 1, 10.5, "rigorous", "published", _PUTHAWALA),
        Bound("Puthawala et al., lower", 1, 3.4, "rigorous", "published", _PUTHAWALA, "lower"),
    ),
    2: (
        _quote("published deep table", 2, 8.267, _DEEP),
        _quote("published deep table, partially lifted", 2, 8.264, _DEEP_LIFTED),
    ),
    3: (_quote("published deep table", 3, 9.49, _DEEP),),
    4: (_quote("published deep table", 4, 10.124, _DEEP),),
}

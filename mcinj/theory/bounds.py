"""The value object of the theory engine: one threshold ratio with its standing and its source."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from mcinj.errors import InputError

__all__ = ["Bound", "Kind", "Laws", "Origin", "Status", "computed_or_not"]

Status = Literal["rigorous", "heuristic", "reference"]
Origin = Literal["computed", "published"]
Kind = Literal["upper", "lower", "estimate"]
Laws = Literal["rotation-invariant rows", "symmetric rows in general position"]


@dataclass(frozen=True)
class Bound:
    """One value of the critical ratio α_l = m_l/n (last width over inputs) of a Gaussian ReLU network.

    Attributes:
        name: what computed it, e.g. ``"plain RDT (replica symmetric)"``.
        layers: depth l of the network the value is about.
        value: the ratio m_l/n (dimensionless); NaN where it could not be computed, and `reason` says why.
        status: ``"rigorous"`` (a theorem for n -> ∞; the numerics may or may not be enclosed, see
            `enclosure`), ``"heuristic"`` (replica method, Euler characteristic), or ``"reference"`` (a
            published number whose equation is not evaluated here).
        origin: ``"computed"`` here from its equation, or ``"published"`` and quoted (also a ratio the caller
        gives). source: equation and citation. kind: ``"upper"`` bound, ``"lower"`` bound, or ``"estimate"``
        of the threshold itself. laws: the laws of the weights that it is about: ``"rotation-invariant rows"``
        (independent rows of uniform direction: Gaussian, spherical), or ``"symmetric rows in general position"``
        (independent rows, each as likely as its negative, any n of them independent: uniform entries too). Of
        other laws the value says nothing. theta: count threshold over n: 1 for injectivity, 2 for the sufficient global
        condition. parameters: values of the order parameters or multipliers at the saddle. error: estimated
        absolute numerical error of `value` (None for published values). enclosure: proved interval (lower,
        upper) around `value`, outward-rounded, or None. reason: why value or enclosure could not be computed, or
        empty.
    """

    name: str
    layers: int
    value: float
    status: Status
    origin: Origin
    source: str
    kind: Kind = "upper"
    theta: float = 1.0
    parameters: Mapping[str, float] = field(default_factory=dict, hash=False)
    error: float | None = None
    enclosure: tuple[float, float] | None = None
    laws: Laws = "rotation-invariant rows"
    reason: str = ""

    def __post_init__(self) -> None:
        for label, given, known in (
            ("status", self.status, get_args(Status)),
            ("origin", self.origin, get_args(Origin)),
            ("kind", self.kind, get_args(Kind)),
            ("laws", self.laws, get_args(Laws)),
        ):
            if given not in known:
                raise InputError(f"{label} is {given!r}; use one of {', '.join(known)}")
        if not math.isfinite(self.value) and not (math.isnan(self.value) and self.reason):
            raise InputError(f"the value of {self.name} is {self.value}; a bound must be finite")
        if self.layers < 1:
            raise InputError(f"layers is {self.layers}; a network has at least one layer")
        if self.enclosure is not None and not self.enclosure[0] <= self.value <= self.enclosure[1]:
            raise InputError(f"the enclosure {self.enclosure} of {self.name} misses its value {self.value}")
        object.__setattr__(self, "parameters", dict(self.parameters))

    @property
    def known(self) -> bool:
        """Whether there is a value; otherwise `reason` says why not."""
        return math.isfinite(self.value)

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary of all attributes, ready for `json.dumps` (keys as the attributes; no value: null)."""
        return {
            "name": self.name,
            "layers": self.layers,
            "value": self.value if self.known else None,
            "status": self.status,
            "origin": self.origin,
            "source": self.source,
            "kind": self.kind,
            "theta": self.theta,
            "parameters": dict(self.parameters),
            "error": self.error,
            "enclosure": None if self.enclosure is None else list(self.enclosure),
            "laws": self.laws,
            "reason": self.reason,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Bound:
        """Inverse of `to_json`; raises `InputError` if a key is missing, unknown or of the wrong kind."""
        try:
            enclosure = data["enclosure"]
            pair = None if enclosure is None else (float(enclosure[0]), float(enclosure[1]))
            return cls(
                name=str(data["name"]),
                layers=int(data["layers"]),
                value=math.nan if data["value"] is None else float(data["value"]),
                status=data["status"],
                origin=data["origin"],
                source=str(data["source"]),
                kind=data["kind"],
                theta=float(data["theta"]),
                parameters={str(key): float(x) for key, x in data["parameters"].items()},
                error=None if data["error"] is None else float(data["error"]),
                enclosure=pair,
                laws=data["laws"],
                reason=str(data["reason"]),
            )
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise InputError(f"not the record of a theory value: {error!r}") from None


def computed_or_not(compute: Callable[[], Bound], otherwise: Bound) -> Bound:
    """`compute()`; where it fails, for whatever reason, `otherwise` without a value and with that reason.

    One value that cannot be had costs its own row, not the table or report that it stands in.
    """
    try:
        return compute()
    except Exception as error:
        return replace(otherwise, value=math.nan, error=None, enclosure=None, reason=_words(error))


def _words(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, ArithmeticError | InputError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

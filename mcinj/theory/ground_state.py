"""The ground-state curve: least fraction of positive entries e(α) over all inputs, per input dimension.

For an m × n Gaussian matrix with m = αn, ``min_x |S(x)| / n`` tends to e(α); a layer is injective when e(α) >
1. Replica symmetry gives ``α c_e(α) = 1``, a rigorous lower bound on the minimum (Gordon); 1RSB and 2RSB are
the replica method's closer estimates (`parisi`). All vanish for α <= 2, where some input has no positive
entry.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcinj.errors import InputError
from mcinj.theory.cache import remember
from mcinj.theory.closed_form import gordon_distance
from mcinj.theory.parisi import Functional, Saddle, functional
from mcinj.theory.roots import bracketed_root
from mcinj.theory.rsb import descend, split

__all__ = ["GroundStateCurve", "ground_state_curve"]

Array = NDArray[np.float64]

_START = Saddle((0.78,), (3.3,), 0.053)  # basin of the 1RSB minimum at the ratio below
_START_RATIO = 6.7
_STRIDE = 0.1  # continuation in ln(α - 2): the saddle moves smoothly in it, down to α = 2
_LEAST = 2.001
_ON_THE_WAY = 1e-6  # error of energies that only lead to others, over α - 2


@dataclass(frozen=True)
class GroundStateCurve:
    """Energies e(α), each an array of the length of `alphas`, and the order parameters at them.

    `parameters` maps "1rsb.q0", "2rsb.c2", … to arrays; NaN where α is too near to 2 to be told from 0. An
    energy that could not be computed is NaN.
    """

    alphas: Array
    rs: Array
    one_rsb: Array
    two_rsb: Array
    parameters: Mapping[str, Array]

    def __post_init__(self) -> None:
        for name, values in {
            "rs": self.rs,
            "one_rsb": self.one_rsb,
            "two_rsb": self.two_rsb,
            **self.parameters,
        }.items():
            if values.shape != self.alphas.shape:
                raise InputError(f"{name} has shape {values.shape}, the ratios have {self.alphas.shape}")


def ground_state_curve(alphas: ArrayLike | None = None, *, use_cache: bool = True) -> GroundStateCurve:
    """RS, 1RSB and 2RSB ground-state energies at width ratios `alphas` (default 2, 2.1, …, 12).

    `alphas`: one-dimensional, every value finite and in (0, 50], in any order. Accurate to 1e-6 (below 2.001 an
    energy counts as 0); an energy that could not be computed is NaN. Raises `InputError` for anything else.
    """
    ratios = np.linspace(2, 12, 101) if alphas is None else np.asarray(alphas, dtype=np.float64)
    if ratios.ndim != 1 or ratios.size == 0:
        raise InputError(f"alphas has shape {ratios.shape}; give a one-dimensional list of width ratios m/n")
    bad = ratios[~(np.isfinite(ratios) & (ratios > 0) & (ratios <= 50))]
    if bad.size:
        raise InputError(f"alphas contains {bad[0]}; give width ratios m/n above 0 and at most 50")
    if not use_cache:
        return _curve(ratios)
    arguments = {"alphas": ratios.tolist()}
    return remember(
        "ground-state", arguments, lambda: _curve(ratios), _encode, lambda data: _decode(data, ratios), keep=_whole
    )


def _curve(ratios: Array) -> GroundStateCurve:
    wanted = [float(alpha) for alpha in np.unique(ratios) if alpha >= _LEAST]
    start = _START
    energies: dict[int, Array] = {}
    parameters: dict[str, Array] = {}
    for steps in (1, 2):
        try:
            start = descend(start, _energy(_START_RATIO), _ON_THE_WAY)[0]
            saddles = _follow(start, _START_RATIO, wanted)
            start = split(start)
        except ArithmeticError:  # no energy is known then, nor any of more steps
            saddles = dict.fromkeys(wanted)
            wanted = []
        energies[steps] = np.array([_value(saddles, float(alpha)) for alpha in ratios])
        names = [f"q{i}" for i in range(steps)] + [f"c{i}" for i in range(1, steps + 1)] + ["chi"]
        for place, name in enumerate(names):
            parameters[f"{steps}rsb.{name}"] = np.array([_entry(saddles.get(float(a)), place) for a in ratios])
    return GroundStateCurve(
        alphas=ratios,
        rs=np.array([_replica_symmetric(float(alpha)) for alpha in ratios]),
        one_rsb=energies[1],
        two_rsb=energies[2],
        parameters=parameters,
    )


def _follow(centre: Saddle, ratio: float, wanted: Sequence[float]) -> dict[float, Saddle | None]:
    """Saddles at the wanted ratios, by continuation from `ratio` downwards and upwards; None where it was lost."""
    found: dict[float, Saddle | None] = dict.fromkeys(wanted)
    for side in (sorted(a for a in wanted if a <= ratio)[::-1], sorted(a for a in wanted if a > ratio)):
        saddle, at = centre, ratio
        with suppress(ArithmeticError):
            for target in side:
                parts = max(1, int(np.ceil(abs(np.log((target - 2) / (at - 2))) / _STRIDE)))
                for level in np.exp(np.linspace(np.log(at - 2), np.log(target - 2), parts + 1)[1:-1]):
                    saddle = descend(saddle, _energy(2 + float(level)), _ON_THE_WAY * float(level))[0]
                saddle = descend(saddle, _energy(target))[0]
                found[target], at = saddle, target
    return found


def _energy(alpha: float) -> Callable[[Functional], tuple[float, Array, float]]:
    return lambda f: (-f.energy(alpha), -f.energy_gradient(alpha), f.energy_rounding(alpha))


def _value(saddles: Mapping[float, Saddle | None], alpha: float) -> float:
    """Energy at a ratio: 0 for ratios that no saddle was wanted for, NaN where there is none."""
    if alpha < _LEAST:
        return 0.0
    saddle = saddles.get(alpha)
    return math.nan if saddle is None else functional(saddle).energy(alpha)


def _entry(saddle: Saddle | None, place: int) -> float:
    return float("nan") if saddle is None else (*saddle.q, *saddle.c, saddle.chi)[place]


def _replica_symmetric(alpha: float) -> float:
    """Root e of ``α c_e(α) = 1``; the left side falls in e from α/2 to 0."""
    if alpha <= 2:
        return 0.0
    try:
        return bracketed_root(lambda e: 1 - alpha * gordon_distance(alpha, e), 1e-300, alpha / 2)
    except ArithmeticError:
        return math.nan


def _whole(curve: GroundStateCurve) -> bool:
    return all(bool(np.isfinite(values).all()) for values in (curve.rs, curve.one_rsb, curve.two_rsb))


def _encode(curve: GroundStateCurve) -> dict[str, Any]:
    columns = {"rs": curve.rs, "one_rsb": curve.one_rsb, "two_rsb": curve.two_rsb}
    lists = {name: values.tolist() for name, values in columns.items()}
    # JSON has no NaN: absent parameters are null.
    parameters = {
        name: [None if np.isnan(x) else float(x) for x in values] for name, values in curve.parameters.items()
    }
    return {**lists, "parameters": parameters}


def _decode(data: dict[str, Any], ratios: Array) -> GroundStateCurve:
    return GroundStateCurve(
        alphas=ratios,
        rs=np.array(data["rs"], dtype=np.float64),
        one_rsb=np.array(data["one_rsb"], dtype=np.float64),
        two_rsb=np.array(data["two_rsb"], dtype=np.float64),
        parameters={name: np.array(x, dtype=np.float64) for name, x in data["parameters"].items()},
    )

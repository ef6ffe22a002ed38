"""Stopping rules of an experiment, as text that is recorded with its data, and intervals valid under them.

A run that stops when its interval looks narrow must not then report that interval at face value: it was looked at
several times. Under `WidthTarget` the looks are at fixed numbers of trials only, and each interval is computed at
level 1 - (1 - level)/looks (Bonferroni), so that all looks together, hence the one at which the run stops, cover with
probability at least `level`. Looks count trials in their order of number (0, 1, 2, …), never in order of completion:
quick trials have small m*, and stopping on them would bias every estimate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mcinj.errors import InputError
from mcinj.infer.intervals import check_level
from mcinj.infer.quantiles import QuantileEstimate, quantile
from mcinj.infer.sample import ThresholdSample


@dataclass(frozen=True)
class FixedCount:
    """Stop after a number of trials fixed in advance; intervals at their plain level are valid.

    >>> FixedCount(500).text
    'fixed-count trials=500'
    """

    trials: int

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise InputError(f"a fixed count needs at least one trial, got {self.trials}")

    @property
    def text(self) -> str:
        """The rule in one line, read back by `parse_rule`."""
        return f"fixed-count trials={self.trials}"

    @property
    def looks(self) -> tuple[int, ...]:
        """Numbers of trials at which the rule may stop."""
        return (self.trials,)

    def look_level(self, level: float) -> float:
        """Level of each single interval so that the reported one covers with probability `level`."""
        return check_level(level)


@dataclass(frozen=True)
class WidthTarget:
    """Stop at the first look at which the interval of the median of m*/n is at most `width` long, or at the last look.

    width: length of the interval in units of m*/n. level: its confidence level over all looks together.
    looks: increasing numbers of trials, fixed in advance.

    >>> WidthTarget(0.1, (100, 200, 400)).text
    'width-target width=0.1 level=0.95 looks=100,200,400'
    """

    width: float
    looks: tuple[int, ...]
    level: float = 0.95

    def __post_init__(self) -> None:
        check_level(self.level)
        if not (self.width > 0 and math.isfinite(self.width)):
            raise InputError(f"the width to reach must be positive and finite, got {self.width}")
        if not self.looks or self.looks[0] < 1 or any(a >= b for a, b in zip(self.looks, self.looks[1:])):
            raise InputError(f"looks must be increasing numbers of trials, got {list(self.looks)}")

    @property
    def text(self) -> str:
        """The rule in one line, read back by `parse_rule`."""
        return f"width-target width={self.width!r} level={self.level!r} looks={','.join(map(str, self.looks))}"

    def look_level(self, level: float) -> float:
        """Level of each single interval (Bonferroni over the looks)."""
        return 1.0 - (1.0 - check_level(level)) / len(self.looks)

    def satisfied(self, estimate: QuantileEstimate) -> bool:
        """Whether the estimate, computed at look_level(self.level), ends the run."""
        return estimate.trials >= self.looks[-1] or estimate.alpha_hi - estimate.alpha_lo <= self.width


StoppingRule = FixedCount | WidthTarget


def doubling_looks(first: int, last: int) -> tuple[int, ...]:
    """Looks first, 2 first, 4 first, … and last: few looks, little lost to Bonferroni.

    >>> doubling_looks(100, 1000)
    (100, 200, 400, 800, 1000)
    """
    if not 1 <= first <= last:
        raise InputError(f"looks need 1 <= first <= last, got {first} and {last}")
    looks = []
    while first < last:
        looks.append(first)
        first *= 2
    return (*looks, last)


@dataclass(frozen=True)
class Decision:
    """What a rule says about the trials done so far.

    stop: end the run. trials: number of trials in order that the estimate uses (the look). wanted: number of trials at
    the next look (equal to trials when stopping). estimate: the median's, at the level valid under the rule; None
    before the first look.
    """

    stop: bool
    trials: int
    wanted: int
    estimate: QuantileEstimate | None


def decide(rule: StoppingRule, sample: ThresholdSample, *, level: float = 0.95, q: float = 0.5) -> Decision:
    """Apply a rule to the trials 0, 1, 2, … of one series, in that order, without gaps.

    The estimate's interval covers the q-quantile with probability >= level under the rule. Trials beyond the look at
    which the rule stops are not used. A WidthTarget is judged by the median at its own level, whatever q and level.
    """
    reached = [k for k in rule.looks if k <= sample.trials]
    for look in reached:
        part = sample.take(np.arange(look))
        if isinstance(rule, FixedCount) or rule.satisfied(quantile(part, 0.5, level=rule.look_level(rule.level))):
            return Decision(True, look, look, quantile(part, q, level=rule.look_level(level)))
    wanted = next(k for k in rule.looks if k > sample.trials)
    if not reached:
        return Decision(False, 0, wanted, None)
    part = sample.take(np.arange(reached[-1]))
    return Decision(False, reached[-1], wanted, quantile(part, q, level=rule.look_level(level)))


def sample_under(rule: StoppingRule, sample: ThresholdSample, level: float = 0.95) -> tuple[ThresholdSample, float]:
    """The trials that count under a rule, and the level at which any interval from them covers with `level`.

    The trials are those up to the look at which the rule stops, or up to the last look reached; before the first look
    all of them, with no guarantee. At level `rule.look_level(level)` the intervals at all looks cover together, so this
    holds for bands and quantiles alike.
    """
    decision = decide(rule, sample, level=level)
    part = sample.take(np.arange(decision.trials)) if decision.trials else sample
    return part, rule.look_level(level)


def parse_rule(text: str) -> StoppingRule:
    """Read a rule back from its text. Raises InputError that shows the two valid forms.

    >>> parse_rule("width-target width=0.1 level=0.9 looks=50,100").looks
    (50, 100)
    """
    forms = "'fixed-count trials=N' or 'width-target width=W level=L looks=A,B,C'"
    kind, *fields = text.split()[:8] or [""]
    values = dict(field.split("=", 1) for field in fields if "=" in field)
    try:
        if kind == "fixed-count" and set(values) == {"trials"} and len(fields) == 1:
            return FixedCount(int(values["trials"]))
        if kind == "width-target" and set(values) == {"width", "level", "looks"} and len(fields) == 3:
            looks: Sequence[int] = [int(k) for k in values["looks"].split(",")]
            return WidthTarget(float(values["width"]), tuple(looks), float(values["level"]))
    except InputError:
        raise
    except ValueError:
        pass
    raise InputError(f"cannot read the stopping rule {text!r}: write {forms}")

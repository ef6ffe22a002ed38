"""A campaign on σ* and κ: on domains, of several layers, of leaky ReLUs, against all regions over the rationals."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from naive.bounded import Inside, least
from naive.jacobians import gram, reaches
from naive.verdicts import layers_over_integers, output, regions
from structured.comparison import compile_all, limit

import mcinj
from mcinj import Network
from mcinj.decide.bounded.domain import Domain
from reliability.domains import JUDGE, UNJUDGED, Rng, awkward, holds, in_units, integers, shifted
from reliability.leaky import leaking
from reliability.verdicts import SECONDS, Outcome


def stability(first: int) -> Iterator[Outcome]:
    """σ* and κ of one and several layers: on boxes and balls, on the whole space, and of leaky ReLUs."""
    compile_all()
    for k in range(first, 1 << 40):
        rng = np.random.default_rng([19, k])
        slope, domain = 0.0, None
        network = integers(rng)
        kind = k % 4
        if kind == 1:
            network, slope = leaking(rng)
        elif kind == 2:
            widths = [int(rng.integers(2 * network.n, 6 * network.n)) for _ in range(int(rng.integers(1, 3)))]
            sizes = [network.n, *widths]
            network = Network([rng.standard_normal(s) for s in zip(sizes[1:], sizes)])
            network = shifted(rng, network) if rng.random() < 0.5 else network
        if kind == 0 or (kind == 3 and rng.random() < 0.5):
            network, domain = in_units(rng, network, awkward(rng, network))
        text = None if domain is None else domain.text
        name = f"number {k}, slope {slope!r}, {text or 'everywhere'}"
        try:
            with limit(JUDGE):
                case = Steady.of(network, domain, Fraction(slope), rng)
        except TimeoutError:
            yield Outcome("agreed", also=UNJUDGED)
            continue
        yield case.judged(name, text, slope)


@dataclass(frozen=True)
class Steady:
    """What holds of σ* and κ: all regions' Gram matrices, and ratios |f(x) - f(x')|² / |x - x'|² of pairs."""

    network: Network
    domain: Domain | None
    slope: Fraction
    grams: list[list[list[Fraction]]]
    ratios: list[Fraction]

    @staticmethod
    def of(network: Network, domain: Domain | None, slope: Fraction, rng: Rng) -> Steady:
        """From the regions that meet the domain."""
        n, biased = network.n, network.has_biases
        if domain is None:
            weights, biases = network.exact_weights, network.exact_biases if biased else None
            found = regions(layers_over_integers(weights, biases), biased, True, slope)
            if found is None:  # the inputs are dependent: one direction has no effect
                return Steady(network, None, slope, [[[Fraction(0)] * n] * n], [Fraction(0)])
            cells = [[_place(r.x, biased) for r in c] for c in found]
        else:
            inside = Inside(network.exact_weights, network.exact_biases, Fraction(domain.low), Fraction(domain.high))
            cells = [[_place(r.x, True) for r in c] for c in inside.cells]
            if domain.shape == "ball":
                square = Fraction(domain.high) ** 2
                cells = [c for c in cells if least([x for x, _ in c], [Fraction(1)] * n)[0] < square]
        grams, points = [], []
        for cell in cells:
            # Rays at infinity (t = 0) are directions.
            finite = [x for x, t in cell if t] or [(Fraction(0),) * n]
            middle = [sum(v, Fraction(0)) / len(finite) for v in zip(*finite)]
            for x, t in cell:
                middle = middle if t else [a + b for a, b in zip(middle, x)]
            grams.append(gram(network.exact_weights, network.exact_biases, middle, slope))
            points += [tuple(middle), *finite]
        if domain is not None and domain.shape == "ball":
            square = Fraction(domain.high) ** 2
            points = [x for x in points if sum(v * v for v in x) <= square]
        ratios = []
        outputs = {x: output(network.exact_weights, network.exact_biases, x, slope) for x in dict.fromkeys(points)}
        different = list(outputs)
        for _ in range(300 if len(different) > 1 else 0):
            i, j = rng.choice(len(different), 2, replace=False)
            ratios.append(_ratio(different[i], different[j], outputs[different[i]], outputs[different[j]]))
        return Steady(network, domain, slope, grams, ratios)

    def judged(self, name: str, text: str | None, slope: float) -> Outcome:
        """The program's intervals against these."""
        try:
            with limit(2 * SECONDS):
                found = mcinj.stability(self.network, domain=text, slope=slope, node_budget=20_000)
        except TimeoutError:
            return Outcome("slow", name)
        except Exception as error:
            return Outcome("error", f"{name}: {type(error).__name__}: {error}")
        wrong = self._wrong(found)
        if wrong:
            return Outcome(wrong[0], f"{name}: {wrong[1]}: {found}")
        if not found.complete:
            return Outcome("unknown", f"{name}: between {found.sigma_lo} and {found.sigma_hi}")
        return Outcome("agreed", also={"lower bounds of κ above 0": int(found.kappa_lo > 0)})

    def _wrong(self, found: mcinj.Stability) -> tuple[str, str] | None:
        if math.isfinite(found.sigma_lo) and not all(reaches(g, Fraction(found.sigma_lo) ** 2) for g in self.grams):
            return "false pass", "sigma_lo is above a region's least singular value"
        low, high = found.sigma_squared
        if math.isfinite(found.sigma_hi):
            for top in (Fraction(found.sigma_hi) ** 2, high):
                if all(reaches(g, top, strictly=True) for g in self.grams):
                    return "false failure", "sigma_hi is below all regions' least singular values"
        if found.complete and found.sigma_lo < found.sigma_hi * (1 - 1e-5):
            return "false pass", "complete, and is not"
        least_ratio = min(self.ratios, default=None)
        if least_ratio is not None and Fraction(found.kappa_lo) ** 2 > least_ratio:
            return "false pass", "kappa_lo is above the ratio of a pair"
        if (high is not None and low > high) or found.kappa_lo > found.kappa_hi:
            return "false pass", "intervals are empty"
        if found.pair is not None:
            x, y = list(found.pair.x), list(found.pair.x_prime)
            if x == y or not all(self.domain is None or holds(self.domain, z) for z in (x, y)):
                return "bad witness", "pair"
            weights, biases = self.network.exact_weights, self.network.exact_biases
            fx, fy = (output(weights, biases, z, self.slope) for z in (x, y))
            ratio = _ratio(x, y, fx, fy)
            if not self.slope and ratio != found.kappa_squared[1]:
                return "bad witness", "the ratio of the pair"
        if found.x is not None and self.domain is not None and not holds(self.domain, list(found.x)):
            return "bad witness", "x outside"
        return None


def _place(x: tuple[int, ...], biased: bool) -> tuple[tuple[Fraction, ...], bool]:
    """A ray over (x, t): a point, or a direction (False)."""
    if not biased:
        return tuple(Fraction(v) for v in x), True
    return tuple(Fraction(v, x[-1] or 1) for v in x[:-1]), bool(x[-1])


def _ratio(x, y, fx, fy) -> Fraction:  # type: ignore[no-untyped-def]
    return sum(((a - b) ** 2 for a, b in zip(fx, fy)), Fraction(0)) / sum((a - b) ** 2 for a, b in zip(x, y))

"""One pair of regions, exactly: a rational collision, or a proof that the open cells do not collide."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from mcinj.certify.rational import kernel, product, to_flint
from mcinj.certify.witness import Witness
from mcinj.decide.deep.model import DeepModel
from mcinj.decide.layer.exact import circuit_or_point, integer_row
from mcinj.decide.pairs.store import Kinds, Paths
from mcinj.networks import Network
from mcinj.networks.network import FractionMatrix, FractionVector


class ExactPair:
    """Regions a, b given by their signs and path rows; `network` is what a witness is checked on.

    When `decide` has said None, `circuit` has the path rows (of a, then of b) that contradict the equations.
    """

    circuit: Sequence[int] = ()

    def __init__(
        self, model: DeepModel, network: Network, signs: tuple[Kinds, Kinds], paths: tuple[Paths, Paths]
    ) -> None:
        self.model, self.network = model, network
        g, widths = self.model.g, self.model.widths
        zero = (Fraction(0),) * g
        last: list[FractionMatrix] = []
        self.strict: list[FractionVector] = []
        for which, (sign, path) in enumerate(zip(signs, paths, strict=True)):
            pattern = [(sign[k, : widths[k]] > 0).tolist() for k in range(self.model.depth - 1)]
            rows = self.model.rows(pattern)
            active = [row for row, s in zip(rows[-1], sign[-1], strict=False) if s > 0]
            if self.model.biased:
                active.append((*zero[:-1], Fraction(1)))
            last.append(tuple(active))
            for row in self.model.path_rows(path.tolist(), rows):
                self.strict.append((*row, *zero) if which == 0 else (*zero, *row))
        self.equations = [(*r, *(-v for v in t)) for r, t in zip(*last, strict=True)]

    def near(self, point: Sequence[float]) -> Witness | None:
        """A verified collision near a float point of R^{2g}, or None."""
        g2 = 2 * self.model.g
        reduced, r = to_flint(self.equations, g2).rref()
        columns: list[int] = []
        for i in range(r):
            columns.append(next(j for j in range(columns[-1] + 1 if columns else 0, g2) if reduced[i, j] != 0))
        free = [j for j in range(g2) if j not in set(columns)]
        top = max(abs(v) for v in point)
        for bits in (24, 40, 60):
            z = [Fraction(0)] * g2
            for j in free:
                z[j] = Fraction(round(Fraction(float(point[j]) / top) * 2**bits), 2**bits)
            for i, j in enumerate(columns):
                total = Fraction(0)
                for f in free:
                    v = reduced[i, f]
                    total -= Fraction(int(v.p), int(v.q)) * z[f]
                z[j] = total
            witness = self.model.pair_witness(z, self.network)
            if witness is not None:
                return witness
        return None

    def decide(self) -> Witness | None:
        """A verified collision of the open cells, or None: proved that there is none."""
        g2 = 2 * self.model.g
        basis = kernel(self.equations, g2)
        if not basis:
            self.circuit = []
            return None
        span = to_flint([list(column) for column in zip(*basis, strict=True)], len(basis))
        rows = product(to_flint(self.strict, g2), span)
        circuit, point = circuit_or_point([[-v for v in integer_row(row)] for row in rows])
        if circuit is not None or point is None:
            self.circuit = circuit or []
            return None
        z = [sum((c * b[j] for c, b in zip(point, basis, strict=True)), Fraction(0)) for j in range(g2)]
        witness = self.model.pair_witness(z, self.network)
        if witness is None:
            raise RuntimeError("an exact pair of one image failed its check; please report this network")
        return witness

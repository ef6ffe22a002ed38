"""The proof that a certificate holds of a global pass by pairs of closed cells.

Circuits are guessed by nonnegative least squares (C. L. Lawson, R. J. Hanson, *Solving Least Squares Problems*, 1974,
ch. 23): the rows that it leaves positive are affinely independent, so if they add up to 0 they are a circuit. Every
guess is checked by the exact code of `mcinj.certify.joint_cells`; where it fails, exact linear programming finds one.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from mcinj.certify.deep_checker import JOINT, write_deep
from mcinj.certify.deep_proof import DeepProof
from mcinj.certify.deep_rows import PrefixRows
from mcinj.certify.joint_cells import ABOVE, BELOW, FREE, OFF, SAME, WEAK, CellPair, ClosedCells, Line
from mcinj.certify.joint_proof import KINDS, JointProof
from mcinj.decide.budget import UNLIMITED
from mcinj.decide.deep.model import DeepModel
from mcinj.decide.deep.record import deep_proof
from mcinj.decide.deep.search import DeepSearch, Regions, patterns
from mcinj.decide.layer.exact import circuit_or_point
from mcinj.decide.watch import current
from mcinj.networks import Network

Floats = npt.NDArray[np.float64]

_ZERO = 1e-9  # of rows of length 1: smaller is taken for 0 until exact arithmetic says otherwise


def joint_certificate(network: Network, ranks: DeepProof) -> bytes:
    """The certificate of a network that `mcinj.decide.joint.collision` has proved injective; `ranks`: of regions."""
    earlier = DeepModel.of(network.prefix(network.depth - 1))
    # No region has this many active units: all are listed.
    search = DeepSearch(earlier, earlier.widths[-1] + 1, enumerate_regions=True, record=True)
    regions = Regions.join([batch for batch in search.batches(UNLIMITED) if batch is not None])
    cells = ClosedCells(PrefixRows(network, network.depth), patterns(regions.signs, earlier.widths))
    return write_deep(network, JOINT, [ranks, deep_proof(search), joint_proof(cells, network.depth)])


def joint_proof(cells: ClosedCells, layers: int, pairs: Iterable[tuple[int, int]] | None = None) -> JointProof:
    """The proof for pairs of these cells (all, or those given), of which none collide; fills in `cells.kinds`."""
    numbers: list[int] = []
    for c in range(len(cells.signs)):
        current().poll()
        numbers += _claims(cells, c)
    for a, b in cells.open_pairs() if pairs is None else pairs:
        if pairs is None or not cells.apart(a, b):
            current().poll()
            numbers += _tree(CellPair(cells, a, b))
    return JointProof(layers, np.array(numbers, dtype=np.int64))


def _claims(cells: ClosedCells, c: int) -> list[int]:
    lines = cells.lines(c)
    names = [r for r in [*range(cells.hidden), *([cells.reach - 1] if cells.biased else [])] if any(lines[r])]
    rows = _unit_rows([lines[r] for r in names])
    claims: list[int] = []
    count = 0
    for j in range(cells.last):
        found = _claim(cells, c, j, names, rows)
        if found is not None:
            kind, used = found
            cells.kinds[c, j] = kind
            claims += [len(KINDS) * j + KINDS.index(kind), len(used), *used]
            count += 1
    return [count, *claims]


def _claim(cells: ClosedCells, c: int, unit: int, names: list[int], rows: Floats) -> tuple[int, list[int]] | None:
    """A proved kind of the unit, and rows that prove it."""
    line = cells.lines(c)[cells.hidden + unit]
    if not any(line):
        return BELOW, []
    target = _unit_rows([line])[0]
    for sign in (1.0, -1.0):
        y, _ = _least_squares(rows.T, sign * target)
        used = [names[i] for i in np.flatnonzero(y > 0.0)]
        if not used or np.abs(y @ rows - sign * target).max() > _ZERO:
            continue
        kinds = (BELOW,) if sign < 0.0 else ((ABOVE, WEAK) if len(used) == cells.g else (WEAK,))
        for kind in kinds:
            if cells.claim_holds(c, unit, kind, used):
                return kind, used
    return None


def _tree(pair: CellPair) -> list[int]:
    """The tree of one pair."""
    leaf, z = _close(pair)
    if leaf is not None:
        return leaf
    unit = _branch(pair, z)
    numbers = [2 * unit + 1]
    for status in (SAME, OFF):
        pair.status[unit] = status
        numbers += _tree(pair)
    pair.status[unit] = FREE
    return numbers


def _close(pair: CellPair) -> tuple[list[int] | None, Floats]:
    """A leaf that closes the pair with the present signs, or a point (x, x') that fits them."""
    cells = pair.cells
    kernel = pair.kernel()
    circuits: list[list[int]] = []
    names: list[int] | None = None
    while not pair.closed(kernel):
        if names is None:
            names = [code for code in range(2 * cells.reach) if (row := pair.row(code)) is not None and any(row)]
            lines = [pair.row(code) or [] for code in names]
        circuit, z = _circuit(pair, kernel, names, lines)
        narrower = None if circuit is None else pair.narrowed(kernel, circuit)
        if circuit is None or narrower is None:
            return None, z
        circuits.append(circuit)
        kernel = narrower
        if any(pair.strict(code) for code in circuit):
            break
    return [2 * len(circuits), *(v for codes in circuits for v in (len(codes), *codes))], np.zeros(2 * cells.g)


def _circuit(pair: CellPair, kernel: Any, names: list[int], lines: list[Line]) -> tuple[list[int] | None, Floats]:
    """A proved circuit of the rows on the kernel, or a point of it at which they are positive."""
    import flint

    projected = [[int(v) for v in row] for row in (flint.fmpz_mat(lines) * kernel).tolist()]
    for code, row in zip(names, projected, strict=True):
        if pair.strict(code) and not any(row):
            return [code], np.zeros(0)
    kept = [i for i, row in enumerate(projected) if any(row)]
    basis = _unit_rows([[int(kernel[i, k]) for i in range(kernel.nrows())] for k in range(kernel.ncols())])
    span = np.linalg.qr(basis.T)[0]
    some = _unit_rows([lines[i] for i in kept]) @ span
    size = np.linalg.norm(some, axis=1)
    large = np.flatnonzero(size > _ZERO)
    some = some[large] / size[large, None]
    # y >= 0 with Σ y_i (row_i, 1) = (0, 1): a circuit; or the residual is a point of the interior.
    y, residual = _least_squares(np.column_stack([some, np.ones(len(some))]).T, np.append(np.zeros(some.shape[1]), 1.0))
    if residual[-1] < _ZERO:
        codes = [names[kept[large[i]]] for i in np.flatnonzero(y > 0.0)]
        if codes and pair.narrowed(kernel, codes) is not None:
            return codes, np.zeros(0)
    elif FREE in pair.status:
        return None, -(span @ residual[:-1])
    circuit, point = circuit_or_point([[-v for v in projected[i]] for i in kept]) if kept else (None, None)
    if circuit is not None:
        return [names[kept[i]] for i in circuit], np.zeros(0)
    if FREE not in pair.status:
        raise RuntimeError("a certificate met a collision that the search excluded; please report this network")
    c = [Fraction(0)] * kernel.ncols() if point is None else point
    z = [sum((int(kernel[i, k]) * v for k, v in enumerate(c)), Fraction(0)) for i in range(kernel.nrows())]
    top = max(abs(v) for v in z) or Fraction(1)
    return None, np.array([float(v / top) for v in z])


def _branch(pair: CellPair, z: Floats) -> int:
    """The free unit whose outputs differ most at the point (x, x')."""
    cells, g = pair.cells, pair.cells.g
    free = [j for j, s in enumerate(pair.status) if s == FREE]
    # Both copies of a unit in one row: they are scaled together.
    rows = _unit_rows([[v for lines in pair.lines for v in lines[cells.hidden + j]] for j in free])
    gap = np.abs(np.maximum(rows[:, :g] @ z[:g], 0.0) - np.maximum(rows[:, g:] @ z[g:], 0.0))
    return free[int(gap.argmax())]


def _unit_rows(lines: list[Line]) -> Floats:
    """Integer rows in floats, of length 1 (zeros stay)."""
    out = np.array([[v / top for v in line] if (top := max(map(abs, line))) else [0.0] * len(line) for line in lines])
    size = np.linalg.norm(out, axis=1, keepdims=True)
    scaled: Floats = out / np.where(size > 0.0, size, 1.0)
    return scaled


def _least_squares(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """y >= 0 with least |b - A y|, and the residual b - A y."""
    from scipy.optimize import nnls

    if not a.shape[1]:  # nnls ends the process
        return np.zeros(0), b
    try:
        y: Floats = nnls(a, b)[0]
    except RuntimeError:  # it did not converge
        y = np.zeros(a.shape[1])
    return y, b - a @ y

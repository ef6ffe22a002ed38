"""One deep search from Python: sets up the arrays, runs the compiled loop in slices, answers what needs exactness."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from mcinj.certify.collision import collision_at, rationalise
from mcinj.certify.deep_ops import BITS, COUNTED, RANKED, SET, SHIFT
from mcinj.certify.rational import rank
from mcinj.certify.witness import Witness
from mcinj.decide.deep import bounds as deep_bounds
from mcinj.decide.deep import kernel as deep_kernel
from mcinj.decide.deep import store as ds
from mcinj.decide.deep.log import START
from mcinj.decide.deep.model import DeepModel
from mcinj.decide.deep.raising import masks
from mcinj.decide.deep.scaling import nearest, power_of_two
from mcinj.decide.layer.exact import circuit_or_point, integer_row
from mcinj.decide.watch import Pace, current
from mcinj.networks import Network
from mcinj.numeric import cell
from mcinj.numeric.enclosure import LEAST, UNIT

_SLICE = 2_000  # most nodes between two looks at the outside world
_LARGE = 20_000  # weights from which a single node may take long
_ROOM = 8_192  # regions per batch; the first batches are smaller, for whoever looks for a collision early
_FIRST = 256
_LOG = 1 << 20  # numbers of a certificate that wait in the log
_COARSE = 1e-250  # rows below this are not known well, relatively


@dataclass(frozen=True)
class Regions:
    """A batch of regions: signs (R, L, m), points (R, g), path rows (R, ·) of G, path lengths and counts (R, 2)."""

    signs: npt.NDArray[np.int8]
    points: npt.NDArray[np.float64]
    paths: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.int64]

    @classmethod
    def join(cls, batches: Sequence[Regions]) -> Regions:
        """Several batches, at least one, as one; paths are as long as the longest."""
        longest = max(int(b.sizes[:, 0].max()) for b in batches)
        return cls(
            np.concatenate([b.signs for b in batches]),
            np.concatenate([b.points for b in batches]),
            np.concatenate([b.paths[:, :longest] for b in batches]),
            np.concatenate([b.sizes for b in batches]),
        )


def patterns(signs: npt.NDArray[np.int8], widths: Sequence[int]) -> npt.NDArray[np.int8]:
    """Signs (R, L, m) of regions as (R, sum of widths), layer after layer."""
    return np.concatenate([signs[:, k, :width] for k, width in enumerate(widths)], axis=1)


class DeepSearch:
    """Regions of `model` (all its layers) on which fewer than `target` units of the last layer are active.

    Parameters
    ----------
    model
        The prefix to decide.
    target
        n for the regional criterion; 2n to enumerate the regions that matter for the global one.
    enumerate_regions
        Visit every such region (`batches`) instead of stopping at the first (`decide`).
    ranked
        Close nodes by exact rank instead of count: every full pattern of the earlier layers is visited.
    list_cells
        Keep these patterns in `cells` (`ranked`, at least two layers).
    width
        Start with the first `width` units of the last layer; `grow` adds more.
    record
        Keep what a certificate needs (`log`).
    raises
        Most missing positives at which bounds are raised (`mcinj.decide.deep.raising`); 0: never.
    """

    found: tuple[Witness, int] | None = None

    def __init__(
        self,
        model: DeepModel,
        target: int,
        *,
        enumerate_regions: bool = False,
        ranked: bool = False,
        list_cells: bool = False,
        width: int | None = None,
        record: bool = False,
        raises: int = 2,
    ) -> None:
        self.model, self.target, self.ranked = model, target, ranked
        # What a witness is checked on; `grow` moves on to a wider one.
        self.network = model.network
        L, g, n = model.depth, model.g, model.n
        widths = np.array(model.widths, dtype=np.int64)
        m = int(max(widths.max(), g))
        m = (m + 7) // 8 * 8
        total, lanes = int(widths.sum()), cell.padded(g)
        fences = len(model.fence)
        frames, slots = total + 3, total + 5
        room = 12 * int(widths[-1]) + 64
        base = fences + 2 * np.concatenate([[0], np.cumsum(widths)[:-1]]).astype(np.int64)
        cuts = fences + 2 * total
        families = max(target, int(widths[-1])) + 3
        words = (m + 63) // 64
        gi = np.zeros(ds.GLOBALS, dtype=np.int64)
        gi[ds.TARGET], gi[ds.LAYERS], gi[ds.ENUMERATE], gi[ds.RANKED] = target, L, enumerate_regions, ranked
        gi[ds.INTEGRAL], gi[ds.CUTS], gi[ds.REFRESH] = model.integral, cuts, 1
        gi[ds.SHARPEN], gi[ds.RAISES] = 1, raises
        weights = np.zeros((L, m, m))
        for k, w in enumerate(model.floats):
            weights[k, : w.shape[0], : w.shape[1]] = w
        transposed = np.ascontiguousarray(weights.transpose(0, 2, 1))
        outputs = _ROOM if enumerate_regions or list_cells else 0
        gi[ds.LISTING] = list_cells
        self.cells: list[Regions] = []
        residues = model.residues if ranked else None
        q = np.zeros((L, m, m) if ranked else (1, 1, 1), dtype=np.int64)
        qr = np.zeros((L + 1, m, n) if ranked else (1, 1, 1), dtype=np.int64)
        if residues is not None:
            for k, r in enumerate(residues):
                q[k, : r.shape[0], : r.shape[1]] = r
            qr[0, : widths[0]] = residues[0][:, :n]
        span = max(lanes, 2 * g, m) + 8
        bits = sum(widths[:-1]) // BITS + 3
        node = int(12 * (widths[-1] + families) * (g + 2) * (bits + 2) + 4 * total + 64) * L if record else 0
        gi[ds.RECORD] = _LOG if record else 0
        self._log: list[npt.NDArray[np.int32]] = []
        self.st = ds.Store(
            gi=gi, m=widths, WP=np.maximum(transposed, 0.0), WM=np.maximum(-transposed, 0.0), WR=weights,
            ROWS=np.zeros((L, m, g)), ERR=np.zeros((L, m)), SIZE=np.zeros((L, m)), NORM=np.ones((L, m)),
            OWN=np.zeros((L, m), dtype=np.int64),
            G=np.zeros((cuts + room, lanes)), GE=np.zeros(cuts + room), BASE=base,
            SIGN=np.zeros((L, m), dtype=np.int64),
            UP=np.zeros((frames, L, m, g)), UE=np.zeros((frames, L, m)), UV=np.zeros((frames, L, m), dtype=np.int64),
            LR=np.zeros((L, m, g)), LE=np.zeros((L, m)), HS=np.zeros((L, m), dtype=np.int64),
            FI=np.zeros((frames, ds.FIELDS), dtype=np.int64), FM=np.zeros((slots, g, lanes)),
            FX=np.zeros((slots, lanes)), FU=np.zeros((slots, lanes)), FIDS=np.full((slots, lanes), -1, dtype=np.int64),
            TX=np.zeros((frames, lanes)), PS=np.zeros((frames + 1, families + 1, words), dtype=np.uint64),
            PV=np.zeros((frames + 1, words), dtype=np.uint64), PATHS=np.zeros(total + fences + 8, dtype=np.int64),
            TL=np.zeros(total + 8, dtype=np.int64), TU=np.zeros(total + 8, dtype=np.int64),
            OUT_SIGN=np.zeros((outputs, L, m), dtype=np.int8), OUT_X=np.zeros((outputs, g)),
            OUT_PATH=np.zeros((outputs, total + fences + 8), dtype=np.int32),
            OUT_N=np.zeros((outputs, 2), dtype=np.int64), Q=q, QR=qr,
            B=np.zeros((g, g)), BE=np.zeros(g), N=np.zeros((g, g)), work=np.zeros((g, 2 * g)), vec=np.zeros((10, span)),
            low=np.zeros((L, m)), high=np.zeros((L, m)), val=np.zeros((L, m)), coef=np.zeros((L, m)),
            score=np.zeros((4, max(m, total + fences + 16))),
            REQ=np.zeros(total + fences + room + 16, dtype=np.int64), CUTUNIT=np.zeros(room, dtype=np.int64),
            LOG=np.zeros(_LOG + node if record else 1, dtype=np.int32),
            PID=np.zeros((frames + 1, families + 1), dtype=np.int64), PINDEX=np.zeros(cuts + room, dtype=np.int64),
            BROW=np.zeros(g, dtype=np.int64), FORM=np.zeros((L, m), dtype=np.int64),
            SHARP=np.zeros((L, m), dtype=np.int64),
            CUTBITS=np.zeros((room + 1, bits + 1 if record else 1), dtype=np.int64),
            RQ=np.zeros((total + fences + 8, g)), RS=np.zeros(total + fences + 8),
            R=np.zeros((masks(families, int(widths[-1])), words), dtype=np.uint64),
            J=np.zeros((4, families + int(widths[-1]) + 1), dtype=np.int64),
            GROUPS=np.zeros(8 * (families + int(widths[-1]) + 2), dtype=np.int64),
        )  # fmt: skip
        gi[ds.ROOM] = min(_FIRST, outputs)
        self._pace = Pace(most=_SLICE)
        self._large = sum(w.size for w in model.floats) > _LARGE
        if width is not None:
            self.st.m[-1] = width
            self.network = self._narrowed(width)
        self._root()

    def _narrowed(self, width: int) -> Network:
        """The network with the first `width` units of the last layer."""
        given = self.model.network
        weights: Sequence[Any] = given.weights if given.floats_are_exact else given.exact_weights
        biases: Sequence[Any] | None = given.biases if given.floats_are_exact else given.exact_biases
        return Network(
            [*weights[:-1], weights[-1][:width]],
            None if biases is None else [*biases[:-1], biases[-1][:width]],
            premise=given.premise,
        )

    def grow(self, width: int) -> None:
        """Add units to the last layer. Whatever is closed stays closed: the search goes on where it stands."""
        st, last = self.st, self.model.depth - 1
        st.m[-1] = width
        self.network = self._narrowed(width)
        d = int(st.gi[ds.DEPTH])
        if d < 0:
            return
        st.FI[d, ds.NOWITNESS] = 0
        if last and int(st.FI[d, ds.LAYER]) == last:
            if deep_bounds.block(st, last):
                deep_bounds.install(st, last)
            else:
                self._block(last)
                deep_bounds.install(st, last)

    def _root(self) -> None:
        st, model = self.st, self.model
        g, fences = model.g, len(model.fence)
        first = model.floats[0]
        st.ROWS[0, : len(first)] = first
        st.SIZE[0, : len(first)] = top = np.abs(first).max(axis=1)
        if not model.floats_are_exact:
            st.ERR[0, : len(first)] = np.where(top > 0.0, 4 * UNIT * top + LEAST, 0.0)
        for i, row in enumerate(model.walls):
            top = max(abs(v) for v in row)
            line = np.array([float(v / top) for v in row])
            norm = float(np.sqrt(line @ line))
            st.G[i, :g] = line / norm
            st.GE[i] = 8 * UNIT
            st.PATHS[i] = st.PINDEX[i] = i
        if model.biased:
            for k in range(model.depth - 1):
                st.SIGN[k, model.widths[k] - 1] = 1
        deep_bounds.install(st, 0)
        st.FI[0, ds.PATH] = fences
        if fences:
            required = np.arange(fences, dtype=np.int64)
            status, _ = cell.settle(
                st.G, required, fences, st.FM[0], st.FX[0], st.FU[0], st.FIDS[0], st.vec[7], st.vec[8]
            )
            if status != cell.FEASIBLE:
                cell.clear(st.FM[0], st.FX[0], st.FU[0], st.FIDS[0])

    def begin_at(self, signs: npt.NDArray[np.int8], path: npt.NDArray[np.int32]) -> None:
        """Search one cell alone: a full pattern of the earlier layers (·, m) and the rows that define it."""
        st, hidden = self.st, self.model.depth - 1
        st.gi[ds.DEPTH], st.gi[ds.TRAIL], st.gi[ds.LOGGED] = 0, 0, 0
        self._log.clear()
        st.FI[0] = 0
        st.UV[0] = 0
        st.PV[0] = 0
        for k in range(self.model.depth):
            st.SIGN[k] = signs[k] if k < hidden else 0
            if 0 < k < hidden:
                if not deep_bounds.block(st, k):
                    self._block(k)
                deep_bounds.install(st, k)
        length = len(path)
        st.PATHS[:length] = path
        st.PINDEX[path] = np.arange(length)
        st.FI[0, ds.PATH], st.FI[0, ds.LAYER] = length, hidden - 1
        cell.clear(st.FM[0], st.FX[0], st.FU[0], st.FIDS[0])
        required = np.ascontiguousarray(st.PATHS[:length])
        status, _ = cell.settle(st.G, required, length, st.FM[0], st.FX[0], st.FU[0], st.FIDS[0], st.vec[7], st.vec[8])
        if status != cell.FEASIBLE:
            cell.clear(st.FM[0], st.FX[0], st.FU[0], st.FIDS[0])

    @property
    def nodes(self) -> int:
        """Nodes entered so far."""
        return int(self.st.gi[ds.NODES])

    def _advance(self, limit: int) -> int:
        """Run to `limit` nodes in total; returns PAUSED, DONE, WITNESS or FULL; everything else is answered here.

        After a RESOLVE that ends in a point of a complete cell, `self.found` is the collision there (regional search).
        """
        st, watch = self.st, current()
        while True:
            before = self.nodes
            st.gi[ds.LIMIT] = min(limit, before + self._pace.begin())
            reason = int(watch.aside(lambda: deep_kernel.advance(st)) if self._large else deep_kernel.advance(st))
            self._pace.end(self.nodes - before)
            watch.poll(self.nodes, self._waiting())
            if reason == ds.LOGFULL:
                self.take_log()
            elif reason == ds.BLOCK:
                self._block(int(st.gi[ds.SLOT]))
            elif reason == ds.RESOLVE:
                if self._resolve():
                    return ds.WITNESS
            elif reason != ds.PAUSED or self.nodes >= limit:
                return reason

    def _waiting(self) -> int:
        """Nodes on the stack that are not searched to the end."""
        return int((self.st.FI[: int(self.st.gi[ds.DEPTH]) + 1, ds.PHASE] <= ds.SECOND).sum())

    def decide(self, limit: int) -> tuple[Witness, int] | bool | None:
        """A verified collision and its layer, True if no region is below target, None past `limit` nodes."""
        st = self.st
        self.found = None
        while True:
            reason = self._advance(limit)
            if st.gi[ds.LISTING]:
                self.cells += self._taken()
            if reason == ds.DONE:
                return True
            if reason == ds.FULL:
                continue
            if reason == ds.PAUSED:
                return None
            if self.found is not None:
                return self.found
            d = int(st.gi[ds.DEPTH])
            x = st.TX[d] if st.gi[ds.SLOT] else st.FX[d]
            found = self._collision(rationalise(x[: self.model.g].tolist()))
            if found is not None:
                return found
            st.FI[d, ds.NOWITNESS] = 1

    def batches(self, limit: int) -> Iterator[Regions | None]:
        """Batches of regions with fewer than `target` active units; None, at the end, if `limit` nodes did not do."""
        while True:
            reason = self._advance(limit)
            yield from self._taken()
            if reason == ds.PAUSED:
                yield None
            if reason != ds.FULL:
                return

    def _taken(self) -> list[Regions]:
        """The regions in the output, which is empty afterwards and has more room."""
        st = self.st
        count = int(st.gi[ds.REGIONS])
        st.gi[ds.ROOM] = min(_ROOM, 2 * int(st.gi[ds.ROOM]))
        st.gi[ds.REGIONS] = 0
        if not count:
            return []
        signs, points, paths, sizes = st.OUT_SIGN, st.OUT_X, st.OUT_PATH, st.OUT_N
        return [Regions(signs[:count].copy(), points[:count].copy(), paths[:count].copy(), sizes[:count].copy())]

    def _write(self, numbers: list[int]) -> None:
        gi = self.st.gi
        if gi[ds.RECORD]:
            at = int(gi[ds.LOGGED])
            self.st.LOG[at : at + len(numbers)] = numbers
            gi[ds.LOGGED] = at + len(numbers)

    def take_log(self) -> int:
        """Take what is in the log out of it; how many numbers."""
        gi = self.st.gi
        count = int(gi[ds.LOGGED])
        if count > len(self.st.LOG):
            raise RuntimeError("the log of a proof has overflowed; please report this network")
        self._log.append(self.st.LOG[:count].copy())
        gi[ds.LOGGED] = 0
        return count

    def log(self) -> npt.NDArray[np.int32]:
        """The instructions of a certificate (`mcinj.decide.deep.log`) of a search with `record` that is done."""
        self.take_log()
        return np.concatenate(self._log)

    def _collision(self, z: tuple[Fraction, ...]) -> tuple[Witness, int] | None:
        x = self.model.input(z)
        if x is None or not any(z) or not self.model.inside(x):
            return None
        found = collision_at(self.network, x)
        if found is None:
            return None
        witness, layer = found
        step = [b - a for a, b in zip(witness.x, witness.x_prime, strict=True)]
        other = witness.x_prime
        while not self.model.inside(other):
            # f is constant on the segment, so any shorter step collides too.
            step = [v / 2 for v in step]
            other = tuple(a + v for a, v in zip(witness.x, step, strict=True))
        return Witness(witness.x, other), layer

    def _pattern(self, layers: int) -> list[list[bool]]:
        return [(self.st.SIGN[k, : self.model.widths[k]] > 0).tolist() for k in range(layers)]

    def point_of(self, frame: int) -> list[Fraction] | None:
        """A point of the open cell of a frame, exactly; None: it has none, and the log says why."""
        st = self.st
        path = st.PATHS[: int(st.FI[frame, ds.PATH])].tolist()
        rows = self.model.path_rows(path, self.model.rows(self._pattern(int(st.FI[frame, ds.LAYER]))))
        if not rows:  # no unit that acts has been met, every point will do
            return [Fraction(1)] * self.model.g
        circuit, point = circuit_or_point([[-v for v in integer_row(row)] for row in rows])
        if circuit is not None:
            self._write([START + SET + (len(circuit) << SHIFT), *(2 * t for t in circuit)])
            st.FI[frame, ds.RECORDED] += 1
            self._write([START + COUNTED + (1 << SHIFT), int(st.FI[frame, ds.RECORDED]) - 1])
        return point

    def _resolve(self) -> bool:
        """Answer RESOLVE exactly; True if a collision was found at a complete cell."""
        st = self.st
        frame, d = int(st.gi[ds.SLOT]), int(st.gi[ds.DEPTH])
        point = self.point_of(frame)
        if frame > d:
            if point is not None:
                st.gi[ds.DEPTH] = frame
            return False
        if point is None:
            st.gi[ds.DEPTH] = d - 1
            return False
        found = self._collision(tuple(point))
        if found is None:
            layer = int(st.FI[frame, ds.LAYER])
            jacobian = self.model.rows(self._pattern(layer))[layer][: int(st.m[layer])]
            active = [row[: self.model.n] for row, s in zip(jacobian, st.SIGN[layer], strict=False) if s > 0]
            if rank(active, self.model.n) < self.model.n:
                raise RuntimeError("a region that loses rank gave no exact collision; please report this network")
            self._write([START + RANKED])
            st.gi[ds.DEPTH] = d - 1
            return False
        self.found = found  # the frame stays: with more units of the last layer the search goes on in it
        return True

    def _block(self, p: int) -> None:
        """Exact rows of layer p on the pattern of the layers before it, rounded once.

        Nothing is composed of last-layer rows: they are scaled. Hidden ones too small for their relative error are
        rounded as they are, and only their unit rows in G are those of a multiple.
        """
        st, g = self.st, self.model.g
        exact = self.model.rows(self._pattern(p))[p][: int(st.m[p])]
        for j, row in enumerate(exact):
            unit = np.array([nearest(v / power_of_two(row)) for v in row])
            line = unit if p == self.model.depth - 1 else np.array([nearest(v) for v in row])
            top = float(np.abs(line).max())
            st.ROWS[p, j] = line
            st.SIZE[p, j] = top
            st.ERR[p, j] = 2 * UNIT * top + LEAST if top > 0.0 else 0.0
            st.OWN[p, j] = own = 0.0 < top < _COARSE
            if own:
                a = int(st.BASE[p]) + 2 * j
                norm = float(np.sqrt(unit @ unit))
                st.G[a, :g], st.G[a + 1, :g] = -unit / norm, unit / norm
                st.GE[a : a + 2] = 8 * UNIT
                st.NORM[p, j] = 1.0
        st.FI[int(st.gi[ds.DEPTH]), ds.BUILT] = p

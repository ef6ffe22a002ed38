"""Exact sparse matrices: what a tensor of a model file is, row by row, as a function of earlier units."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mcinj.errors import InputError
from mcinj.networks.exact import Array, as_rationals, demoted, joined, product, single_products, times
from mcinj.networks.limits import MAX_PRODUCT, MAX_STEPS, check_weights

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Rows:
    """Compressed rows: row i has the entries `values[starts[i]:starts[i + 1]]` in `columns[…]`, each column once.

    Values are float64 where it holds them all, `Fraction`s (dtype object) otherwise; none is zero. The number of
    columns is not kept: units are added to a layer while tensors refer to it.
    """

    starts: Ints
    columns: Ints
    values: Array

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def counts(self) -> Ints:
        """Entries per row."""
        return np.diff(self.starts)

    @cached_property
    def plain(self) -> bool:
        """Whether every row is one unit, as it is."""
        return bool((self.counts == 1).all() and (self.values == 1).all())

    def of_entries(self) -> Ints:
        """The row of each entry."""
        return np.repeat(np.arange(len(self)), self.counts)

    def take(self, index: Ints) -> Rows:
        """Row `index[i]` as row i; an index of -1 gives an empty row, which is zero."""
        if not len(index):
            return none(0)
        some = index >= 0
        safe = np.where(some, index, 0)
        counts = np.where(some, self.counts[safe], 0)
        check_weights([(int(counts.sum()),)], "a tensor depends on earlier ones by")
        starts = np.concatenate([[0], np.cumsum(counts)])
        places = np.repeat(self.starts[safe] - starts[:-1], counts) + np.arange(starts[-1])
        return Rows(starts, self.columns[places], self.values[places])

    def scaled(self, factors: Array) -> Rows:
        """Row i times `factors[i]`, exactly."""
        values = demoted(times(self.values, factors[self.of_entries()]))
        return _without_zeros(self.of_entries(), self.columns, values, len(self))

    def shifted(self, columns: Ints) -> Rows:
        """The same with column j called `columns[j]`, another one for each."""
        return Rows(self.starts, columns[self.columns], self.values)

    def after(self, inner: Rows) -> Rows:
        """The product `self · inner`: rows of `self` in terms of the columns of `inner`, exactly."""
        if len(inner) and inner.plain:
            columns = inner.columns[self.columns]
            return from_entries(self.of_entries(), columns, self.values, len(self))
        steps = int(inner.counts[self.columns].sum())
        if steps > MAX_STEPS:
            return self._dense_product(inner)
        spread = inner.take(self.columns)  # one row for every entry of self
        entries = spread.of_entries()
        values = _products(self.values[entries], spread.values)
        return from_entries(self.of_entries()[entries], spread.columns, values, len(self))

    def dense(self, width: int) -> Array:
        """As a matrix of `width` columns; the caller has checked that it has room."""
        matrix: Array = np.zeros((len(self), width), dtype=self.values.dtype)
        matrix[self.of_entries(), self.columns] = self.values
        return matrix

    def _dense_product(self, inner: Rows) -> Rows:
        width = int(inner.columns.max(initial=-1)) + 1
        if len(self) * len(inner) + len(inner) * width + len(self) * width > MAX_PRODUCT:
            raise InputError(
                f"two linear operators in a row, of {len(self)} x {len(inner)} and {len(inner)} x {width}, are too "
                "large to be multiplied out exactly; multiply them before the export"
            )
        return from_dense(demoted(product(self.dense(len(inner)), inner.dense(width))))


def none(count: int) -> Rows:
    """Rows without entries."""
    return Rows(np.zeros(count + 1, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))


def identity(count: int) -> Rows:
    """The identity."""
    return Rows(np.arange(count + 1), np.arange(count), np.ones(count))


def from_dense(matrix: Array) -> Rows:
    """The entries of a matrix that are not zero."""
    rows, columns = np.nonzero(matrix)
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=matrix.shape[0]))])
    return Rows(starts.astype(np.int64), columns.astype(np.int64), matrix[rows, columns])


def from_entries(rows: Ints, columns: Ints, values: Array, count: int) -> Rows:
    """Rows from entries in any order; those of one place are added, exactly."""
    if not len(rows):
        return none(count)
    width = int(columns.max()) + 1
    keys = rows * width + columns
    if (np.diff(keys) <= 0).any():
        order = np.argsort(keys, kind="stable")
        keys, values = keys[order], values[order]
    first = np.flatnonzero(np.concatenate([[True], np.diff(keys) > 0]))
    if len(first) < len(keys):
        values, keys = _group_sums(values, first), keys[first]
    return _without_zeros(keys // width, keys % width, demoted(values), count)


def stacked(parts: list[Rows]) -> Rows:
    """The rows of all parts one after the other."""
    if len(parts) == 1:
        return parts[0]
    offsets = np.cumsum([0, *(len(p.values) for p in parts)])
    starts = np.concatenate([[0], *(p.starts[1:] + o for p, o in zip(parts, offsets, strict=False))])
    columns = np.concatenate([p.columns for p in parts])
    return Rows(starts.astype(np.int64), columns, joined([p.values for p in parts]))


def summed(a: Rows, b: Rows) -> Rows:
    """The sum of two matrices, exactly."""
    both = stacked([a, b])
    rows = np.concatenate([a.of_entries(), b.of_entries()])
    return from_entries(rows, both.columns, both.values, len(a))


def applied(matrix: Rows, vector: Array) -> Array:
    """Product of a matrix with a vector, exactly."""
    column = from_dense(vector[:, None])
    return matrix.after(column).dense(1)[:, 0]


def _without_zeros(rows: Ints, columns: Ints, values: Array, count: int) -> Rows:
    keep = values != 0
    if not keep.all():
        rows, columns, values = rows[keep], columns[keep], values[keep]
    check_weights([(len(values),)], "a tensor depends on earlier ones by")
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=count))]).astype(np.int64)
    return Rows(starts, columns, values)


def _products(a: Array, b: Array) -> Array:
    """Entrywise products as floats where these are exact, else as flint's rationals, which are fast to add."""
    quick = single_products(a, b)
    if quick is not None:
        return quick
    return np.asarray(as_rationals(a) * as_rationals(b))


def _group_sums(values: Array, first: Ints) -> Array:
    """Exact sums of runs that begin at `first`."""
    if values.dtype != object:
        sizes = np.diff(np.concatenate([first, [len(values)]]))
        total = values[first]
        exact = True
        for k in range(1, int(sizes.max())):
            if k > 16:
                exact = False
                break
            longer = sizes > k
            a, b = total[longer], values[first[longer] + k]
            with np.errstate(over="ignore", invalid="ignore"):
                c = a + b
                part = c - a
                error = (a - (c - part)) + (b - part)
            if not (np.isfinite(c).all() and (error == 0).all()):
                exact = False
                break
            total[longer] = c
        if exact:
            return total
    return np.asarray(np.add.reduceat(as_rationals(values), first))

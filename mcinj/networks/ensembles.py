"""Laws of random weights. Rows of a layer are a stream: fewer rows are a prefix of more rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from mcinj.errors import InputError
from mcinj.networks.laws import split_text, text_of, user_law
from mcinj.networks.network import FloatArray, Network, Premise
from mcinj.networks.seeds import Seed

# A law draws the next `rows` rows of `columns` entries from its generators (values, mask) and the parameter.
Law = Callable[[np.random.Generator, np.random.Generator, int, int, float], FloatArray]


def _gaussian(values: np.random.Generator, _: np.random.Generator, rows: int, columns: int, __: float) -> FloatArray:
    return values.standard_normal((rows, columns))


def _uniform(values: np.random.Generator, _: np.random.Generator, rows: int, columns: int, __: float) -> FloatArray:
    return math.sqrt(3.0) * (2.0 * values.random((rows, columns)) - 1.0)


def _rademacher(values: np.random.Generator, _: np.random.Generator, rows: int, columns: int, __: float) -> FloatArray:
    return np.where(values.random((rows, columns)) < 0.5, -1.0, 1.0)


def _sphere(values: np.random.Generator, _: np.random.Generator, rows: int, columns: int, __: float) -> FloatArray:
    g = values.standard_normal((rows, columns))
    return np.asarray(g / np.linalg.norm(g, axis=1, keepdims=True), dtype=np.float64)


def _sparse(values: np.random.Generator, mask: np.random.Generator, rows: int, columns: int, p: float) -> FloatArray:
    g = values.standard_normal((rows, columns))
    return np.where(mask.random((rows, columns)) < p, g, 0.0)


@dataclass(frozen=True)
class Ensemble:
    """A law of iid rows, named on the command line and in experiments, e.g. `gaussian`, `sparse:0.1`.

    name            entries of a row of length d
    gaussian        iid N(0, 1)
    uniform         iid uniform on (-√3, √3), variance 1
    xavier          iid N(0, 2/(d + m)) with m the layer's width (Glorot & Bengio 2010): gaussian times a factor
    rademacher      iid ±1 with probability 1/2 each; rows may coincide, be opposite or dependent
    sphere          uniform on the unit sphere: a gaussian row over its norm
    sparse:P        iid N(0, 1) with probability P (default 0.3), else exactly 0; a row of zeros may occur
    correlated:R    N(0, 1) with correlation R between successive rows, entry by entry (autoregressive):
                    a_1 = g_1, a_i = R a_{i-1} + √(1-R²) g_i, g_i iid N(0, I); default R = 0.5. Rows i and j have
                    correlation R^|i-j|; they are not independent.

    Besides there are laws of a user's own (`mcinj.register_ensemble`), of which nothing is known; `digest` is that of
    their source. A recorded one can be named without its function, which only drawing needs.
    """

    name: str
    parameter: float = field(default=math.nan)
    digest: str = ""

    def __post_init__(self) -> None:
        if self.name not in _LAWS:
            if not math.isnan(self.parameter):
                raise InputError(f"the ensemble {self.name} takes no parameter, got {self.parameter:g}")
            if not self.digest:
                object.__setattr__(self, "digest", user_law(self.name).digest)
            return
        default = _PARAMETERS.get(self.name)
        if default is None:
            if not math.isnan(self.parameter):
                raise InputError(f"the ensemble {self.name} takes no parameter, got {self.parameter:g}")
        elif math.isnan(self.parameter):
            object.__setattr__(self, "parameter", default)
        elif not 0.0 < self.parameter <= 1.0 or (self.name == "correlated" and self.parameter == 1.0):
            allowed = "0 < R < 1" if self.name == "correlated" else "0 < P <= 1"
            raise InputError(f"the parameter of {self.name} must satisfy {allowed}, got {self.parameter:g}")

    @classmethod
    def parse(cls, text: Ensemble | str) -> Ensemble:
        """Accept an `Ensemble` or text such as `"gaussian"` or `"sparse:0.1"`."""
        if isinstance(text, Ensemble):
            return text
        if not isinstance(text, str):
            raise InputError(f"an ensemble is given by its name, e.g. 'gaussian' or 'sparse:0.1', got {text!r}")
        recorded = split_text(text)
        if recorded is not None:
            return cls(recorded[0], digest=recorded[1])
        name, colon, value = text.partition(":")
        if not colon:
            return cls(name)
        try:
            parameter = float(value)
        except ValueError:
            parameter = math.nan
        if math.isnan(parameter):
            raise InputError(f"the parameter of the ensemble {text!r} is not a number; write e.g. sparse:0.1")
        return cls(name, parameter)

    @property
    def in_general_position(self) -> bool:
        """Whether the law is continuous: every algebraic coincidence has probability 0, and rank is count."""
        if self.digest:
            return False
        return self.name not in ("rademacher", "sparse") or (self.name == "sparse" and self.parameter == 1.0)

    @property
    def symmetric_rows(self) -> bool:
        """Whether rows are independent, each as likely as its negative, and in general position almost surely."""
        return self.in_general_position and self.name != "correlated"

    @property
    def rotation_invariant(self) -> bool:
        """Whether rows are independent and their directions uniform on the sphere."""
        return self.name in ("gaussian", "xavier", "sphere") or (self.name == "sparse" and self.parameter == 1.0)

    def factor(self, rows: int, columns: int) -> float:
        """Factor by which the stream's rows are multiplied in a layer of shape `(rows, columns)`."""
        return math.sqrt(2.0 / (rows + columns)) if self.name == "xavier" else 1.0

    def __str__(self) -> str:
        if self.digest:
            return text_of(self.name, self.digest)
        return self.name if math.isnan(self.parameter) else f"{self.name}:{self.parameter:g}"


_LAWS: dict[str, Law] = {
    "gaussian": _gaussian,
    "uniform": _uniform,
    "xavier": _gaussian,
    "rademacher": _rademacher,
    "sphere": _sphere,
    "sparse": _sparse,
    "correlated": _gaussian,  # the innovations; the stream correlates them
}
_PARAMETERS = {"sparse": 0.3, "correlated": 0.5}


class RowStream:
    """The endless rows of one random layer.

    `take(m)` gives the first m rows, shape `(m, columns)`, read-only; `take(m)` is a prefix of `take(m + k)`.
    A xavier stream gives the rows before its factor, which depends on the width that one stops at.
    """

    def __init__(self, ensemble: Ensemble | str, columns: int, seed: Seed | int | str, layer: int = 1) -> None:
        self.ensemble = Ensemble.parse(ensemble)
        self.columns = columns
        self.seed = Seed.parse(seed)
        self.layer = layer
        # One stream per purpose: a law that draws a mask would otherwise not be a prefix of itself.
        self._values = self.seed.generator(layer, 0)
        self._mask = self.seed.generator(layer, 1)
        self._rows = np.empty((0, columns))

    @property
    def premise(self) -> Premise | None:
        """What the law says of any rows of this stream."""
        return Premise.DRAWN if self.ensemble.in_general_position else None

    def take(self, m: int) -> FloatArray:
        """The first `m` rows."""
        have = self._rows.shape[0]
        if m > have:
            count = max(m - have, have)
            if self.ensemble.digest:
                fresh = self._users(count)
            else:
                law = _LAWS[self.ensemble.name]
                fresh = law(self._values, self._mask, count, self.columns, self.ensemble.parameter)
            if self.ensemble.name == "correlated":
                fresh = self._correlate(fresh)
            self._rows = np.concatenate([self._rows, fresh])
            self._rows.setflags(write=False)
        return self._rows[:m]

    def _users(self, count: int) -> FloatArray:
        """Rows of a user's law after those that the stream holds."""
        law = user_law(self.ensemble.name, self.ensemble.digest)
        fresh = law.rows(self._values, count, self.columns)
        if not len(self._rows) and count:
            again = law.rows(self.seed.generator(self.layer, 0), 1, self.columns)
            if not np.array_equal(again[0], fresh[0]):
                raise InputError(
                    f"the ensemble {law.name} gives two different rows from one seed; draw from the generator that it "
                    "is given, and from nothing else"
                )
        return fresh

    def _correlate(self, fresh: FloatArray) -> FloatArray:
        """Rows of the autoregression after those that the stream holds."""
        r = self.ensemble.parameter
        rows = fresh.copy()
        for i in range(len(rows)):
            before = rows[i - 1] if i else (self._rows[-1] if len(self._rows) else None)
            if before is not None:
                rows[i] = r * before + math.sqrt(1.0 - r * r) * fresh[i]
        return rows


def widths_from_expansions(n: int, expansions: Sequence[float]) -> tuple[int, ...]:
    """Widths `round(α_k n)` with `α_k` the product of the first k expansions `c_k = m_k / m_{k-1}`.

    Ties round to even, as Python's `round` does. Raises `InputError` if an expansion is not positive or a
    width would be 0.
    """
    widths = []
    alpha = 1.0
    for k, expansion in enumerate(expansions, 1):
        if not (math.isfinite(expansion) and expansion > 0):
            raise InputError(f"expansion {k} must be a positive number, got {expansion:g}")
        alpha *= expansion
        width = round(alpha * n)
        if width < 1:
            raise InputError(f"expansion {k} = {expansion:g} gives layer {k} no unit at n = {n}; make it larger")
        widths.append(width)
    return tuple(widths)


def sample(n: int, widths: Sequence[int], ensemble: Ensemble | str = "gaussian", seed: Seed | int | str = 0) -> Network:
    """Draw a network with `n` inputs and the given widths.

    Parameters
    ----------
    n
        Inputs, at least 1.
    widths
        Units per layer, `(m_1, …, m_l)`, each at least 1.
    ensemble
        Law of the weights of every layer: see `Ensemble`.
    seed
        A whole number, or a `Seed` (`"7/8/3"`): the same seed gives the same network on every machine. With
        the same seed and earlier widths, a narrower last layer is a prefix of a wider one (xavier: up to its
        factor).

    Examples
    --------
    >>> import mcinj
    >>> mcinj.sample(3, (20, 24), seed=1).widths
    (20, 24)
    """
    law, root = Ensemble.parse(ensemble), Seed.parse(seed)
    columns = _size(n, "n")
    if isinstance(widths, (int, np.integer, str)) or not len(widths):
        raise InputError(f"widths is a sequence with one width per layer, e.g. (54, 67), got {widths!r}")
    weights = []
    for layer, width in enumerate(widths, 1):
        rows = _size(width, f"width {layer}")
        weights.append(RowStream(law, columns, root, layer).take(rows) * law.factor(rows, columns))
        columns = rows
    return Network(weights, premise=Premise.DRAWN if law.in_general_position else None)


def _size(value: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(f"{name} must be a whole number >= 1, got {value!r}")
    return int(value)

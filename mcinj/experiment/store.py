"""The working record of an experiment: one SQLite file, one writer, a transaction per batch."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcinj.errors import InputError

if TYPE_CHECKING:
    import pandas

FORMAT = 1
DATABASE = "trials.sqlite"
TABLE = "trials.parquet"

# Column, SQL type, pandas type, whether it is part of the row's key. The order is the table's.
Column = tuple[str, str, str, bool]
THRESHOLD_COLUMNS: tuple[Column, ...] = (
    ("n", "INTEGER", "int64", True),
    ("widths_before", "TEXT", "str", True),
    ("criterion", "TEXT", "str", True),
    ("ensemble", "TEXT", "str", True),
    ("trial", "INTEGER", "int64", True),
    ("seed", "TEXT", "str", False),
    ("m_lo", "INTEGER", "Int64", False),
    ("m_hi", "INTEGER", "Int64", False),
    ("failed_layer", "INTEGER", "Int64", False),
    ("node_budget", "INTEGER", "Int64", False),
    ("nodes", "INTEGER", "int64", False),
    ("seconds", "REAL", "float64", False),
    ("certified", "TEXT", "str", False),
    ("engine", "TEXT", "str", False),
    ("version", "TEXT", "str", False),
)
STACK_COLUMNS: tuple[Column, ...] = (
    ("n", "INTEGER", "int64", True),
    ("widths", "TEXT", "str", True),
    ("ensemble", "TEXT", "str", True),
    ("trial", "INTEGER", "int64", True),
    ("criterion", "TEXT", "str", True),
    ("engine", "TEXT", "str", True),
    ("seed", "TEXT", "str", False),
    ("node_budget", "INTEGER", "Int64", False),
    ("verdict", "TEXT", "str", False),
    ("layer", "INTEGER", "Int64", False),
    ("certified", "TEXT", "str", False),
    ("x", "TEXT", "str", False),
    ("x_prime", "TEXT", "str", False),
    ("active_x", "TEXT", "str", False),
    ("active_x_prime", "TEXT", "str", False),
    ("regions", "INTEGER", "Int64", False),
    ("min_active", "TEXT", "str", False),
    ("enumeration", "TEXT", "str", False),
    ("nodes", "INTEGER", "int64", False),
    ("seconds", "REAL", "float64", False),
    ("version", "TEXT", "str", False),
)
PROBE_COLUMNS: tuple[Column, ...] = (
    ("n", "INTEGER", "int64", True),
    ("ensemble", "TEXT", "str", True),
    ("moves", "INTEGER", "int64", True),
    ("trial", "INTEGER", "int64", True),
    ("seed", "TEXT", "str", False),
    ("m_found", "INTEGER", "int64", False),
    ("seconds", "REAL", "float64", False),
    ("version", "TEXT", "str", False),
)
ACTIVE_COLUMNS: tuple[Column, ...] = (
    ("n", "INTEGER", "int64", True),
    ("ensemble", "TEXT", "str", True),
    ("m", "INTEGER", "int64", True),
    ("trial", "INTEGER", "int64", True),
    ("seed", "TEXT", "str", False),
    ("active_lo", "INTEGER", "int64", False),
    ("active_hi", "INTEGER", "Int64", False),
    ("node_budget", "INTEGER", "Int64", False),
    ("nodes", "INTEGER", "int64", False),
    ("seconds", "REAL", "float64", False),
    ("version", "TEXT", "str", False),
)
CELL_COLUMNS: tuple[Column, ...] = (
    ("n", "INTEGER", "int64", True),
    ("ensemble", "TEXT", "str", True),
    ("m", "INTEGER", "int64", True),
    ("j", "INTEGER", "int64", True),
    ("trial", "INTEGER", "int64", True),
    ("seed", "TEXT", "str", False),
    ("cells", "INTEGER", "int64", False),
    ("nodes", "INTEGER", "int64", False),
    ("exact", "INTEGER", "int64", False),
    ("seconds", "REAL", "float64", False),
    ("version", "TEXT", "str", False),
)
COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "threshold": THRESHOLD_COLUMNS,
    "stacks": STACK_COLUMNS,
    "probe": PROBE_COLUMNS,
    "active": ACTIVE_COLUMNS,
    "cells": CELL_COLUMNS,
}


class Store:
    """Rows of one experiment in `DIR/trials.sqlite`.

    The parent process is the only writer. `synchronous=FULL` and a rollback journal: after a power cut the file
    holds every batch that was committed. A row's key makes a repeated trial harmless.
    """

    def __init__(self, directory: Path, name: str, seed: int, kind: str) -> None:
        self.path = directory / DATABASE
        self.kind, self.columns = kind, COLUMNS[kind]
        fresh = not self.path.exists()
        try:
            self._db = sqlite3.connect(self.path, isolation_level=None)
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA busy_timeout=5000")
            with self._transaction():
                if fresh or not _tables(self._db):
                    self._create(name, seed)
            found = _meta(self._db)
        except (sqlite3.DatabaseError, KeyError) as error:
            raise InputError(
                f"{self.path} is not a readable record of mcinj ({error}); move it away or choose another --results"
            ) from None
        wanted = {"name": name, "seed": str(seed), "kind": kind, "format": str(FORMAT)}
        for key, value in wanted.items():
            if found.get(key) != value:
                self._db.close()
                raise InputError(
                    f"{directory} holds results of another experiment ({key} {found.get(key)!r}, not {value!r}); "
                    "choose another --results"
                )

    def _create(self, name: str, seed: int) -> None:
        self._db.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        meta = {"name": name, "seed": str(seed), "kind": self.kind, "format": str(FORMAT)}
        self._db.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", meta.items())
        fields = ", ".join(f"{c} {t}" for c, t, _, _ in self.columns)
        key = ", ".join(c for c, _, _, k in self.columns if k)
        self._db.execute(f"CREATE TABLE IF NOT EXISTS trials ({fields}, PRIMARY KEY ({key}))")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write a batch in one transaction; a key that is there already keeps its first row."""
        names = [c for c, _, _, _ in self.columns]
        marks = ", ".join("?" for _ in names)
        try:
            with self._transaction():
                self._db.executemany(
                    f"INSERT OR IGNORE INTO trials VALUES ({marks})", [[row[c] for c in names] for row in rows]
                )
        except sqlite3.OperationalError as error:
            raise InputError(f"cannot write {self.path}: {error}; what was written before is kept") from None

    def set_note(self, key: str, value: Any) -> None:
        """Keep a value (JSON) beside the rows, e.g. the experiment as it was last run."""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    def select(self, columns: str, where: str = "1", values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Rows of a query on the trials; names come from this package, values are bound."""
        return self._db.execute(f"SELECT {columns} FROM trials WHERE {where}", values).fetchall()

    def update(self, statement: str, values: tuple[Any, ...]) -> None:
        """One changing statement in its own transaction; its text comes from this package, values are bound."""
        with self._transaction():
            self._db.execute(statement, values)

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def read_table(directory: Path) -> tuple[pandas.DataFrame, dict[str, str]]:
    """Trials of a results directory and its meta data; from the working record, else from `trials.parquet`.

    Opens the record read-only, so it works while a run is writing. `InputError` if there is neither.
    """
    import pandas

    database, parquet = directory / DATABASE, directory / TABLE
    if not directory.is_dir():
        raise InputError(f"{directory}: no such directory; `mcinj run EXPERIMENT.toml` makes one")
    if database.exists():
        try:
            with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True, timeout=10)) as db:
                meta = _meta(db)
                columns = COLUMNS[meta["kind"]]
                rows = db.execute(f"SELECT {', '.join(c for c, _, _, _ in columns)} FROM trials").fetchall()
        except (sqlite3.DatabaseError, KeyError) as error:
            raise InputError(f"{database} is not a readable record of mcinj ({error})") from None
        frame = pandas.DataFrame(rows, columns=[c for c, _, _, _ in columns])
        return ordered(frame, columns), meta
    if parquet.exists():
        return read_parquet(parquet)
    raise InputError(f"{directory} holds no trials ({DATABASE} or {TABLE}); `mcinj run EXPERIMENT.toml` makes them")


def ordered(frame: pandas.DataFrame, columns: tuple[Column, ...]) -> pandas.DataFrame:
    """The table in its documented types and order: the same whatever the order in which trials arrived."""
    frame = frame.astype({c: kind for c, _, kind, _ in columns})
    keys = [c for c, _, _, k in columns if k]
    return frame[[c for c, _, _, _ in columns]].sort_values(keys, kind="stable").reset_index(drop=True)


def write_parquet(frame: pandas.DataFrame, meta: Mapping[str, str], path: Path) -> None:
    """Write the table with its meta data, whole or not at all."""
    import pyarrow
    import pyarrow.parquet

    from mcinj.files import atomic_write

    table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    notes = {f"mcinj.{k}": v for k, v in meta.items()}
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **notes})
    with atomic_write(path) as stream:
        pyarrow.parquet.write_table(table, stream, compression="zstd")


def read_parquet(path: Path) -> tuple[pandas.DataFrame, dict[str, str]]:
    """Inverse of `write_parquet`; `InputError` for any other file."""
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as parquet: {str(error).splitlines()[0]}") from None
    notes = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items() if k.startswith(b"mcinj.")}
    meta = {k.removeprefix("mcinj."): v for k, v in notes.items()}
    columns = COLUMNS.get(meta.get("kind", ""))
    if columns is None or set(table.column_names) != {c for c, _, _, _ in columns}:
        raise InputError(f"{path} is not a trials table of mcinj; move it away or choose another directory")
    return ordered(table.to_pandas(), columns), meta


def _tables(db: sqlite3.Connection) -> list[str]:
    return [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]


def _meta(db: sqlite3.Connection) -> dict[str, str]:
    return dict(db.execute("SELECT key, value FROM meta").fetchall())

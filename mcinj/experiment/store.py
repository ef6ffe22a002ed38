"""The working record of an experiment: one SQLite file, one writer, a transaction per batch."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcinj.errors import InputError
from mcinj.experiment.checks import checked_meta, typed
from mcinj.experiment.columns import COLUMNS, FORMAT

if TYPE_CHECKING:
    import pandas

DATABASE = "trials.sqlite"
TABLE = "trials.parquet"
# Rows and notes that a new record begins with.
Imported = tuple[Iterable[Mapping[str, Any]], Mapping[str, Any]]
# Meta data that belong to the table and go with it; the others (speed of the last run) stay in the working record.
LASTING = ("name", "seed", "kind", "format", "description", "plan", "shard", "quarantined")


class Store:
    """Rows of one experiment in `DIR/trials.sqlite`.

    The parent process is the only writer. `synchronous=FULL` and a rollback journal: after a power cut the file
    holds every batch that was committed. A row's key makes a repeated trial harmless.

    Raises `InputError` if the file is no record of mcinj, is damaged, or holds another experiment or shard.
    """

    def __init__(
        self, directory: Path, name: str, seed: int, kind: str, shard: str = "", first: Imported | None = None
    ) -> None:
        """Open the record, or make it: with the rows and notes of `first`, in one transaction."""
        self.path = directory / DATABASE
        self.kind, self.columns = kind, COLUMNS[kind]
        wanted = {"name": name, "seed": str(seed), "kind": kind, "format": str(FORMAT), "shard": shard}
        try:
            self._db = sqlite3.connect(self.path, isolation_level=None)
        except sqlite3.Error as error:
            raise InputError(f"cannot open {self.path}: {error}") from None
        try:
            self._open(wanted, first)
            found = checked_meta({"shard": "", **_meta(self._db)}, self.path)
            names = [row[1] for row in self._db.execute("PRAGMA table_info(trials)")]
            if names != [c for c, _, _, _ in self.columns] and found["kind"] == kind:
                raise InputError(
                    f"{self.path} has other columns than this version of mcinj writes; use the version that wrote it, "
                    "or choose another --results"
                )
        except InputError:
            self._db.close()
            raise
        except (sqlite3.Error, UnicodeError) as error:
            self._db.close()
            raise _refused(self.path, error) from None
        for key, value in wanted.items():
            if found[key] != value:
                self._db.close()
                raise InputError(_another(directory, key, found[key], value))

    def _open(self, wanted: Mapping[str, str], first: Imported | None) -> None:
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("PRAGMA busy_timeout=5000")
        if self._db.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
            raise InputError(
                f"{self.path} is damaged (SQLite finds it malformed); move it away, `run` then continues {TABLE}"
            )
        with self._transaction():
            _check_size(self._db, self.path)
            if not _tables(self._db):
                self._create(wanted)
                if first is not None:
                    self._insert(*first)

    def _create(self, meta: Mapping[str, str]) -> None:
        self._db.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        self._db.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", [(k, v) for k, v in meta.items() if v])
        fields = ", ".join(f"{c} {t}" for c, t, _, _ in self.columns)
        key = ", ".join(c for c, _, _, k in self.columns if k)
        self._db.execute(f"CREATE TABLE IF NOT EXISTS trials ({fields}, PRIMARY KEY ({key}))")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            # After a full disk SQLite has rolled back by itself.
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    def add(self, rows: Iterable[Mapping[str, Any]], notes: Mapping[str, Any] | None = None) -> None:
        """Write a batch, and notes with it, in one transaction; a key that is there already keeps its first row."""
        with self._written(), self._transaction():
            self._insert(rows, notes or {})

    def _insert(self, rows: Iterable[Mapping[str, Any]], notes: Mapping[str, Any]) -> None:
        names = [c for c, _, _, _ in self.columns]
        marks = ", ".join("?" for _ in names)
        self._db.executemany(
            f"INSERT OR IGNORE INTO trials VALUES ({marks})", [[row[c] for c in names] for row in rows]
        )
        self._put(notes)

    def set_note(self, key: str, value: Any) -> None:
        """Keep a value (JSON) beside the rows, e.g. the experiment as it was last run."""
        with self._written(), self._transaction():
            self._put({key: value})

    def _put(self, notes: Mapping[str, Any]) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)", [(key, json.dumps(value)) for key, value in notes.items()]
        )

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _unwritten(self.path, error) from None

    def meta(self) -> dict[str, str]:
        """The meta data as they stand."""
        return checked_meta(_meta(self._db), self.path)

    def select(self, columns: str, where: str = "1", values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Rows of a query on the trials; names come from this package, values are bound."""
        return self.query(f"SELECT {columns} FROM trials WHERE {where}", values)

    def query(self, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Rows of any reading statement of this package's own."""
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise _unreadable(self.path, error) from None

    def update(self, statement: str, values: tuple[Any, ...]) -> None:
        """One changing statement in its own transaction; its text comes from this package, values are bound."""
        with self._written(), self._transaction():
            self._db.execute(statement, values)

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def read_table(directory: Path) -> tuple[pandas.DataFrame, dict[str, str]]:
    """Trials of a results directory and its meta data; from the working record, else from `trials.parquet`.

    Opens the record read-only, so it works while a run is writing. `InputError` if there is neither, or if what is
    there is damaged or another version's.
    """
    import pandas

    database, parquet = directory / DATABASE, directory / TABLE
    if not directory.is_dir():
        raise InputError(f"{directory}: no such directory; `mcinj run EXPERIMENT.toml` makes one")
    if has_record(directory):
        try:
            meta, rows = _read(database)
        except (sqlite3.Error, UnicodeError) as error:
            raise _unreadable(database, error) from None
        columns = COLUMNS[meta["kind"]]
        frame = pandas.DataFrame(rows, columns=[c for c, _, _, _ in columns])
        return typed(frame, columns, meta["seed"], database), meta
    if parquet.exists():
        return read_parquet(parquet)
    raise InputError(f"{directory} holds no trials ({DATABASE} or {TABLE}); `mcinj run EXPERIMENT.toml` makes them")


def has_record(directory: Path) -> bool:
    """Whether the working record was ever made; a full disk, or a kill, leaves a file without a table."""
    database = directory / DATABASE
    try:
        if not database.stat().st_size:
            return False
        if not database.with_name(DATABASE + "-journal").exists():
            return True
        with closing(sqlite3.connect(database, timeout=10)) as db:
            return bool(_tables(db))  # what a killed process had begun is undone first
    except OSError:
        return False
    except sqlite3.Error:
        return True  # what is wrong is said when it is read


def _read(database: Path) -> tuple[dict[str, str], list[tuple[Any, ...]]]:
    def read(mode: str) -> tuple[dict[str, str], list[tuple[Any, ...]]]:
        uri = f"{database.resolve().as_uri()}?mode={mode}"
        with closing(sqlite3.connect(uri, uri=True, timeout=10)) as db:
            db.execute("BEGIN")  # notes and rows of one moment
            _check_size(db, database)
            meta = checked_meta(_meta(db), database)
            names = ", ".join(c for c, _, _, _ in COLUMNS[meta["kind"]])
            return meta, db.execute(f"SELECT {names} FROM trials").fetchall()

    try:
        return read("ro")
    except sqlite3.OperationalError as error:
        # A run killed within a transaction leaves a journal that a read-only connection may not roll back.
        if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
            return read("rw")
        raise


def write_parquet(frame: pandas.DataFrame, meta: Mapping[str, str], path: Path) -> None:
    """Write the table with its lasting meta data, whole or not at all."""
    import pyarrow
    import pyarrow.parquet

    from mcinj.files import atomic_write

    table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    notes = {f"mcinj.{k}": meta[k] for k in LASTING if meta.get(k)}
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **notes})
    with atomic_write(path) as stream:
        pyarrow.parquet.write_table(table, stream, compression="zstd")


def read_parquet(path: Path) -> tuple[pandas.DataFrame, dict[str, str]]:
    """Inverse of `write_parquet`; `InputError` for any other file."""
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
        notes = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items() if k.startswith(b"mcinj.")}
    except UnicodeDecodeError:
        raise InputError(f"{path} is damaged: its meta data are not UTF-8; move it away") from None
    except (pyarrow.ArrowException, OSError, ValueError, MemoryError, OverflowError) as error:
        raise InputError(f"{path} cannot be read as parquet: {(str(error) or 'damaged').splitlines()[0]}") from None
    if not notes:
        raise InputError(f"{path} is not a trials table of mcinj; move it away or choose another directory")
    meta = checked_meta({k.removeprefix("mcinj."): v for k, v in notes.items()}, path)
    columns = COLUMNS[meta["kind"]]
    if sorted(table.column_names) != sorted(c for c, _, _, _ in columns):
        raise InputError(
            f"{path} has other columns than this version of mcinj writes; use the version that wrote it, "
            "move it away or choose another directory"
        )
    try:
        frame = table.to_pandas()
    except (pyarrow.ArrowException, ValueError, TypeError, KeyError, OverflowError, MemoryError) as error:
        raise InputError(f"{path} is damaged: {(str(error) or 'it cannot be read').splitlines()[0]}") from None
    if list(frame.columns) != table.column_names and set(frame.columns) != set(table.column_names):
        raise InputError(f"{path} is damaged: its index is not ours; move it away")
    return typed(frame, columns, meta["seed"], path), meta


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path} is not a readable record of mcinj ({error}); move it away (a {TABLE} beside it is then continued) "
        "or choose another --results"
    )


def _unwritten(path: Path, error: Exception) -> InputError:
    return InputError(
        f"cannot write {path}: {error}; what was written before is kept, the same command goes on from there"
    )


def _refused(path: Path, error: Exception) -> InputError:
    """Why a record cannot be opened: the disk's fault, or the file's."""
    name = str(getattr(error, "sqlite_errorname", ""))
    ours = name in ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_CANTOPEN") or name.startswith("SQLITE_IOERR")
    return _unwritten(path, error) if ours else _unreadable(path, error)


def _check_size(db: sqlite3.Connection, path: Path) -> None:
    """SQLite reads zeros for what is cut off within the last page; within a transaction the sizes must agree."""
    ((pages,),) = db.execute("PRAGMA page_count").fetchall()
    ((size,),) = db.execute("PRAGMA page_size").fetchall()
    db.execute("SELECT COUNT(*) FROM sqlite_master").fetchall()  # the lock that keeps writers out
    found = path.stat().st_size
    if found and (found % size or found < pages * size):
        raise InputError(f"{path} is damaged: {found} bytes of {pages * size}; move it away or use another --results")


def _another(directory: Path, key: str, found: str, wanted: str) -> str:
    if key == "shard":
        have, want = (f"shard {text}" if text else "the whole experiment" for text in (found, wanted))
        return f"{directory} holds {have}, not {want}; choose another --results"
    what = f"({key} {found[:100]!r}, not {wanted!r})"
    return f"{directory} holds results of another experiment {what}; choose another --results"


def _tables(db: sqlite3.Connection) -> list[str]:
    return [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]


def _meta(db: sqlite3.Connection) -> dict[Any, Any]:
    return dict(db.execute("SELECT key, value FROM meta").fetchall())

"""Join the shards of an experiment: the table, `seconds` aside, is that of one run."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcinj.errors import InputError
from mcinj.experiment.checks import plan_of, quarantined_of
from mcinj.experiment.columns import COLUMNS, GROUP_KEYS
from mcinj.experiment.environment import write_environment
from mcinj.experiment.shards import WHOLE, Shard
from mcinj.experiment.store import TABLE, Store, read_table, write_parquet
from mcinj.files import make_directory

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Merged:
    """The merged table, and what is missing of it: one sentence, empty if nothing is."""

    table: pandas.DataFrame
    missing: str


@dataclass(frozen=True)
class _Piece:
    directory: Path
    table: pandas.DataFrame
    meta: dict[str, str]
    shard: Shard


def merge(
    directories: Sequence[str | os.PathLike[str]], output: str | os.PathLike[str], *, partial: bool = False
) -> Merged:
    """Join results directories of shards into a new one.

    Parameters
    ----------
    directories
        Results of `run(…, shard="K/N")`, one per shard, in any order.
    output
        A directory that does not exist or is empty; it appears whole or not at all.
    partial
        Also join what is not complete. `run` (without shard) on the output does the rest.

    Raises
    ------
    InputError
        Shards of different experiments, plans, versions of the table or numbers of shards; a shard given twice;
        trials that two of them hold; without `partial`, shards or trials that are missing.
    """
    import pandas

    pieces = [_load(Path(directory)) for directory in directories]
    if not pieces:
        raise InputError("nothing to merge: give the results directories of the shards")
    target = _target(Path(output), [piece.directory for piece in pieces])
    _agree(pieces)
    first = pieces[0]
    kind = first.meta["kind"]
    missing = _missing(pieces)
    if missing and not partial:
        raise InputError(f"{missing}; let them finish, or merge what there is with --partial")
    table = pandas.concat([piece.table for piece in pieces], ignore_index=True)
    keys = [c for c, _, _, k in COLUMNS[kind] if k]
    double = table[table.duplicated(keys)]
    if len(double):
        names = ["trial", *GROUP_KEYS[kind]]
        what = ", ".join(f"{name} {double.iloc[0][name]}" for name in names)
        raise InputError(f"two of the directories hold the same trial ({what}); give each shard once")
    meta = {key: first.meta[key] for key in ("name", "seed", "kind", "format")}
    notes: dict[str, Any] = {}
    for key in ("description", "plan"):
        if key in first.meta:
            notes[key] = json.loads(first.meta[key])
    aside = [item for piece in pieces for item in quarantined_of(piece.meta, piece.directory)]
    if aside:
        notes["quarantined"] = sorted(aside, key=lambda item: (str(item["key"]), item["trial"]))
    return Merged(_write(table, meta, notes, target), missing)


def _load(directory: Path) -> _Piece:
    table, meta = read_table(directory)
    text = meta.get("shard", "")
    return _Piece(directory, table, meta, Shard.parse(text) if text else WHOLE)


def _target(output: Path, sources: Sequence[Path]) -> Path:
    if any(output.resolve() == source.resolve() for source in sources):
        raise InputError(f"{output} is one of the directories to merge; name a new one with -o")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output} is there already and not an empty directory; name a new one with -o")
    make_directory(output.parent)
    return output


def _agree(pieces: Sequence[_Piece]) -> None:
    """All are shards of one experiment, each another one."""
    first = pieces[0]
    for piece in pieces:
        for key in ("name", "seed", "kind", "description", "plan"):
            if piece.meta.get(key) != first.meta.get(key):
                values = f" {piece.meta.get(key)!r}, not {first.meta.get(key)!r}"
                raise InputError(
                    f"{piece.directory} is of another experiment than {first.directory} "
                    f"({key}{'' if key in ('plan', 'description') else values}); merge shards of one experiment file"
                )
        if piece.shard.count != first.shard.count:
            raise InputError(
                f"{piece.directory} is one of {piece.shard.count} shards, {first.directory} one of "
                f"{first.shard.count}; merge shards of one division"
            )
        versions = set(piece.table["version"].unique()) | set(first.table["version"].unique())
        if len(versions) > 1:
            raise InputError(
                f"{piece.directory} and {first.directory} were made by different versions of mcinj "
                f"({', '.join(sorted(versions))}); run one of them again"
            )
    seen: dict[Shard, Path] = {}
    for piece in pieces:
        if piece.shard in seen:
            which = f"shard {piece.shard}" if str(piece.shard) else "the whole experiment"
            raise InputError(f"{seen[piece.shard]} and {piece.directory} both hold {which}; give each shard once")
        seen[piece.shard] = piece.directory


def _missing(pieces: Sequence[_Piece]) -> str:
    """Shards that were not given, and those that are not complete, in one sentence."""
    count = pieces[0].shard.count
    absent = sorted(set(range(1, count + 1)) - {piece.shard.index for piece in pieces})
    words = []
    if absent:
        listed = ", ".join(map(str, absent[:8])) + (", …" if len(absent) > 8 else "")
        words.append(f"missing: shard {listed} of {count}")
    for piece in pieces:
        done, wanted = _count(piece)
        if done < wanted:
            words.append(f"{piece.directory} has {done} of {wanted} trials")
    return "; ".join(words[:5]) + ("; …" if len(words) > 5 else "")


def _count(piece: _Piece) -> tuple[int, int]:
    kind = piece.meta["kind"]
    keys = list(GROUP_KEYS[kind])
    held = set(piece.table[[*keys, "trial"]].drop_duplicates().itertuples(index=False, name=None))
    held |= {(*item["key"], item["trial"]) for item in quarantined_of(piece.meta)}
    wanted = [(*item["key"], t) for item in plan_of(piece.meta) for t in piece.shard.trials(item["trials"])]
    return sum(trial in held for trial in wanted), len(wanted)


def _write(table: pandas.DataFrame, meta: dict[str, str], notes: dict[str, Any], target: Path) -> pandas.DataFrame:
    """Make the directory beside its place, then put it there."""
    try:
        made = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp"))
    except OSError as error:
        raise InputError(f"cannot write in {target.parent}: {error.strerror or error}") from None
    try:
        store = Store(made, meta["name"], int(meta["seed"]), meta["kind"])
        try:
            rows = table.astype(object).where(~table.isna(), None)
            store.add(
                (dict(zip(rows.columns, row, strict=True)) for row in rows.itertuples(index=False, name=None)), notes
            )
        finally:
            store.close()
        merged, found = read_table(made)
        write_parquet(merged, found, made / TABLE)
        write_environment(made, merged=True)
        os.chmod(made, target.parent.stat().st_mode & 0o777)  # mkdtemp's 0700 would surprise who shares results
        if target.exists():
            target.rmdir()
        os.replace(made, target)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return merged

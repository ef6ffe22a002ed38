"""Commands that run experiments and show their results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mcinj.cli.app import EXIT_INTERRUPT, Backend, TableFormat, app
from mcinj.cli.tables import print_table
from mcinj.errors import InputError


@app.command()
def run(
    experiment: Annotated[Path, typer.Argument(help="An experiment file (TOML); see experiments/.")],
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", help="Worker processes; default: all cores.")] = None,
    backend: Annotated[
        Backend,
        typer.Option(
            help="local, loky: processes here, our own or joblib's; dask: several machines, see docs/cluster.md.",
        ),
    ] = Backend.LOCAL,
    results: Annotated[Path | None, typer.Option(help="Directory of the results; default results/NAME.")] = None,
    shard: Annotated[
        str | None, typer.Option(help="K/N: only the K-th of N equal shares; `mcinj merge` joins them.", metavar="K/N")
    ] = None,
    retry_quarantined: Annotated[
        bool, typer.Option("--retry-quarantined", help="Try again the trials whose workers died three times.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Run or resume an experiment. Ctrl-C loses nothing: the same command goes on.

    Example: mcinj run experiments/quickstart.toml --jobs 2
    """
    from rich.console import Console

    from mcinj.experiment.config import load
    from mcinj.experiment.driver import default_results
    from mcinj.experiment.driver import run as run_experiment
    from mcinj.experiment.estimate import duration
    from mcinj.experiment.shards import WHOLE, Shard
    from mcinj.show.progress import ProgressLine

    parsed = load(experiment)
    share = WHOLE if shard is None else Shard.parse(shard)
    directory = default_results(parsed, share) if results is None else results
    console = Console(stderr=True, quiet=quiet)
    try:
        with ProgressLine(console) as line:
            table = run_experiment(
                parsed,
                jobs=jobs,
                backend=str(backend),
                results=directory,
                progress=line,
                shard=share,
                retry_quarantined=retry_quarantined,
                isolate=True,
                say=lambda text: console.print(text, highlight=False, markup=False, soft_wrap=True),
            )
    except KeyboardInterrupt:
        typer.echo(f"\ninterrupted; finished trials are in {directory}; the same command goes on from there", err=True)
        raise typer.Exit(EXIT_INTERRUPT) from None
    typer.echo(
        f"{len(table)} rows in {directory / 'trials.parquet'} ({duration(float(table['seconds'].sum()))} of search)"
    )
    aside = [] if line.state is None else line.state.quarantined
    if aside:
        first = aside[0]
        typer.echo(
            f"{len(aside)} trial(s) quarantined, counted as unknown: the worker died {first['deaths']} times at trial "
            f"{first['trial']} of {first['key']} ({first['cause']}); --retry-quarantined --jobs 1 tries again"
        )
    typer.echo(f"next: mcinj merge {directory} … -o DIR" if str(share) else f"next: mcinj report {directory}")


@app.command()
def merge(
    directories: Annotated[list[Path], typer.Argument(help="Results of all shards, in any order.", metavar="DIR...")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A new directory.")],
    partial: Annotated[bool, typer.Option("--partial", help="Also merge what is not complete.")] = False,
) -> None:
    """Join the shards of an experiment (`run --shard K/N`) into the table of one run.

    Example: mcinj merge results/one_layer.*-of-16 -o results/one_layer
    """
    from mcinj.experiment.merge import merge as merge_shards

    made = merge_shards(directories, output, partial=partial)
    typer.echo(f"{len(made.table)} rows in {output / 'trials.parquet'}")
    if made.missing:
        typer.echo(f"{made.missing}: `mcinj run EXPERIMENT --results {output}` does the rest")
    typer.echo(f"next: mcinj report {output}")


@app.command()
def status(directory: Annotated[Path, typer.Argument(help="A results directory.", metavar="DIR")]) -> None:
    """What is done, also while it runs.

    Example: mcinj status results/one_layer
    """
    from mcinj.experiment.status import status_table

    title, frame = status_table(directory)
    typer.echo(title)
    print_table(frame)


@app.command()
def report(
    directories: Annotated[
        list[Path], typer.Argument(help="Results directories; several are compared.", metavar="DIR...")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write; default: the directory.")
    ] = None,
) -> None:
    """Figures (PNG and SVG), summary.csv and one self-contained report.html.

    Example: mcinj report results/one_layer
    """
    from mcinj.show.report import report as make_report

    made = make_report(directories, output)
    if len(made.comparison):
        typer.echo("data against the bounds (difference = bound - estimate; all columns in comparison.csv):")
        _print_comparison(made.comparison)
    typer.echo("figures and tables:")
    for path in (*made.figures, *made.tables):
        if path.suffix != ".svg":
            typer.echo(f"  {path}")
    typer.echo(f"report: {made.page}")


def _print_comparison(rows: Any) -> None:
    """One table per family and basis, with what they share in its heading: narrow enough for a terminal."""
    shared = ["family", "basis", "estimate", "interval_lo", "interval_hi"]
    for (family, basis, estimate, low, high), part in rows.groupby(shared, sort=False, dropna=False):
        typer.echo(f"\n{family}, {basis}: {estimate:.4f} [{low:.4f}, {high:.4f}]")
        published = part["origin"] == "published"
        shown = part[["bound", "value", "status", "difference", "verdict"]].copy()
        shown.loc[published, "bound"] += " (published)"
        print_table(shown if part["verdict"].any() else shown.drop(columns="verdict"))


@app.command()
def export(
    directory: Annotated[Path, typer.Argument(help="A results directory.", metavar="DIR")],
    table_format: Annotated[TableFormat, typer.Option("--format", help="csv or parquet.")] = TableFormat.CSV,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File; csv goes to standard output.")] = None,
) -> None:
    """The trials as one table.

    Example: mcinj export results/one_layer --format csv -o trials.csv
    """
    from mcinj.experiment.store import read_table, write_parquet
    from mcinj.files import atomic_write

    frame, meta = read_table(directory)
    if table_format is TableFormat.PARQUET:
        if output is None:
            raise InputError("parquet is binary: name a file with -o")
        write_parquet(frame, meta, output)
        return
    text = frame.to_csv(index=False, lineterminator="\n")
    if output is None:
        typer.echo(text, nl=False)
        return
    with atomic_write(output, "w") as stream:
        stream.write(text)

"""Commands that run experiments and show their results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mcinj.cli.app import EXIT_INTERRUPT, Backend, TableFormat, app, print_table
from mcinj.errors import InputError


@app.command()
def run(
    experiment: Annotated[Path, typer.Argument(help="An experiment file (TOML); see experiments/.")],
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", help="Worker processes; default: all cores.")] = None,
    backend: Annotated[Backend, typer.Option(help="loky: this machine; dask: several.")] = Backend.LOKY,
    results: Annotated[Path | None, typer.Option(help="Directory of the results; default results/NAME.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Run or resume an experiment. Ctrl-C loses nothing: the same command goes on.

    Example: mcinj run experiments/quickstart.toml --jobs 2
    """
    from rich.console import Console

    from mcinj.experiment.config import load
    from mcinj.experiment.driver import run as run_experiment
    from mcinj.show.progress import ProgressLine, duration

    parsed = load(experiment)
    directory = Path("results") / parsed.name if results is None else results
    console = Console(stderr=True, quiet=quiet)
    try:
        with ProgressLine(console) as line:
            table = run_experiment(parsed, jobs=jobs, backend=str(backend), results=directory, progress=line)
    except KeyboardInterrupt:
        typer.echo(f"\ninterrupted; finished trials are in {directory}; the same command goes on from there", err=True)
        raise typer.Exit(EXIT_INTERRUPT) from None
    typer.echo(
        f"{len(table)} rows in {directory / 'trials.parquet'} ({duration(float(table['seconds'].sum()))} of search)"
    )
    typer.echo(f"next: mcinj report {directory}")


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
        frame = made.comparison.copy()
        typer.echo("data against the bounds (difference = bound - estimate):")
        print_table(frame)
    typer.echo("figures and tables:")
    for path in (*made.figures, *made.tables):
        if path.suffix != ".svg":
            typer.echo(f"  {path}")
    typer.echo(f"report: {made.page}")


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

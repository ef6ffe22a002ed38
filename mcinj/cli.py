"""The command line. Commands parse, call the library and print; exit codes are part of the interface."""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

import mcinj
from mcinj.errors import InputError

if TYPE_CHECKING:
    from mcinj.decide.verdict import Verdict
    from mcinj.networks.reading import Reading

MAX_CERTIFICATE = 2**30
EXIT_PASS, EXIT_FAIL, EXIT_INPUT, EXIT_UNKNOWN, EXIT_GENERIC, EXIT_INTERNAL, EXIT_INTERRUPT = 0, 1, 2, 3, 4, 70, 130

app = typer.Typer(
    name="mcinj",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Monte Carlo verifier of injectivity of ReLU networks: exact verdicts, transition ratios, published bounds.",
)


class CriterionName(StrEnum):
    """Values of --criterion."""

    LAYERWISE = "layerwise"
    REGIONAL = "regional"
    GLOBAL = "global"


class EngineName(StrEnum):
    """Values of --engine."""

    AUTO = "auto"
    TREE = "tree"
    LP = "lp"
    MILP = "milp"


class LastLayer(StrEnum):
    """Values of --last."""

    RELU = "relu"
    LINEAR = "linear"


class Backend(StrEnum):
    """Values of --backend."""

    LOKY = "loky"
    DASK = "dask"


class TableFormat(StrEnum):
    """Values of --format."""

    CSV = "csv"
    PARQUET = "parquet"


N = Annotated[int, typer.Option("--n", help="Number of inputs.", min=1)]
SeedText = Annotated[str, typer.Option("--seed", help="A whole number, or root/path such as 7/8/3 (a trial's seed).")]
EnsembleText = Annotated[
    str,
    typer.Option(
        "--ensemble",
        help="gaussian, uniform, xavier, rademacher, sphere, sparse[:P] (P: share of entries that are not 0), "
        "correlated[:R] (R: correlation of successive rows).",
    ),
]
Layers = Annotated[
    str | None,
    typer.Option(
        help="Names of all layers from input to output, e.g. stem,body,head, where the file leaves their order open "
        "(.safetensors; .pt keeps the order in which the model registers them)."
    ),
]
NodeBudget = Annotated[
    int | None, typer.Option("--node-budget", help="Most search nodes; past it: unknown. Default: no limit.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(f"mcinj {mcinj.__version__}")
        raise typer.Exit


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
    _print_table(frame)


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
        _print_table(frame)
    typer.echo("figures and tables:")
    for path in (*made.figures, *made.tables):
        if path.suffix != ".svg":
            typer.echo(f"  {path}")
    typer.echo(f"report: {made.page}")


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A network: .npz with W1…Wl (b1…bl), .onnx, .safetensors, .pt.")],
    criterion: Annotated[CriterionName, typer.Option(help="What to decide.")] = CriterionName.GLOBAL,
    engine: Annotated[EngineName, typer.Option(help="auto: the fastest that supports the case.")] = EngineName.AUTO,
    node_budget: NodeBudget = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Take nothing for granted, also of networks that `mcinj sample` drew.")
    ] = False,
    assume_generic: Annotated[
        bool,
        typer.Option(
            "--assume-generic", help="Take for granted that the weights are in general position; the verdict says so."
        ),
    ] = False,
    certificate: Annotated[
        Path | None, typer.Option(help="Write the proof of a pass here (not with --domain or --slope).")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Cores for one decision.", min=1)] = 1,
    domain: Annotated[str | None, typer.Option(help="Only inputs inside: box:LOW,HIGH or ball:R.")] = None,
    slope: Annotated[float, typer.Option(help="Slope of leaky ReLUs; 0: ReLU.")] = 0.0,
    last: Annotated[
        LastLayer | None,
        typer.Option(help="Whether the last layer has a ReLU; default relu, and what an .onnx file says itself."),
    ] = None,
    layers: Layers = None,
    as_json: AsJson = False,
) -> None:
    """Decide one criterion on one network. Exit code 0: passes, 1: fails, 3: unknown, 2: bad input.

    Example: mcinj check stack.npz --criterion regional --json
    """
    from mcinj.decide.check import check as decide
    from mcinj.files import atomic_write
    from mcinj.networks.readers import read_file

    if certificate is not None and not certificate.parent.is_dir():
        raise InputError(f"cannot write {certificate}: {certificate.parent} is not a directory")
    read = read_file(file, layers=_names(layers), last=last)
    if slope and read.states_relus:
        raise InputError(f"{file} says itself that its layers end in ReLUs, not leaky ones; leave --slope out")
    if slope and not read.layers[-1].relu:
        raise InputError("leaky ReLUs with a linear last layer are not supported; leave out --slope or --last linear")
    verdict = decide(
        read.network,
        str(criterion),
        str(engine),
        node_budget,
        exact=exact,
        assume_generic=assume_generic,
        certificate=certificate is not None,
        jobs=jobs,
        domain=domain,
        slope=slope,
    )
    if certificate is not None and verdict.certificate is not None:
        with atomic_write(certificate) as stream:
            stream.write(verdict.certificate)
    if as_json:
        typer.echo(json.dumps(verdict.to_json() | {"layers": [layer.to_json() for layer in read.layers]}))
    else:
        _explain_layers(read, file)
        _explain(verdict, domain)
    if certificate is not None:
        if verdict.certificate is not None:
            typer.echo(f"certificate: {certificate} ({len(verdict.certificate)} bytes)", err=as_json)
        else:
            typer.echo(f"no certificate written: the verdict {verdict.verdict} has none", err=True)
    raise typer.Exit({"injective": EXIT_PASS, "not_injective": EXIT_FAIL, "unknown": EXIT_UNKNOWN}[verdict.verdict])


@app.command()
def verify(
    certificate: Annotated[Path, typer.Argument(help="A certificate that `mcinj check --certificate` wrote.")],
    file: Annotated[Path, typer.Argument(help="The network that it is about.")],
    exact: Annotated[
        bool, typer.Option("--exact", help="Exact arithmetic only; accept no proof that takes something for granted.")
    ] = False,
    last: Annotated[LastLayer | None, typer.Option(help="As `mcinj check` was told.")] = None,
    layers: Layers = None,
) -> None:
    """Check a verdict's certificate with code of its own. Exit code 0: accepted, 1: rejected, 2: unreadable network.

    It says what the certificate shows (layerwise, regional or global), its grade and what that rests on. With --exact a
    sound proof that is generic only (it takes general position for granted) ends with exit code 4.

    Example: mcinj verify stack.cert stack.npz
    """
    from mcinj.certify import verify as check_certificate
    from mcinj.networks.readers import read_network

    network = read_network(file, layers=_names(layers), last=last)
    try:
        if certificate.stat().st_size > MAX_CERTIFICATE:
            raise InputError(f"{certificate} is larger than {MAX_CERTIFICATE >> 20} MiB, which no certificate is")
        data = certificate.read_bytes()
    except OSError as error:
        raise InputError(f"{certificate} cannot be read: {error.strerror or error}") from None
    result = check_certificate(data, network, exact=exact)
    generic = not result.accepted and result.certified == "generic"
    word = "accepted" if result.accepted else ("not accepted as exact" if generic else "rejected")
    typer.echo(f"{word}: {result.reason}")
    if result.certified != "none":
        typer.echo(f"certified: {result.certified}")
    raise typer.Exit(EXIT_PASS if result.accepted else (EXIT_GENERIC if generic else EXIT_FAIL))


@app.command()
def threshold(
    n: N,
    widths_before: Annotated[str, typer.Option(help="Widths of the earlier layers, e.g. 54 or 54,67.")] = "",
    seed: SeedText = "0",
    criterion: Annotated[CriterionName, typer.Option(help="What must pass.")] = CriterionName.REGIONAL,
    ensemble: EnsembleText = "gaussian",
    node_budget: NodeBudget = None,
    as_json: AsJson = False,
) -> None:
    """One draw of the threshold width: how many rows of the last layer until the criterion passes.

    Example: mcinj threshold --n 8 --seed 0
    """
    from mcinj.experiment.trial import threshold as draw_threshold

    draw = draw_threshold(n, _widths(widths_before, "--widths-before"), str(criterion), ensemble, seed, node_budget)
    if as_json:
        typer.echo(json.dumps(draw.to_json()))
        return
    if draw.failed_layer is not None:
        typer.echo(f"m* = ∞: layer {draw.failed_layer} already fails, so no last width passes")
    elif draw.m_star is not None:
        typer.echo(
            f"m* = {draw.m_hi} (m*/n = {draw.m_star / n:.4f}); width {draw.m_lo} fails, width {draw.m_hi} passes"
        )
    elif draw.m_lo is None:
        typer.echo("undecided: an earlier layer was not decided within the node budget")
    else:
        above = f" and at most {draw.m_hi}" if draw.m_hi is not None else ""
        stopped = "within the node budget" if node_budget is not None else "up to the widest layer tried"
        typer.echo(f"undecided {stopped}: m* is above {draw.m_lo}{above}")
    typer.echo(f"criterion {draw.criterion}, certified {draw.certified}, {draw.nodes} nodes, {draw.seconds:.3f} s")


@app.command()
def probe(
    n: N,
    seed: SeedText = "0",
    ensemble: EnsembleText = "gaussian",
    moves: Annotated[int, typer.Option(help="Budget of the search.", min=0)] = 100_000,
    as_json: AsJson = False,
) -> None:
    """Search one layer for a witness that survives as many rows as possible: a proved lower bound on m*.

    Example: mcinj probe --n 100 --seed 0
    """
    from mcinj.decide.probe import probe as search
    from mcinj.networks import RowStream, Seed

    root = Seed.parse(seed)
    found = search(RowStream(ensemble, n, root), n, moves=moves, seed=root.child(0))
    if as_json:
        x = [str(v) for v in found.point]
        typer.echo(json.dumps({"n": n, "ensemble": ensemble, "seed": str(root), "m_found": found.m_found,
                               "moves": found.moves, "seconds": found.seconds, "x": x}))  # fmt: skip
        return
    typer.echo(f"m* > {found.m_found} (m/n = {found.m_found / n:.4f}): a witness at that width, verified exactly")
    typer.echo(f"{found.moves} moves, {found.seconds:.3f} s")


@app.command()
def sample(
    n: N,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write (.npz).")],
    widths: Annotated[str, typer.Option(help="Units per layer, e.g. 54,67.")] = "",
    expansions: Annotated[str, typer.Option(help="Or expansions per layer, e.g. 6.7004,1.2338.")] = "",
    ensemble: EnsembleText = "gaussian",
    seed: SeedText = "0",
) -> None:
    """Draw a network and write it, with its law and seed: `check` draws it again, and so knows the law of its weights.

    Example: mcinj sample --n 8 --widths 54,67 --seed 0 -o stack.npz
    """
    from mcinj.networks import sample as draw
    from mcinj.networks import widths_from_expansions, write_npz

    if bool(widths) == bool(expansions):
        raise InputError("give --widths or --expansions, one of the two")
    units = _widths(widths, "--widths") or widths_from_expansions(n, _floats(expansions, "--expansions"))
    network = draw(n, units, ensemble, seed)
    write_npz(network, output, drawn=(ensemble, seed))
    typer.echo(
        f"{output}: n = {network.n}, widths {', '.join(str(w) for w in network.widths)}, {ensemble}, seed {seed}"
    )


@app.command()
def theory(
    layers: Annotated[int, typer.Option(help="Depths 1 to this one (at most 8).")] = 1,
    as_json: AsJson = False,
) -> None:
    """The bounds, computed from their equations, with status, source and the laws of weights that they are about.

    Example: mcinj theory --layers 4
    """
    import pandas

    from mcinj.theory import table

    rows = table(layers)
    if as_json:
        typer.echo(json.dumps([row.to_json() for row in rows]))
        return
    # One line each: where a value, or its proved enclosure, is missing, the reason stands before the source.
    notes = [("" if r.known else "not computed: ") + (f"{r.reason}; " if r.reason else "") + r.source for r in rows]
    frame = pandas.DataFrame(
        [(r.layers, r.name, r.value, r.kind, r.status, r.laws, r.origin, t) for r, t in zip(rows, notes, strict=True)],
        columns=["layers", "name", "m/n", "kind", "status", "laws", "origin", "source"],
    )
    _print_table(frame, digits=6)


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


def _explain_layers(read: Reading, file: Path) -> None:
    """The layers as they were read: a wrong order shows here, not in the verdict."""
    widths = ", ".join(str(layer.shape[0]) for layer in read.layers)
    typer.echo(f"{file}: n = {read.network.n}, widths {widths}")
    for k, layer in enumerate(read.layers, 1):
        typer.echo(f"  layer {k}: {layer}")


def _explain(verdict: Verdict, domain: str | None) -> None:
    words = {"injective": "passes", "not_injective": "fails", "unknown": "undecided"}
    place = f" at layer {verdict.layer}" if verdict.layer is not None and len(verdict.widths) > 1 else ""
    because = f": {verdict.reason}" if verdict.reason else ""
    typer.echo(f"{verdict.criterion}: {words[verdict.verdict]}{place}{because}")
    proof = {
        "exact": "every step is proved for these very weights",
        "generic": f"counts are proved; that they are ranks is taken for granted: {verdict.assumption}",
        "none": "not proved: rests on floating-point computations",
    }
    if verdict.verdict == "injective":
        typer.echo(f"certified: {verdict.certified} ({proof[verdict.certified]})")
    implied = {
        True: "the network is injective",
        False: "the network is not injective",
        None: "this does not decide whether the network is injective",
    }[verdict.network_injective]
    if verdict.network_injective is None and verdict.verdict == "injective":
        implied = "necessary only: the network may still map two inputs from different regions to one output"
    if domain is not None and verdict.verdict == "injective" and verdict.criterion == "global":
        implied = f"the network is injective on {domain}; nothing is said of other inputs"
    typer.echo(f"so: {implied}")
    if verdict.witness is not None:
        where = "" if verdict.criterion != "layerwise" or verdict.layer == 1 else f" of layer {verdict.layer}"
        typer.echo(
            f"two inputs{where} with one output, verified in exact arithmetic (rounded here; --json has them exactly):"
        )
        typer.echo("  x  = " + " ".join(f"{float(v):.6g}" for v in verdict.witness.x))
        typer.echo("  x' = " + " ".join(f"{float(v):.6g}" for v in verdict.witness.x_prime))
    typer.echo(f"engine {verdict.engine}, {verdict.nodes} nodes, {verdict.seconds:.3f} s")


def _print_table(frame: Any, digits: int = 4) -> None:
    """A table that keeps its columns in a pipe and wraps its last ones in a narrow terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from mcinj.show.tables import number

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    numeric = [frame[c].dtype.kind in "fiu" or str(frame[c].dtype) == "Int64" for c in frame.columns]
    for name, is_number in zip(frame.columns, numeric, strict=True):
        shown.add_column(str(name).replace("_", " "), justify="right" if is_number else "left", overflow="fold")
    for row in frame.itertuples(index=False, name=None):
        shown.add_row(*(number(v, digits) if isinstance(v, float) else str(v) for v in row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(shown, highlight=False, markup=False)


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",")]


def _widths(text: str, option: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",")) if text.strip() else ()
    except ValueError:
        raise InputError(f"{option} {text!r}: give whole numbers with commas, e.g. 54,67") from None


def _floats(text: str, option: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{option} {text!r}: give numbers with commas, e.g. 6.7004,1.2338") from None


def main() -> NoReturn:
    """Entry point: one line and code 2 for a user's error, code 70 for ours."""
    try:
        app()
    except InputError as error:
        print(f"mcinj: {error}", file=sys.stderr)
        code = EXIT_INPUT
    except KeyboardInterrupt:
        print("mcinj: interrupted", file=sys.stderr)
        code = EXIT_INTERRUPT
    except BrokenPipeError:
        # The reader of our output went away (`mcinj export … | head`): nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        if os.environ.get("MCINJ_DEBUG"):
            raise
        print(
            f"mcinj: internal error, please report it: {type(error).__name__}: {' '.join(str(error).split())} "
            "(MCINJ_DEBUG=1 shows the traceback)",
            file=sys.stderr,
        )
        code = EXIT_INTERNAL
    else:
        code = 0
    sys.exit(code)


if __name__ == "__main__":
    main()

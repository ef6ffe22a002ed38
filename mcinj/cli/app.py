"""The application, and what several commands share: options, exit codes, parsing and tables."""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import mcinj
from mcinj.errors import InputError

if TYPE_CHECKING:
    from mcinj.networks.reading import Reading

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

    LOCAL = "local"
    DASK = "dask"
    LOKY = "loky"


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
# What every command takes that reads a network: the file, and how it is to be read.
NetworkFile = Annotated[Path, typer.Argument(help="A network: .npz with W1…Wl (b1…bl), .onnx, .safetensors, .pt.")]
Last = Annotated[
    LastLayer | None,
    typer.Option("--last", help="Whether the last layer has a ReLU; default relu, and what an .onnx file says itself."),
]
Layers = Annotated[
    str | None,
    typer.Option(
        "--layers",
        help="Names of all layers from input to output, e.g. stem,body,head, where the file leaves their order open "
        "(.safetensors; .pt keeps the order in which the model registers them).",
    ),
]
Prefix = Annotated[
    str | None,
    typer.Option("--prefix", help="Only the tensors whose names begin so, e.g. decoder. (all formats but .onnx)."),
]
# What several questions about a network take.
Domain = Annotated[str | None, typer.Option("--domain", help="Only inputs inside: box:LOW,HIGH or ball:R.")]
Slope = Annotated[float, typer.Option("--slope", help="Slope of leaky ReLUs; 0: ReLU.")]
NodeBudget = Annotated[
    int | None, typer.Option("--node-budget", help="Most search nodes; past it: unknown. Default: no limit.")
]
TimeLimit = Annotated[
    float | None,
    typer.Option("--time-limit", help="Most seconds, compilation not counted; past it: what is known by then."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(f"mcinj {mcinj.__version__}")
        raise typer.Exit


def read_as_told(file: Path, last: LastLayer | None, layers: str | None, prefix: str | None) -> Reading:
    """The network of a file, read as the options of a command say."""
    from mcinj.networks.readers import read_file

    names = None if layers is None else [part.strip() for part in layers.split(",")]
    return read_file(file, layers=names, last=last, prefix=prefix)


def slope_as_told(read: Reading, file: Path, slope: float) -> float:
    """The slope of --slope; refused where the file itself says which activations it has."""
    if slope and read.states_relus:
        raise InputError(f"{file} says itself which activations its layers have; leave --slope out")
    return slope


def tell_left_out(read: Reading, file: Path, what: str) -> None:
    """A word on standard error where the numbers of a command are not those of the whole file."""
    if read.left_out:
        names = ", ".join(read.left_out)
        typer.echo(f"note: {file} ends in {names}, which is left out: {what}", err=True)


def shown(value: Fraction, digits: int = 17) -> str:
    """A rational as a decimal of so many digits; as it is where float64 cannot hold it."""
    try:
        return f"{float(value):.{digits}g}"
    except OverflowError:
        return str(value)


def parse_widths(text: str, option: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",")) if text.strip() else ()
    except ValueError:
        raise InputError(f"{option} {text!r}: give whole numbers with commas, e.g. 54,67") from None


def parse_floats(text: str, option: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{option} {text!r}: give numbers with commas, e.g. 6.7004,1.2338") from None

"""Commands about inputs: `invert` gives them back, `coverage` and `farthest` say how many and how far apart collide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mcinj.cli.app import (
    EXIT_FAIL,
    EXIT_PASS,
    EXIT_UNKNOWN,
    AsJson,
    Domain,
    Last,
    Layers,
    NetworkFile,
    NodeBudget,
    Prefix,
    SeedText,
    Slope,
    TimeLimit,
    app,
    read_as_told,
    shown,
    slope_as_told,
    tell_left_out,
)
from mcinj.errors import InputError
from mcinj.show.watching import watched

if TYPE_CHECKING:
    from mcinj.inverse.farthest import Farthest
    from mcinj.inverse.fit import LeastSquares


@app.command()
def invert(
    file: NetworkFile,
    output: Annotated[Path | None, typer.Argument(help="The output y: .npy, or text with numbers.")] = None,
    y: Annotated[str | None, typer.Option("--y", help="Or the output itself, e.g. 1,2/3,0.")] = None,
    domain: Domain = None,
    slope: Slope = 0.0,
    noisy: Annotated[
        bool, typer.Option("--least-squares", help="y is noisy: the input whose output is nearest, instead.")
    ] = False,
    max_pieces: Annotated[int, typer.Option(help="Most pieces of the solution set.", min=1)] = 100,
    node_budget: NodeBudget = 100_000,
    time_limit: TimeLimit = None,
    last: Last = None,
    layers: Layers = None,
    prefix: Prefix = None,
    as_json: AsJson = False,
) -> None:
    """All inputs x with f(x) = y, exactly. Exit code 0: one x alone, 1: none or several, 3: unknown, 2: bad input.

    With --least-squares: 0: proved to be nearest of all, 3: nearest in its region only.

    Example: mcinj invert stack.npz --y 1,2,0
    """
    from mcinj.inverse.invert import invert as solve
    from mcinj.inverse.vectors import parse_vector, read_vector

    if (output is None) == (y is None):
        raise InputError("give the output as a file or with --y, one of the two")
    read = read_as_told(file, last, layers, prefix)
    network, slope = read.network, slope_as_told(read, file, slope)
    tell_left_out(read, file, "y is what comes before it")
    values = read_vector(output) if output is not None else parse_vector(y or "", "--y")
    with watched("inputs with this output"):
        found = solve(
            network, values, domain=domain, slope=slope, noisy=noisy, max_pieces=max_pieces, node_budget=node_budget,
            time_limit=time_limit,
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(found.to_json()))
    elif found.fit is not None:
        _tell_fit(found.fit)
    else:
        where = "" if domain is None else f" in {domain}"
        if found.x is not None:
            typer.echo("x = " + " ".join(shown(v) for v in found.x) + "  (rounded here; --json has it exactly)")
        if found.impossible:
            typer.echo(
                f"no input{where} gives exactly this output (proved; outputs of a float forward pass are rounded)"
            )
        elif found.unique:
            typer.echo(f"x is the only input{where} with this output (proved)")
        elif found.unique is False:
            shapes = ", ".join(f"{p.dimension}" for p in found.pieces[:8]) + (", …" if len(found.pieces) > 8 else "")
            count = "1 piece" if len(found.pieces) == 1 else f"{len(found.pieces)} pieces"
            typer.echo(f"other inputs{where} give this output too: {count}, of dimension {shapes}")
        if not found.complete:
            typer.echo("the search ended at its limit (--node-budget, --max-pieces, --time-limit): there may be more")
        typer.echo(f"{found.nodes} nodes, {found.seconds:.3f} s")
    if found.fit is not None:
        raise typer.Exit(EXIT_PASS if found.fit.proved else EXIT_UNKNOWN)
    undecided = found.unique is None and not found.impossible
    raise typer.Exit(EXIT_UNKNOWN if undecided else (EXIT_PASS if found.unique else EXIT_FAIL))


def _tell_fit(found: LeastSquares) -> None:
    typer.echo("x = " + " ".join(shown(v) for v in found.x) + "  (rounded here; --json has it exactly)")
    from mcinj.quantify.roots import root_below

    low, high = found.residual
    typer.echo(f"|f(x) - y| between {low:.17g} and {high:.17g}")
    if found.proved:
        typer.echo("no input comes nearer (proved)")
    else:
        floor = root_below(found.bound)
        typer.echo(f"nearest in its region; no input comes nearer than {floor:.9g} (proved), between that is open")
    if found.unique is not None:
        typer.echo("the only such x in its region" if found.unique else "other inputs of its region come as near")
    typer.echo("active units: " + ", ".join(str(len(units)) for units in found.active))
    typer.echo(f"{found.nodes} nodes, {found.seconds:.3f} s")


@app.command()
def coverage(
    file: NetworkFile,
    samples: Annotated[int, typer.Option(help="Number of inputs drawn.", min=1)] = 1000,
    domain: Annotated[str | None, typer.Option(help="Uniform on box:LOW,HIGH or ball:R; default N(0, I).")] = None,
    seed: SeedText = "0",
    level: Annotated[float, typer.Option(help="Confidence of the limits.")] = 0.95,
    last: Last = None,
    layers: Layers = None,
    prefix: Prefix = None,
    as_json: AsJson = False,
) -> None:
    """Share of inputs in regions where the Jacobian has rank below n, and active units per layer, by sampling.

    Example: mcinj coverage stack.npz --samples 2000
    """
    from mcinj.inverse.coverage import coverage as estimate

    network = read_as_told(file, last, layers, prefix).network
    with watched("samples"):
        found = estimate(network, samples=samples, domain=domain, seed=seed, level=level)
    if as_json:
        typer.echo(json.dumps(found.to_json()))
        return
    typer.echo(f"rank below n at {found.deficient} of {found.samples} samples: {100 * found.share:.4g} %")
    typer.echo(f"{100 * level:g} % limits: {100 * found.share_lo:.4g} % to {100 * found.share_hi:.4g} %")
    for k, (least, mean) in enumerate(zip(found.active_least, found.active_mean, strict=True), 1):
        typer.echo(f"layer {k}: at least {least} active units seen, {mean:.4g} on average")


@app.command()
def farthest(
    file: NetworkFile,
    domain: Domain = None,
    samples: Annotated[int, typer.Option(help="Number of inputs drawn.", min=1)] = 1000,
    starts: Annotated[int, typer.Option(help="Most regions from which the search starts.", min=1)] = 30,
    seed: SeedText = "0",
    node_budget: NodeBudget = 100_000,
    time_limit: TimeLimit = None,
    last: Last = None,
    layers: Layers = None,
    prefix: Prefix = None,
    as_json: AsJson = False,
) -> None:
    """How far apart two inputs with equal outputs can be: the farthest pair that a search finds, exact.

    Exit code 0: proved that there are none, 1: a pair was found, 3: unknown, 2: bad input.

    Example: mcinj farthest stack.npz --domain box:-1,1
    """
    from mcinj.inverse.farthest import farthest as search

    network = read_as_told(file, last, layers, prefix).network
    with watched("pairs of inputs"):
        found = search(
            network, domain=domain, samples=samples, starts=starts, seed=seed, node_budget=node_budget,
            time_limit=time_limit,
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(found.to_json()))
    else:
        _tell_farthest(found, "" if domain is None else f" in {domain}")
    raise typer.Exit({True: EXIT_PASS, False: EXIT_FAIL, None: EXIT_UNKNOWN}[found.injective])


def _tell_farthest(found: Farthest, where: str) -> None:
    if found.injective:
        typer.echo(f"no two inputs{where} have equal outputs (proved)")
    elif found.x is None or found.x_prime is None:
        typer.echo(f"no two inputs{where} with equal outputs were found, and none were excluded (mcinj check)")
    else:
        (low, _), (share, _) = found.distance, found.relative
        if found.scale_free:
            typer.echo(f"equal outputs at |x - x'| = {share:.9g} max(|x|, |x'|), for inputs of any size (proved)")
        elif found.directions is not None:
            typer.echo("equal outputs at any distance (proved): along (rounded here; --json has all exactly)")
            for name, d in zip(("x ", "x'"), found.directions, strict=True):
                typer.echo(f"  {name} + t · " + " ".join(shown(v) for v in d))
        else:
            typer.echo(f"equal outputs at distance {low:.9g} (proved; farther ones may exist)")
        typer.echo("  x  = " + " ".join(shown(v) for v in found.x))
        typer.echo("  x' = " + " ".join(shown(v) for v in found.x_prime))
    typer.echo(f"{found.samples} inputs drawn, {found.regions} regions, {found.seconds:.3f} s")

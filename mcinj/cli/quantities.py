"""Commands that say how injective a network is."""

from __future__ import annotations

import json
import math
from typing import Annotated

import typer

from mcinj.cli.app import (
    AsJson,
    Domain,
    Last,
    Layers,
    NetworkFile,
    NodeBudget,
    Prefix,
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


@app.command()
def stability(
    file: NetworkFile,
    domain: Domain = None,
    slope: Slope = 0.0,
    tolerance: Annotated[float, typer.Option(help="Relative width of the answer that is aimed at.")] = 1e-6,
    node_budget: NodeBudget = 1_000_000,
    time_limit: TimeLimit = None,
    rational: Annotated[bool, typer.Option("--rational", help="Also the squares of all bounds as fractions.")] = False,
    last: Last = None,
    layers: Layers = None,
    prefix: Prefix = None,
    as_json: AsJson = False,
) -> None:
    """The least singular value of any region, and the lower Lipschitz constant, between proved bounds.

    Example: mcinj stability stack.npz --domain box:-1,1
    """
    from mcinj.quantify.stability import stability as enclose

    read = read_as_told(file, last, layers, prefix)
    slope = slope_as_told(read, file, slope)
    tell_left_out(read, file, "the numbers are those of the network before it")
    with watched("regions"):
        found = enclose(
            read.network, domain=domain, slope=slope, tolerance=tolerance, node_budget=node_budget,
            time_limit=time_limit,
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(found.to_json()))
        return
    where = "" if domain is None else f" on {domain}"
    typer.echo(f"least singular value of a region{where}: between {found.sigma_lo:.9g} and {found.sigma_hi:.9g}")
    typer.echo(f"lower Lipschitz constant{where}: between {found.kappa_lo:.9g} and {found.kappa_hi:.9g}")
    if rational:
        for name, (least, most) in (("singular value", found.sigma_squared), ("constant", found.kappa_squared)):
            typer.echo(f"the square of the {name} is at least {least}" + ("" if most is None else f", at most {most}"))
    if found.sigma_hi == 0.0:
        typer.echo("so: the network is not injective there")
    elif found.kappa_lo > 0.0:
        typer.echo(f"so: inputs at distance d have outputs at distance {found.kappa_lo:.3g} d or more")
    if not found.complete:
        typer.echo("the bounds are not as close as was asked for (--node-budget, --time-limit, or rounding)")
    if found.x is not None and found.direction is not None:
        active = ", ".join(str(len(units)) for units in found.pattern)
        typer.echo(f"the upper one is reached where {active} units are active (rounded here; --json has it exactly):")
        typer.echo("  x = " + " ".join(shown(v, 9) for v in found.x))
        typer.echo("  along " + " ".join(shown(v, 9) for v in found.direction))
    for k, (low, high) in enumerate(found.layers, 1):
        typer.echo(f"layer {k} alone: between {low:.9g} and {high:.9g}")
    typer.echo(f"{found.nodes} nodes, {found.seconds:.3f} s")


@app.command()
def margin(
    file: NetworkFile,
    layer: Annotated[
        int | None, typer.Option(help="Which layer, from 1, of a network that has several.", min=1)
    ] = None,
    domain: Annotated[
        str | None, typer.Option(help="Only inputs inside ball:R; needed for a layer with biases.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Width that is aimed at, as a share of the largest margin that these rows could have.")
    ] = 1e-6,
    node_budget: NodeBudget = 1_000_000,
    time_limit: TimeLimit = None,
    last: Last = None,
    layers: Layers = None,
    prefix: Prefix = None,
    as_json: AsJson = False,
) -> None:
    """By how much one layer is injective, or fails: the bias that it can lose, or that repairs it.

    Example: mcinj margin layer.npz
    """
    from mcinj.quantify.margin import margin as enclose

    network = read_as_told(file, last, layers, prefix).network
    if layer is not None:
        network = network.layer(layer)
    elif network.depth > 1:
        raise InputError(f"a margin is that of one layer and {file} has {network.depth}: choose one with --layer")
    with watched("directions"):
        found = enclose(network, domain=domain, tolerance=tolerance, node_budget=node_budget, time_limit=time_limit)
    if as_json:
        typer.echo(json.dumps(found.to_json()))
        return
    where = "" if domain is None else f" on {domain}"
    if found.lo == -math.inf:
        typer.echo(f"margin{where}: -inf")
    else:
        typer.echo(f"margin{where}: between {found.lo:.9g} and {found.hi:.9g}")
    typer.echo(f"so: {found.meaning}")
    if not found.complete:
        typer.echo("the bounds are not as close as was asked for (--node-budget, --time-limit, or rounding)")
    if found.x is not None:
        what = "direction" if found.radius is None else "point"
        typer.echo(f"the upper one is reached in the {what} (rounded here; --json has it exactly)")
        typer.echo("  x = " + " ".join(shown(v, 9) for v in found.x))
        if found.lo > -math.inf:
            typer.echo("  rows above: " + (" ".join(str(i) for i in found.above) or "none"))
    typer.echo(f"{found.nodes} nodes, {found.seconds:.3f} s")

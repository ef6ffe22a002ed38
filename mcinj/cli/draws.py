"""Commands that draw networks, thresholds and witnesses, and the table of bounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mcinj.cli.app import (
    AsJson,
    CriterionName,
    EnsembleText,
    N,
    NodeBudget,
    SeedText,
    app,
    parse_floats,
    parse_widths,
)
from mcinj.cli.tables import print_table
from mcinj.errors import InputError


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

    draw = draw_threshold(
        n, parse_widths(widths_before, "--widths-before"), str(criterion), ensemble, seed, node_budget
    )
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
    runs: Annotated[int, typer.Option(help="Independent searches; how many agree on the best.", min=1)] = 1,
    as_json: AsJson = False,
) -> None:
    """Search one layer for a witness that survives as many rows as possible: a proved lower bound on m*.

    Example: mcinj probe --n 100 --seed 0
    """
    from mcinj.decide.probe.probe import probe as search
    from mcinj.decide.probe.searched import searched
    from mcinj.networks import RowStream, Seed

    root = Seed.parse(seed)
    stream = RowStream(ensemble, n, root)
    made = searched(stream, n, moves=moves, runs=runs, seed=root).runs if runs > 1 else ()
    found = max(made, key=lambda run: run.m_found) if made else search(stream, n, moves=moves, seed=root.child(0))
    several = {"runs": [run.m_found for run in made]} if made else {}
    if as_json:
        x = [str(v) for v in found.point]
        typer.echo(json.dumps({"n": n, "ensemble": ensemble, "seed": str(root), "m_found": found.m_found, **several,
                               "moves": found.moves, "seconds": found.seconds, "x": x}))  # fmt: skip
        return
    typer.echo(f"m* > {found.m_found} (m/n = {found.m_found / n:.4f}): a witness at that width, verified exactly")
    if made:
        agree = sum(run.m_found == found.m_found for run in made)
        typer.echo(f"found by {agree} of {runs} independent runs: searched, not proved, that m* = {found.m_found + 1}")
    typer.echo(f"{found.moves} moves, {found.seconds:.3f} s" + (" (that run)" if made else ""))


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
    units = parse_widths(widths, "--widths") or widths_from_expansions(n, parse_floats(expansions, "--expansions"))
    network = draw(n, units, ensemble, seed)
    write_npz(network, output, drawn=(ensemble, seed))
    typer.echo(
        f"{output}: n = {network.n}, widths {', '.join(str(w) for w in network.widths)}, {ensemble}, seed {seed}"
    )


@app.command()
def construct(
    n: N,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write (.npz).")],
    layers: Annotated[int, typer.Option(help="Number of layers; each doubles.")] = 1,
    more: Annotated[int, typer.Option(help="Further rows M of every layer.")] = 0,
    outputs: Annotated[
        int | None, typer.Option(help="Project to so many outputs, without a last ReLU: 2n + 1 keep all apart.")
    ] = None,
    seed: SeedText = "0",
) -> None:
    """Build a network that is injective by construction, layers [B; -DB; M] with Gaussian B and M, and write it.

    Example: mcinj construct --n 4 --outputs 9 -o narrow.npz
    """
    from mcinj.constructions import drawn
    from mcinj.networks import write_npz

    network = drawn(n, layers=layers, more=more, outputs=outputs, seed=seed)
    write_npz(network, output)
    ends = ", the last one linear (with both signs)" if outputs is not None else ""
    typer.echo(f"{output}: n = {network.n}, widths {', '.join(str(w) for w in network.widths)}{ends}, seed {seed}")


@app.command()
def theory(
    layers: Annotated[int, typer.Option(help="Depths 1 to this one (at most 8).")] = 1,
    wide_layers: Annotated[int, typer.Option(help="Values behind this many infinitely wide layers (at most 20).")] = 0,
    level: Annotated[
        float, typer.Option(help="Values for a margin of this much (-3 to 3): units count where above it.")
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """The bounds, computed from their equations, with status, source and the laws of weights that they are about.

    Example: mcinj theory --layers 4
    """
    import pandas

    from mcinj.theory import field_table, table

    if layers != 1 and (wide_layers or level):
        raise InputError("--layers is a table of critical ratios by depth; give it without --wide-layers and --level")
    rows = field_table(wide_layers, level) if wide_layers or level else table(layers)
    if as_json:
        typer.echo(json.dumps([row.to_json() for row in rows]))
        return
    # One line each: where a value, or its proved enclosure, is missing, the reason stands before the source.
    notes = [("" if r.known else "not computed: ") + (f"{r.reason}; " if r.reason else "") + r.source for r in rows]
    frame = pandas.DataFrame(
        [(r.layers, r.name, r.value, r.kind, r.status, r.laws, r.origin, t) for r, t in zip(rows, notes, strict=True)],
        columns=["layers", "name", "m/n", "kind", "status", "laws", "origin", "source"],
    )
    print_table(frame, digits=6)

"""Commands about one network that the user brings: decide, verify."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from mcinj.cli.app import (
    EXIT_FAIL,
    EXIT_GENERIC,
    EXIT_INTERRUPT,
    EXIT_PASS,
    EXIT_UNKNOWN,
    AsJson,
    CriterionName,
    Domain,
    EngineName,
    Last,
    Layers,
    NetworkFile,
    NodeBudget,
    Prefix,
    Slope,
    TimeLimit,
    app,
    read_as_told,
    slope_as_told,
)
from mcinj.cli.explain import distinct_decimals, explain_known
from mcinj.errors import InputError

if TYPE_CHECKING:
    from mcinj.decide.verdict import Verdict
    from mcinj.networks.reading import Reading
    from mcinj.show.watching import DecisionLine

MAX_CERTIFICATE = 2**30


@app.command()
def check(
    file: NetworkFile,
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
    domain: Domain = None,
    slope: Slope = 0.0,
    last: Last = None,
    layers: Layers = None,
    prefix: Prefix = None,
    time_limit: TimeLimit = None,
    progress: Annotated[
        bool, typer.Option("--progress", help="Say how far a long decision is, also without a terminal.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Decide one criterion on one network. Exit code 0: passes, 1: fails, 3: unknown, 2: bad input.

    Example: mcinj check stack.npz --criterion regional --json
    """
    from mcinj.decide.check import check as decide
    from mcinj.files import atomic_write

    if certificate is not None and not certificate.parent.is_dir():
        raise InputError(f"cannot write {certificate}: {certificate.parent} is not a directory")
    read = read_as_told(file, last, layers, prefix)
    slope, network = slope_as_told(read, file, slope), read.network
    plain = domain is not None or certificate is not None or engine not in (EngineName.AUTO, EngineName.TREE)
    if read.leaky is not None and criterion is CriterionName.GLOBAL and not plain:
        network, slope = read.leaky.network, read.leaky.slope
    from mcinj.show.watching import DecisionLine

    line = DecisionLine(always=progress)
    try:
        verdict = decide(
            network,
            str(criterion),
            str(engine),
            node_budget,
            exact=exact,
            assume_generic=assume_generic,
            certificate=certificate is not None,
            jobs=jobs,
            domain=domain,
            slope=slope,
            time_limit=time_limit,
            progress=line,
        )
    except KeyboardInterrupt:
        line.close()
        print(f"mcinj: interrupted after {line.word()}", file=sys.stderr, flush=True)
        leave(EXIT_INTERRUPT, line)
    finally:
        line.close()
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
    leave({"injective": EXIT_PASS, "not_injective": EXIT_FAIL, "unknown": EXIT_UNKNOWN}[verdict.verdict], line)


def leave(code: int, line: DecisionLine) -> NoReturn:
    """End with an exit code, at once: a slice of compiled work that was left behind is not waited for."""
    strays = [] if line.watch is None else line.watch.strays
    if any(thread.is_alive() for thread in strays):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise typer.Exit(code)


@app.command()
def verify(
    certificate: Annotated[Path, typer.Argument(help="A certificate that `mcinj check --certificate` wrote.")],
    file: NetworkFile,
    exact: Annotated[
        bool, typer.Option("--exact", help="Exact arithmetic only; accept no proof that takes something for granted.")
    ] = False,
    last: Last = None,
    layers: Layers = None,
    prefix: Prefix = None,
) -> None:
    """Check a verdict's certificate with code of its own. Exit code 0: accepted, 1: rejected, 2: unreadable network.

    It says what the certificate shows (layerwise, regional or global), its grade and what that rests on. With --exact a
    sound proof that is generic only (it takes general position for granted) ends with exit code 4.

    Example: mcinj verify stack.cert stack.npz
    """
    from mcinj.certify import verify as check_certificate

    network = read_as_told(file, last, layers, prefix).network
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
        x, other = distinct_decimals(verdict.witness.x, verdict.witness.x_prime)
        typer.echo("  x  = " + " ".join(x))
        typer.echo("  x' = " + " ".join(other))
    if verdict.known is not None:
        explain_known(verdict.known)
    typer.echo(f"engine {verdict.engine}, {verdict.nodes} nodes, {verdict.seconds:.3f} s")

"""`check`: one network, one criterion, one verdict. Picks the engine and says what the verdict implies."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mcinj.certify.position import network_relation
from mcinj.certify.witness import Witness
from mcinj.decide.budget import budget_of
from mcinj.decide.verdict import Certified, Criterion, Engine, Outcome, Reason, Verdict
from mcinj.decide.watch import TimeUp, Watch, current, time_limit_of, watching
from mcinj.errors import InputError
from mcinj.networks import Network, Premise
from mcinj.networks.traced import accepts_modules

# What each engine decides; `auto` takes the first that supports the case.
_ONE_LAYER = (Engine.TREE, Engine.MILP, Engine.LP)
_DEEP_REGIONAL = (Engine.TREE, Engine.LP)
_DEEP_GLOBAL = (Engine.TREE,)


@accepts_modules
def check(
    network: Network | Sequence[Any] | np.ndarray[Any, Any],
    criterion: Criterion | str = "global",
    engine: Engine | str = "auto",
    node_budget: int | None = None,
    *,
    exact: bool = False,
    assume_generic: bool = False,
    certificate: bool = False,
    jobs: int = 1,
    domain: str | None = None,
    slope: float = 0.0,
    time_limit: float | None = None,
    progress: Callable[[Watch], None] | None = None,
) -> Verdict:
    """Decide whether a ReLU network is injective.

    Parameters
    ----------
    network
        A `Network`, a list with one weight matrix per layer, or one matrix `(m, n)` for one layer. Or two arguments,
        `check(module, example_input, …)`: a `torch.nn.Module` in evaluation mode and one input for it (see
        `mcinj.networks.module.network_from_module`).
    criterion
        `global` (the definition: different inputs, different outputs), `regional` (rank n on every open
        region: necessary only, for deep networks) or `layerwise` (every layer injective on all of its input
        space: sufficient only). For one layer the three are the same.
    engine
        `auto`, or `tree` (branch and bound, every step proved), `lp` (the reference, cvxpy and HiGHS, `regional`
        at any depth) or `milp` (HiGHS, one layer at a time).
    node_budget
        Most search nodes; past it the verdict is UNKNOWN. None: no limit. Nodes are machine-independent.
    exact
        Prove rank, not only count (`tree`), also for networks that `mcinj.sample` drew. All others get that anyway: a
        pass is `certified: exact`, or the verdict is UNKNOWN with its reason. For deep networks rank takes a visit to
        every full pattern of the earlier layers, and for `global` to pairs of them.
    assume_generic
        Take for granted that no algebraic coincidence is built into the weights, so that count is rank: much faster,
        and the verdict names it (`certified: generic`, `assumption`). Weights with a plain relation (zero entries,
        parallel rows or columns, three dependent rows) are refused.
    certificate
        Keep the proof of a pass in `Verdict.certificate` (`tree`).
    jobs
        Cores that share one decision (`tree`, one layer).
    domain
        `"box:LOW,HIGH"` or `"ball:R"`: only inputs inside count (`regional` and `global`, engine `tree`). A pass
        then says nothing of the whole network, so `network_injective` is None.
    slope
        0 for ReLU; otherwise the slope of leaky ReLUs, 0 < slope < 1 (criterion `global`, engine `tree`).

    time_limit
        Most seconds, compilation (once per machine) not counted; past it the verdict is UNKNOWN. A verdict reached in
        time does not depend on it. A pass whose certificate is not written in time is a pass without one.
    progress
        Called with the state of the decision (`mcinj.decide.watch.Watch`) at most ten times a second.

    Raises
    ------
    InputError
        A bad network, an unknown name, or a combination that is not available (the message lists those that are).

    Examples
    --------
    >>> import mcinj, numpy as np
    >>> b = np.array([[2.0, 1.0], [1.0, 3.0]])
    >>> mcinj.check(np.vstack([b, -b])).verdict
    <Outcome.INJECTIVE: 'injective'>
    >>> verdict = mcinj.check(mcinj.sample(2, (3,), seed=1))
    >>> str(verdict.verdict), verdict.witness.collides(mcinj.sample(2, (3,), seed=1))
    ('not_injective', True)

    The criteria and what a verdict rests on: docs/engine.md.
    """
    net = as_network(network)
    rule = _named(Criterion, criterion, "criterion")
    wanted = _named(Engine, engine, "engine")
    budget = budget_of(node_budget)
    if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1:
        raise InputError(f"jobs must be a whole number >= 1, got {jobs!r}")
    special = domain is not None or bool(slope)
    case = "one layer" if net.depth == 1 or rule is Criterion.LAYERWISE else f"deep {rule}"
    available = {"one layer": _ONE_LAYER, "deep regional": _DEEP_REGIONAL, "deep global": _DEEP_GLOBAL}[case]
    chosen = available[0] if wanted is Engine.AUTO else wanted
    if not special and chosen not in available:
        raise InputError(
            f"the engine {chosen} does not decide the criterion {rule} of a network with {net.depth} layers; "
            f"available there: {', '.join(available)}"
        )
    if not special and chosen is not Engine.TREE and (certificate or exact):
        raise InputError(f"only the engine tree proves its passes, so the engine {chosen} gives no certificate")
    if assume_generic and chosen is not Engine.TREE:
        raise InputError(f"the engine {chosen} proves nothing that assume_generic would spare; leave one of them out")
    if assume_generic and exact:
        raise InputError("exact takes nothing for granted and assume_generic does; give one of the two")
    if assume_generic:
        net = _assumed(net)
    place = None
    if domain is not None:
        from mcinj.decide.bounded.domain import Domain

        place = Domain.parse(domain)
    watch = Watch(time_limit_of(time_limit), progress)
    started = time.perf_counter()
    try:
        with watching(watch):
            part, layer, implied = _decided(net, rule, chosen, budget, exact, certificate, jobs, domain, slope)
    except TimeUp:
        if watch.decided is None:
            part, layer, implied = _Part(Outcome.UNKNOWN, watch.nodes, reason=Reason.TIME), None, None
        else:
            part, layer = watch.decided
            implied = _implied(part.outcome, None if rule is Criterion.REGIONAL and net.depth > 1 else True)
    known = None
    if part.outcome is Outcome.UNKNOWN:
        from mcinj.decide.known import known as known_of

        rank_open = part.reason is Reason.RANK or Reason.RANK in str(part.reason) or "rank" in watch.stage
        known = known_of(net, watch, place, slope, rank_open)
    return Verdict(
        verdict=part.outcome,
        criterion=rule,
        engine=chosen,
        certified=part.certified,
        n=net.n,
        widths=net.widths,
        nodes=part.nodes,
        seconds=time.perf_counter() - started,
        layer=layer,
        witness=part.witness,
        network_injective=implied,
        certificate=part.certificate,
        assumption=str(net.premise) if part.certified is Certified.GENERIC else None,
        reason=str(part.reason or Reason.BUDGET) if part.outcome is Outcome.UNKNOWN else None,
        known=known,
    )


def _decided(
    net: Network, rule: Criterion, engine: Engine, budget: int | None, exact: bool, certificate: bool, jobs: int,
    domain: str | None, slope: float,
) -> tuple[_Part, int | None, bool | None]:  # fmt: skip
    """The decision, the layer of a failure, and what it implies for the network."""
    special = domain is not None or bool(slope)
    if engine is Engine.TREE and not special and net.depth > 1:  # one layer: `decide_one_layer` begins with them
        from mcinj.decide.quick.opposites import proofs_of_opposites

        proofs = proofs_of_opposites(net)
        if proofs is not None:
            from mcinj.certify.format import write

            proof = write(net, proofs) if certificate else None
            return _Part(Outcome.INJECTIVE, 0, Certified.EXACT, certificate=proof), None, True
    sampled = None
    if engine is Engine.TREE and rule is not Criterion.LAYERWISE:
        sampled = _sampled(net, domain, slope, certificate)
    if sampled is not None:
        return *sampled, False
    used = 0
    alone = net.depth == 1  # there is no first layer to be searched before the rest
    if engine is Engine.TREE and rule is not Criterion.LAYERWISE and not (alone or slope or (special and certificate)):
        from mcinj.decide.bounded.domain import Domain
        from mcinj.decide.quick.first import layer_one_first

        witness, used = layer_one_first(net, None if domain is None else Domain.parse(domain), budget)
        if witness is not None:
            return _Part(Outcome.NOT_INJECTIVE, used, witness=witness), 1, False
    left = None if budget is None else budget - used
    part, layer, implied = _searched(net, rule, engine, left, exact, certificate, jobs, domain, slope)
    part.nodes += used
    return part, layer, implied


def _searched(
    net: Network, rule: Criterion, engine: Engine, budget: int | None, exact: bool, certificate: bool, jobs: int,
    domain: str | None, slope: float,
) -> tuple[_Part, int | None, bool | None]:  # fmt: skip
    """The decision by search."""
    if domain is not None or slope:
        return _special(net, rule, engine, budget, domain, slope, exact, certificate)
    if net.depth == 1:
        part = _one_layer(net, engine, budget, exact, certificate, jobs)
        return part, 1 if part.outcome is Outcome.NOT_INJECTIVE else None, _implied(part.outcome, True)
    if rule is Criterion.LAYERWISE:
        part, layer = _layerwise(net, engine, budget, exact, certificate, jobs)
        return part, layer, True if part.outcome is Outcome.INJECTIVE else (False if layer == 1 else None)
    part, layer = _deep(net, rule, engine, budget, exact, certificate)
    return part, layer, _implied(part.outcome, True if rule is Criterion.GLOBAL else None)


def _sampled(net: Network, domain: str | None, slope: float, certificate: bool) -> tuple[_Part, int] | None:
    """A failure that sampling finds; leaky ReLUs have none of the kind."""
    if slope or (certificate and domain is not None):
        return None
    from mcinj.decide.quick.samples import sampled_failure

    place = None
    if domain is not None:
        from mcinj.decide.bounded.domain import Domain

        place = Domain.parse(domain)
    found = sampled_failure(net, place)
    if found is None:
        return None
    return _Part(Outcome.NOT_INJECTIVE, current().nodes, witness=found[0]), found[1]


def _assumed(net: Network) -> Network:
    """The network on the user's word that its weights are in general position, unless that is plainly false."""
    relation = network_relation(net)
    if relation is not None:
        raise InputError(f"these weights are not in general position ({relation}); leave assume_generic out")
    return net.with_premise(Premise.ASSUMED)


def _implied(outcome: Outcome, passed: bool | None) -> bool | None:
    """What a verdict implies for the whole network; `passed`: what a pass does."""
    return {Outcome.INJECTIVE: passed, Outcome.NOT_INJECTIVE: False, Outcome.UNKNOWN: None}[outcome]


def _special(
    net: Network, rule: Criterion, engine: Engine, budget: int | None, domain: str | None, slope: float, exact: bool,
    certificate: bool,
) -> tuple[_Part, int | None, bool | None]:  # fmt: skip
    """Bounded domains and leaky ReLUs."""
    what = "a domain" if domain is not None else "a leaky ReLU"
    if domain is not None and slope:
        raise InputError("a domain and a leaky ReLU cannot be combined; give one of the two")
    if engine is not Engine.TREE:
        raise InputError(f"the engine {engine} does not decide {what}; available there: tree")
    if certificate:
        raise InputError(f"there is no certificate for {what} yet; leave it out")
    if domain is not None:
        from mcinj.decide.bounded.decide import decide_on
        from mcinj.decide.bounded.domain import Domain

        asked = Criterion.REGIONAL if net.depth == 1 else rule
        found = decide_on(net, Domain.parse(domain), asked, node_budget=budget, exact=exact)
        passed = None
    else:
        from mcinj.decide.deep.leaky import decide_leaky

        if rule is not Criterion.GLOBAL:
            raise InputError(f"for leaky ReLUs every region has full rank or none: ask for global, not {rule}")
        found = decide_leaky(net, slope, node_budget=budget)
        passed = True
    part = _Part(found.outcome, found.nodes, found.certified, found.witness, reason=found.reason)
    return part, found.layer, _implied(found.outcome, passed)


def as_network(network: Network | Sequence[Any] | np.ndarray[Any, Any]) -> Network:
    """A `Network` from what `check` accepts."""
    if isinstance(network, Network):
        return network
    if isinstance(network, np.ndarray) and network.dtype != object:
        if network.ndim != 2:
            raise InputError(f"one layer is a matrix of shape (m, n), got an array of shape {network.shape}")
        return Network([network])
    if isinstance(network, (list, tuple)):
        return Network(network)
    raise InputError(
        "give a Network, a list of weight matrices, one matrix, or a torch module and an example input, "
        f"got {type(network).__name__}"
    )


class _Part:
    """What an engine says of one decision."""

    def __init__(
        self,
        outcome: Outcome,
        nodes: int,
        certified: Certified = Certified.NONE,
        witness: Witness | None = None,
        certificate: bytes | None = None,
        reason: str | None = None,
    ) -> None:
        self.outcome, self.nodes, self.witness, self.certificate = outcome, nodes, witness, certificate
        self.reason = reason
        # A failure is proved by its witness, whichever engine found it.
        self.certified = Certified.EXACT if outcome is Outcome.NOT_INJECTIVE else certified


def _one_layer(net: Network, engine: Engine, budget: int | None, exact: bool, certificate: bool, jobs: int) -> _Part:
    if engine is Engine.TREE:
        from mcinj.decide.layer.tree import decide_one_layer

        found = decide_one_layer(net, node_budget=budget, exact=exact, certificate=certificate, jobs=jobs)
        return _Part(found.outcome, found.nodes, found.certified, found.witness, found.certificate, found.reason)
    if engine is Engine.MILP:
        from mcinj.decide.oracles import milp

        result = milp.decide_one_layer(net, budget)
        return _Part(result.outcome, result.nodes, witness=result.witness)
    from mcinj.decide.oracles import lp

    search = lp.decide(net, budget)
    return _Part(search.outcome, search.nodes, witness=search.witness)


def _layerwise(
    net: Network, engine: Engine, budget: int | None, exact: bool, certificate: bool, jobs: int
) -> tuple[_Part, int | None]:
    """Every layer alone. A failure anywhere decides; otherwise one undecided layer leaves the whole undecided."""
    nodes = 0
    outcome, certified = Outcome.INJECTIVE, Certified.EXACT
    proofs: list[bytes] = []
    reason: str | None = None
    for k in range(1, net.depth + 1):
        left = None if budget is None else max(budget - nodes, 0)
        alone = net.layer(k)
        sampled = _sampled(alone, None, 0.0, certificate) if engine is Engine.TREE else None
        if sampled is not None:
            return _Part(Outcome.NOT_INJECTIVE, nodes, witness=sampled[0].witness), k
        with current().quietly(f"layer {k} alone"):
            part = _one_layer(alone, engine, left, exact, certificate, jobs)
        nodes += part.nodes
        if part.outcome is Outcome.INJECTIVE and part.certified is not Certified.NONE:
            current().alone.append(k)
        if part.outcome is Outcome.NOT_INJECTIVE:
            return _Part(part.outcome, nodes, witness=part.witness), k
        if part.outcome is Outcome.UNKNOWN:
            outcome = Outcome.UNKNOWN
            reason = reason or (part.reason and f"layer {k}: {part.reason}")
        certified = weaker(certified, part.certified)
        if part.certificate is not None:
            proofs.append(part.certificate)
    if outcome is not Outcome.INJECTIVE:
        return _Part(outcome, nodes, reason=reason), None
    joined = None
    if certificate:
        from mcinj.certify.format import join

        joined = join(net, proofs)
    return _Part(outcome, nodes, certified, certificate=joined), None


def weaker(a: Certified, b: Certified) -> Certified:
    """The weaker of two grades of proof."""
    order = (Certified.NONE, Certified.GENERIC, Certified.EXACT)
    return min(a, b, key=order.index)


def _deep(
    net: Network, rule: Criterion, engine: Engine, budget: int | None, exact: bool, certificate: bool
) -> tuple[_Part, int | None]:
    if engine is Engine.LP:
        from mcinj.decide.oracles import lp

        search = lp.decide(net, budget)
        return _Part(search.outcome, search.nodes, witness=search.witness), search.layer
    if rule is Criterion.GLOBAL:
        from mcinj.decide.pairs.collision import decide_global

        found = decide_global(net, node_budget=budget, exact=exact, certificate=certificate)
    else:
        from mcinj.decide.deep.regions import decide_regional

        found = decide_regional(net, node_budget=budget, exact=exact, certificate=certificate)
    part = _Part(found.outcome, found.nodes, found.certified, found.witness, found.certificate, found.reason)
    return part, found.layer


def _named(kind: type[Any], value: Any, what: str) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise InputError(f"unknown {what} {value!r}; choose one of {', '.join(str(v) for v in kind)}") from None

"""Raised steps in trees of deep networks: accepted where they are right, rejected where they prove nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from naive.raised_proofs import inactive

from mcinj.certify import deep_ops as ops
from mcinj.certify import verify
from mcinj.certify.deep_checker import REGIONAL, write_deep
from mcinj.certify.deep_exact import ExactWalk
from mcinj.certify.deep_exact_bounds import Fault
from mcinj.certify.deep_proof import DeepProof, check
from mcinj.certify.deep_rows import PrefixRows
from mcinj.decide.check import check as decide
from mcinj.decide.deep.model import DeepModel
from mcinj.decide.deep.record import deep_proof
from mcinj.decide.deep.search import DeepSearch
from mcinj.decide.verdict import Outcome
from mcinj.networks import Network, Premise, sample


def proof_of(network, target=None, listing=False, **options):
    """The proof of a prefix's counts, or of its list of regions; None if it fails."""
    model = DeepModel.of(network)
    search = DeepSearch(model, target or model.n, enumerate_regions=listing, record=True, **options)
    if listing:
        for batch in search.batches(10**6):
            assert batch is not None
    elif search.decide(10**6) is not True:
        return None
    return deep_proof(search)


def biased(n, widths, seed):
    rng = np.random.default_rng(seed)
    weights = sample(n, widths, seed=seed).weights
    return Network(weights, [rng.standard_normal(m) / 2 for m in widths], premise=Premise.ASSUMED)


@pytest.fixture(scope="module")
def proofs():
    """(rows, proof, whether it is a list): leaves and facts, two and three layers, with biases, and one layer."""
    networks = [sample(3, (20, 24), seed=s) for s in range(4)]
    networks += [sample(4, (27, 33), seed=s) for s in range(2)]
    networks += [sample(2, (13, 14, 14), seed=s) for s in range(3)]
    networks += [biased(2, (20, 24), s) for s in range(3)]
    found = [(PrefixRows(n, n.depth), proof_of(n), False) for n in networks]
    found += [(PrefixRows(n, 2), proof_of(n, 6, listing=True), True) for n in networks[:3]]
    alone = sample(5, (33,), seed=1)
    found.append((PrefixRows(alone, 1), proof_of(alone), False))
    return [(rows, proof, listing) for rows, proof, listing in found if proof is not None]


def states(rows, proof, listing):
    """A walk in rationals before each raised step, the place of it, and its numbers."""
    walk = ExactWalk(rows, proof.stream, proof.target, proof.ranked, listing)
    place, found = 0, []
    while place >= 0:
        if proof.stream[place] & 15 == ops.RAISED:
            arg = int(proof.stream[place]) >> ops.SHIFT
            here = walk.here.copy()
            end = walk._raised(place + 1, arg)
            walk.here = here
            found.append((here.copy(), place, [int(v) for v in proof.stream[place + 1 : end]], arg))
        place = walk.step(place, prove=False)
    return walk, found


def judged(walk, here, step, arg):
    """Units inactive after a step in a state, as the checker says (None: it is rejected) and as the oracle says."""
    signs = here.signs[-1]
    off, on = (frozenset(j for j, s in enumerate(signs) if s == sign) for sign in (-1, 1))
    known = inactive(step, [(c, frozenset()) for c in here.sets], range(len(signs)), walk.target, off, on)
    stream = walk.stream
    try:
        walk.here, walk.stream = here.copy(), np.array(step, dtype=np.int64)
        if walk._raised(0, arg) != len(step):
            return None, known
        declared = (
            frozenset(j for j, s in enumerate(walk.here.signs[-1]) if s < 0) if arg else frozenset(range(len(signs)))
        )
        return declared, known
    except Fault:
        return None, known
    finally:
        walk.stream = stream


def numbers(step):
    """Groups (sets, steps), plain sets, and facts (None in a leaf) of the numbers of a raised step."""
    reader = iter(step)

    def some():
        return [next(reader) for _ in range(next(reader))]

    groups = [(some(), some()) for _ in range(next(reader))]
    plain = some()
    facts = next(reader)
    return groups, plain, None if facts == 0 else [next(reader) for _ in range(facts - 1)]


def written(groups, plain, facts):
    found = [len(groups)]
    for sets, chain in groups:
        found += [len(sets), *sets, len(chain), *chain]
    found += [len(plain), *plain]
    return [*found, 0] if facts is None else [*found, len(facts) + 1, *facts]


def test_proofs_are_accepted_and_right(proofs):
    leaves = facts = 0
    for rows, proof, listing in proofs:
        for exact in (False, True):
            assert isinstance(check(proof, rows, listing, exact), np.ndarray)
        walk, found = states(rows, proof, listing)
        for here, _, step, arg in found:
            declared, known = judged(walk, here, step, arg)
            assert declared is not None
            assert declared <= known
            assert written(*numbers(step)) == step
            leaves += arg == 0
            facts += arg == 1
    assert leaves > 40
    assert facts > 10


def test_mutations_are_accepted_only_if_they_are_proofs(proofs):
    rng = np.random.default_rng(1)
    tally = {"rejected": 0, "another proof": 0, "broken": 0}
    for rows, proof, listing in proofs:
        walk, found = states(rows, proof, listing)
        for i in rng.permutation(len(found))[:12]:
            here, _, step, arg = found[i]
            changes = [(step, 1 - arg)]
            for at, number in enumerate(step):
                changes += [(step[:at] + step[at + 1 :], arg), ([*step[:at], number, *step[at:]], arg)]
                others = {number + 1, number + 2, max(number - 1, 0), 0, 1, 2**30}
                others |= {int(v) for v in rng.integers(0, len(here.sets), 4)}
                changes += [([*step[:at], other, *step[at + 1 :]], arg) for other in others - {number}]
            for changed, kind in changes:
                declared, known = judged(walk, here, changed, kind)
                assert declared is None or (known is not None and declared <= known), (step, changed)
                tally["rejected"] += declared is None
                tally["another proof"] += declared is not None
                tally["broken"] += known is None
    assert tally["broken"] > 500
    assert tally["rejected"] > tally["another proof"]


def test_broken_arguments_are_rejected(proofs):
    """Each way in which a raised step can be wrong, wherever a step of the kind occurs; by the compiled check too."""
    refused = dict.fromkeys(range(9), 0)
    for rows, proof, listing in proofs:
        walk, found = states(rows, proof, listing)
        for here, place, step, arg in found[:40]:
            groups, plain, facts = numbers(step)
            broken = []
            for k, (sets, chain) in enumerate(groups):
                rest = groups[:k] + groups[k + 1 :]
                broken.append((0, [*groups, (sets, chain)], plain, facts))  # counted twice
                broken.append((1, [*rest, (sets, chain[:-1])], plain, facts))  # no contradiction
                broken.append((2, [*rest, (sets, [*chain, chain[-1]])], plain, facts))  # goes on after it
                if sets:
                    broken.append((3, groups, [*plain, sets[0]], facts))  # a set of a group once more
                    broken.append((4, [*rest, (sets[1:], chain)], plain, facts))  # a set is missing
                broken.append((5, rest, plain + sets, facts))  # one positive is missing
            if plain:
                broken.append((6, groups, plain[1:], facts))
                broken.append((7, groups, [*plain[1:], 10**6], facts))  # no such set
            if facts is not None:
                broken.append((8, groups, plain, None))  # a leaf that lacks one
            for n, (kind, *changed) in enumerate(broken):
                new = written(*changed)
                assert judged(walk, here, new, arg if kind != 8 else 0)[0] is None, kind
                refused[kind] += 1
                if n == place % len(broken):
                    head = [ops.RAISED + (0 if changed[2] is None else 16)]
                    stream = np.concatenate([proof.stream[:place], head, new, proof.stream[place + 1 + len(step) :]])
                    assert isinstance(check(replace(proof, stream=stream), rows, listing), str), kind
    assert min(refused.values()) >= 5, refused


def test_both_checks_agree_on_mutated_steps(proofs):
    rng = np.random.default_rng(2)
    accepted = 0
    for rows, proof, listing in proofs[::3]:
        _, found = states(rows, proof, listing)
        for i in rng.permutation(len(found))[:6]:
            _, place, step, _ = found[i]
            at = place + int(rng.integers(0, len(step) + 1))
            stream = proof.stream.copy()
            stream[at] = max(0, stream[at] + int(rng.choice([-16, -1, 1, 16])))
            results = [
                isinstance(check(replace(proof, stream=stream), rows, listing, exact), str) for exact in (False, True)
            ]
            assert results[0] == results[1]
            accepted += not results[0]
    assert accepted < 10


def test_facts_are_for_the_last_layer_and_steps_for_counts(proofs):
    rows, proof, _ = proofs[0]
    walk, found = states(rows, proof, False)
    here, place, step, _ = next(f for f in found if f[0].layer == 0 and f[3] == 0)
    groups, plain, _ = numbers(step)
    # One set less to be a fact: right by its meaning, but units have no rows before the last layer.
    new = written(groups[:-1], plain + groups[-1][0], [])
    declared, known = judged(walk, here, new, 1)
    assert known is not None
    assert declared is None
    for stream in (np.array([ops.RAISED, 0, 0, 0]), np.array([ops.RAISED + 16, 0, 0, 1])):
        for ranked in (False, True):
            for exact in (False, True):
                assert isinstance(check(DeepProof(2, 3, ranked, stream), rows, exact=exact), str)
    changed = proof.stream.copy()
    changed[place] = ops.RAISED + 32
    for exact in (False, True):
        assert "no such instruction" in check(replace(proof, stream=changed), rows, exact=exact)


def test_trees_without_raised_steps_are_as_ever():
    """What was written before there were raised steps: the same instructions, and no others."""
    for seed in range(3):
        network = sample(3, (20, 24), seed=seed)
        whole = [proof_of(network.prefix(k), raises=0) for k in (1, 2)]
        assert None not in whole
        raised = [proof_of(network.prefix(k)) for k in (1, 2)]
        assert len(raised[1].stream) < len(whole[1].stream)
        for proofs in (whole, raised):
            assert verify(write_deep(network, REGIONAL, proofs, Premise.DRAWN), network).accepted


@pytest.mark.parametrize("criterion", ["regional", "global"])
def test_threads_do_not_change_a_deep_certificate(criterion):
    passed = 0
    for seed in range(4):
        network = sample(3, (20, 24), seed=seed)
        one, three = (decide(network, criterion, certificate=True, jobs=jobs) for jobs in (1, 3))
        assert (one.verdict, one.nodes, one.certificate) == (three.verdict, three.nodes, three.certificate)
        if one.verdict is Outcome.INJECTIVE:
            assert verify(one.certificate, network).certified == "generic"
            passed += 1
    assert passed

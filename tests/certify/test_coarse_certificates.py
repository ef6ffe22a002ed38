"""Certificates by coarse cells: accepted as exact, true at points of cells, rejected where their meaning changes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import count, islice

import numpy as np
import pytest
from naive import verdicts
from naive.forward import pre_activations

import mcinj
from mcinj.certify import coarse_pairs as cp
from mcinj.certify import coarse_ranks as cr
from mcinj.certify import deep_ops as ops
from mcinj.certify import deep_state as ds
from mcinj.certify import verify
from mcinj.certify.coarse_proof import CoarseProof, StepsProof, check_tree
from mcinj.certify.deep_rows import PrefixRows
from mcinj.certify.format import DEEP_VERSION, pack, unpack
from mcinj.certify.varints import decode, encode
from mcinj.decide.verdict import Outcome
from mcinj.networks import Network, sample

REGIONAL, GLOBAL = [4, 1], [5, 1]


def integers(seed, n=2, widths=(12, 12), top=3, biases=False):
    rng = np.random.default_rng([seed, n, *widths])
    weights = [rng.integers(-top, top + 1, (m, k)) for k, m in zip((n, *widths), widths)]
    return Network(weights, [rng.integers(-2, 3, m) for m in widths] if biases else None)


def with_biases(seed):
    rng = np.random.default_rng(seed)
    network = sample(2, (16, 18), seed=seed)
    return Network(network.weights, [rng.standard_normal(m) for m in network.widths])


def mostly_positive(seed):
    """Bounds decide units of later layers on large cells."""
    rng = np.random.default_rng(seed)
    weights, size = [rng.standard_normal((12, 2))], 12
    for m in (8, 10):
        w = rng.standard_normal((m, size))
        weights.append(np.abs(w) * np.where(rng.random(w.shape) < 0.1, -1, 1))
        size = m
    return Network(weights)


def parallel(seed):
    """Most patterns of parallel units are cells without an interior: floats cannot tell that they are empty."""
    rng = np.random.default_rng(seed)
    directions = rng.standard_normal((3, 4))
    first = np.vstack([(basis := rng.integers(-3, 4, (2, 2)) + 5 * np.eye(2, dtype=int)), -basis])
    second = np.vstack([directions, 2.0 * directions, 3.0 * directions, -directions])
    return Network([first, second, rng.standard_normal((14, len(second)))])


FAMILIES = {
    "parallel units": parallel,
    "gaussian": lambda s: Network(sample(2, (13, 16), seed=s).weights),
    "gaussian, three inputs": lambda s: Network(sample(3, (20, 24), seed=s).weights),
    "three layers": lambda s: Network(sample(2, (13, 14, 14), seed=s).weights),
    "biases": with_biases,
    "mostly positive": mostly_positive,
    "small integers": lambda s: integers(s, 2, (14, 15), 5),
}


def parts_of(certificate):
    return [decode(part) for part in unpack(certificate)[2]]


def sealed(network, parts):
    return pack(network, DEEP_VERSION, [encode(np.asarray(part, dtype=np.int64)) for part in parts])


def accepted(network, parts, exact=False):
    return verify(sealed(network, parts), network, exact).accepted


def passing(family, criterion):
    """The first network of a family with a pass by coarse cells, and the parts of its certificate."""
    head = REGIONAL if criterion == "regional" else GLOBAL
    for network in map(FAMILIES[family], islice(count(), 60)):
        certificate = mcinj.check(network, criterion, certificate=True).certificate
        if certificate is None or unpack(certificate)[0] != DEEP_VERSION:
            continue
        parts = parts_of(certificate)
        if parts[0].tolist() == head:
            return network, parts
    raise AssertionError(family)


@pytest.fixture(scope="module")
def given():
    return passing("gaussian", "global")


@pytest.mark.parametrize("criterion", ["regional", "global"])
@pytest.mark.parametrize("family", FAMILIES)
def test_passes_are_certified(family, criterion):
    network, parts = passing(family, criterion)
    for exact in (False, True):
        found = verify(sealed(network, parts), network, exact)
        assert (found.accepted, found.certified, found.criterion) == (True, "exact", criterion), found.reason


def places(numbers, rows):
    """Where the instructions of a tree begin, by a walk in rational arithmetic."""
    from mcinj.certify.deep_exact import ExactWalk

    walk, found, place = ExactWalk(rows, numbers, rows.n, True, False, coarse=True), [], 0
    while place >= 0:
        found.append(place)
        place = walk.step(place, prove=True)
    return found, walk


@pytest.mark.parametrize("family", ["gaussian", "three layers", "biases", "mostly positive"])
def test_floats_and_rationals_see_the_same_cells_and_these_hold_at_points(family):
    network, parts = passing(family, "global")
    rows, proof = PrefixRows(network, network.depth), CoarseProof.from_numbers(parts[1])
    one, two = (check_tree(proof, rows, exact).t for exact in (False, True))
    assert np.array_equal(one.STATE, two.STATE)
    assert np.array_equal(one.MARK, two.MARK)
    assert np.array_equal(one.KID, two.KID)
    assert np.array_equal(one.KIND, two.KIND)
    rng = np.random.default_rng(0)
    biased, seen = rows.biased, 0
    leaves = set()
    for x in 3 * rng.standard_normal((300, network.n)):
        levels = pre_activations(network, [Fraction(float(v)) for v in x])
        hidden = [v for layer in levels[:-1] for v in (*layer, *([Fraction(1)] if biased else []))]
        holds = [
            all(not (s > 0 and v < 0) and not (s < 0 and v > 0) for s, v in zip(state, hidden, strict=True))
            for state in one.STATE.tolist()
        ]
        # Some leaf has no sign that is wrong here: the tree covers all inputs.
        here = [c for c in np.flatnonzero(holds) if one.KIND[c] != ds.DIVIDED]
        assert here
        if len(here) > 1:
            continue
        leaves.add(int(here[0]))
        for mark, v in zip(one.MARK[here[0]].tolist(), levels[-1], strict=True):
            assert not (mark & ds.ABOVE and v <= 0)
            assert not (mark & ds.BELOW and v > 0)
            seen += mark != 0
    assert leaves
    assert seen > 20


def test_ranks_modulo_a_prime_are_those_over_the_rationals(given):
    network, parts = given
    cells = check_tree(CoarseProof.from_numbers(parts[1]), PrefixRows(network, 2), False)
    rng = np.random.default_rng(0)
    found = set()
    for _ in range(400):
        a, b = (int(v) for v in rng.integers(0, len(cells.t.KIND), 2))
        for form in (cr.DIFFERENCES, cr.BOTH):
            said = _closed(cells.t, a, b, form)
            assert said == cells._pair_closed(a, b, form)
            found.add((form, said))
        assert _rank(cells.t, a) == cells._ranked(a)
    assert len(found) == 4


def _closed(t, a, b, form):
    """One pair that claims to be closed by a rank, and nothing else."""
    t = t._replace(MARK=t.MARK & ds.ABOVE, KIND=np.zeros_like(t.KIND))  # marks close nothing
    si = cp.new_state()
    stack, left = np.zeros((8, 2), dtype=np.int64), np.zeros((8, 2), dtype=np.int64)
    stack[0] = a, b
    return cp.pairs(t, np.array([form], dtype=np.int8), stack, left, si) == cp.DONE


def _rank(t, a):
    kind = np.full_like(t.KIND, ds.DIVIDED)
    kind[a] = ds.WHOLE
    return cp.ranks(t._replace(MARK=t.MARK & ds.ABOVE, KIND=kind), 12, np.zeros(8, dtype=np.int64)) == cp.DONE


def test_where_the_prime_divides_weights_ranks_are_judged_over_the_rationals():
    # All residues of the last layer vanish: no rank is proved modulo the prime.
    network, parts = passing("small integers", "global")
    scaled = Network(
        [network.weights[0], [[Fraction(v) * (2**31 - 1) for v in row] for row in network.exact_weights[1]]]
    )
    residues = PrefixRows(scaled, 2).residues
    assert residues is not None
    assert not residues[1].any()
    assert accepted(scaled, parts)
    rank = mcinj.check(network, "regional", certificate=True).certificate
    assert accepted(scaled, parts_of(rank))


def test_a_colliding_relative_has_no_certificate():
    """With one row of the last layer turned round the proof of the passing network does not do."""
    done = 0
    for seed in count():
        network = Network(sample(2, (11, 13), seed=seed).weights)
        certificate = mcinj.check(network, certificate=True).certificate
        if certificate is None or parts_of(certificate)[0].tolist() != GLOBAL:
            continue
        parts = parts_of(certificate)
        for j in range(13):
            other = network.weights[1].copy()
            other[j] *= -1
            relative = Network([network.weights[0], other])
            if not verdicts.passes_global(relative.exact_weights, None):
                assert not accepted(relative, parts)
                assert not accepted(relative, parts, exact=True)
                done += 1
        if done > 5:
            break


def test_changed_trees_are_rejected(given):
    network, parts = given
    stream = parts[1][2:]
    found, _ = places(stream, PrefixRows(network, 2))

    def holds(changed):
        return accepted(network, [parts[0], np.concatenate([parts[1][:2], changed]), *parts[2:]])

    assert holds(stream)
    for place in found:
        op, arg = int(stream[place]) & 15, int(stream[place]) >> ops.SHIFT
        changed = stream.copy()
        if op == ops.IMPLY:
            changed[place] = ops.IMPLY + ((arg ^ 1) << ops.SHIFT)  # the other sign
        elif op == ops.MARK:
            changed[place] = ops.MARK + ((arg ^ 2) << ops.SHIFT)  # nowhere positive for positive, and back
        elif op == ops.LEAF:
            # Counted or ranked away, without a cell: its pairs would not be looked at.
            for number in (ops.COUNTED, ops.RANKED, ops.REGION, ops.RANKS):
                changed[place] = number
                assert not holds(changed)
        elif op == ops.BRANCH:
            changed[place] = ops.LEAF
        else:
            continue
        assert not holds(changed)
    for length in range(0, len(stream), 7):
        assert not holds(stream[:length])
    assert not holds(np.append(stream, 0))


def test_changed_steps_are_rejected(given):
    network, parts = given
    proof = StepsProof.from_numbers(parts[2])
    assert np.array_equal(decode(proof.to_bytes()), parts[2])

    def holds(steps):
        return accepted(network, [*parts[:2], decode(replace(proof, steps=steps).to_bytes()), parts[3]])

    assert holds(proof.steps)
    for i, step in enumerate(proof.steps.tolist()):
        for other in range(5):
            changed = proof.steps.copy()
            changed[i] = other
            if other != step and step in (cp.FIRST, cp.SECOND) and other in (cp.BY_DIFFERENCES, cp.BY_BOTH):
                assert not holds(changed)  # what the search divided is not closed by a rank
            if other == cp.JOINT and other != step:
                assert not holds(changed)
    assert not holds(proof.steps[:-1])
    assert not holds(np.append(proof.steps, 0).astype(np.int8))
    packed = parts[2].copy()
    packed[1] += 1  # one step more than there are: it is 0 in the file
    assert not accepted(network, [*parts[:2], packed, parts[3]])
    packed = parts[2].copy()
    packed[-1] = 5**12
    assert not accepted(network, [*parts[:2], packed, parts[3]])


def test_other_parts_are_rejected(given):
    network, parts = given
    for wrong in (
        [REGIONAL, *parts[1:]],
        [[3, 1], *parts[1:]],
        [[6, 1], *parts[1:]],
        parts[:3],
        [*parts, parts[3]],
        [parts[0], parts[2], parts[1], parts[3]],
        [parts[0], np.concatenate([[5, 3], parts[1][2:]]), *parts[2:]],
        [*parts[:3], np.concatenate([parts[3], [0]])],
    ):
        assert not accepted(network, wrong)
    # The tree of a global proof has cells of which rank alone is not shown, or all; then it is a proof of rank.
    alone = [REGIONAL, parts[1]]
    assert accepted(network, alone) == accepted(network, alone, exact=True)


def test_noise_is_rejected_without_a_crash(given):
    network, parts = given
    other, more = passing("biases", "global")
    rng = np.random.default_rng(0)
    for base, whole in ((network, parts), (other, more)):
        for _ in range(150):
            changed = [part.copy() for part in whole]
            part = changed[int(rng.integers(1, 4))]
            place = rng.integers(0, len(part), int(rng.integers(1, 4)))
            part[place] = rng.integers(0, [3, 40, 1000, 2**35][int(rng.integers(4))], len(place))
            found = verify(sealed(base, changed), base)
            assert found.accepted or found.reason
            if found.accepted:
                assert accepted(base, changed, exact=True)


def test_pairs_of_complete_cells_are_proved_in_the_file():
    """Small integers: ranks of some pairs do not do, so that complete cells are left over."""
    for seed in count():
        network = integers(seed, 2, (12, 11), 2)
        verdict = mcinj.check(network, certificate=True)
        if verdict.verdict is not Outcome.INJECTIVE or unpack(verdict.certificate)[0] != DEEP_VERSION:
            continue
        parts = parts_of(verdict.certificate)
        if parts[0].tolist() == GLOBAL and len(parts[3]) > 2:
            break
    assert accepted(network, parts, exact=True)
    for k in range(2, len(parts[3])):
        less = [*parts[:3], np.delete(parts[3], k)]
        assert not accepted(network, less)

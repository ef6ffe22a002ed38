"""Certificates of deep passes: all kinds are accepted, in floats and exactly; what changes the meaning is rejected."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from fractions import Fraction
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from mcinj.certify import deep_ops as ops
from mcinj.certify import deep_state, enclosure, verify
from mcinj.certify.deep_checker import GLOBAL, REGIONAL, write_deep
from mcinj.certify.deep_pairs import PairsProof, check_pairs
from mcinj.certify.deep_proof import DeepProof, check
from mcinj.certify.deep_rows import PrefixRows
from mcinj.certify.format import DEEP_VERSION, MalformedError, pack, unpack
from mcinj.certify.position import network_relation
from mcinj.certify.varints import decode, encode
from mcinj.decide.check import check as decide
from mcinj.decide.deep.model import DeepModel
from mcinj.decide.deep.record import deep_proof
from mcinj.decide.deep.search import DeepSearch
from mcinj.decide.verdict import Outcome
from mcinj.networks import Network, Premise

# Ranked trees and pairs of closed cells: what is written where coarse cells do not do.
pytestmark = pytest.mark.usefixtures("without_coarse_cells")


def gaussian(n, widths, seed, biases=False):
    rng = np.random.default_rng([seed, n, *widths])
    weights = [rng.standard_normal((m, a)) for m, a in zip(widths, (n, *widths))]
    offsets = [rng.standard_normal(m) for m in widths] if biases else None
    return Network(weights, offsets, premise=Premise.DRAWN)


def integral(seed, halves, n=2):
    """Every row and its opposite: often dependent, always active."""
    rng = np.random.default_rng(seed)
    weights, before = [], n
    for m in halves:
        rows = rng.integers(-4, 5, (m, before))
        weights.append(np.vstack([rows, -rows]))
        before = 2 * m
    return Network(weights)


def rational(seed):
    rng = np.random.default_rng(seed)

    def layer(m, a):
        return [[Fraction(int(p), int(q)) for p, q in rng.integers(1, 9, (a, 2))] for _ in range(m)]

    flip = np.random.default_rng(seed).choice([-1, 1], (40, 14))
    return Network([[[int(s) * v for s, v in zip(f, row)] for f, row in zip(flip, layer(m, a))]
                    for m, a in ((14, 2), (20, 14))])  # fmt: skip


def scaled(seed):
    network = gaussian(2, (13, 16), seed)
    rng = np.random.default_rng(seed)
    scales = [np.exp(rng.uniform(-300, 300, (len(w), 1))) for w in network.weights]
    return Network([w * s for w, s in zip(network.weights, scales)], premise=Premise.ASSUMED)


def single(seed):
    return Network([w.astype(np.float32).astype(float) for w in gaussian(2, (13, 18), seed).weights])


def first_pass(make, criterion="regional"):
    """The first network of the family that passes, and the certificate."""
    for seed in count():
        network = make(seed)
        verdict = decide(network, criterion, certificate=True, node_budget=100_000)
        if verdict.verdict is Outcome.INJECTIVE:
            return network, verdict.certificate
        assert verdict.certificate is None
        assert seed < 100
    raise AssertionError


REGIONAL_PASSES = {
    "two layers": (lambda s: gaussian(3, (20, 25), s), "generic"),
    "two layers, law unknown": (lambda s: gaussian(2, (13, 16), s).with_premise(None), "exact"),
    "linear last layer": (lambda s: gaussian(2, (13, 8), s).with_linear_last_layer(), "generic"),
    "three layers": (lambda s: gaussian(2, (13, 14, 14), s), "generic"),
    "four layers": (lambda s: gaussian(2, (13, 14, 15, 16), s), "generic"),
    "biases": (lambda s: gaussian(2, (20, 24), s, True), "generic"),
    "biases, three layers": (lambda s: gaussian(2, (20, 24, 26), s, True), "generic"),
    "opposite rows": (lambda s: Network([np.vstack([b, -b]) for b in gaussian(2, (5, 10, 3), s).weights[:1]]
                                        + [np.vstack([c, -c]) for c in gaussian(10, (7,), s).weights]), "exact"),
    "large and small": (scaled, "generic"),
    "integers": (lambda s: integral(s, (5, 6)), "exact"),
    "integers, three layers": (lambda s: integral(s, (4, 5, 6)), "exact"),
    "float32": (single, "exact"),
    "rationals": (rational, "exact"),
}  # fmt: skip

GLOBAL_PASSES = {
    "two layers": lambda s: gaussian(3, (20, 14), s),
    "plane": lambda s: gaussian(2, (13, 9), s),
    "three layers": lambda s: gaussian(2, (13, 14, 14), s),
    "biases": lambda s: gaussian(2, (22, 14), s, True),
}


@pytest.fixture(scope="module", params=list(REGIONAL_PASSES))
def regional(request):
    return *first_pass(REGIONAL_PASSES[request.param][0]), REGIONAL_PASSES[request.param][1]


@pytest.fixture(scope="module")
def passing():
    return first_pass(REGIONAL_PASSES["two layers"][0])


@pytest.fixture(scope="module", params=list(GLOBAL_PASSES))
def globally(request):
    return first_pass(GLOBAL_PASSES[request.param], "global")


def numbers_of(certificate):
    return [decode(part) for part in unpack(certificate)[2]]


def sealed(network, parts):
    return pack(network, DEEP_VERSION, [encode(np.asarray(part, dtype=np.int64)) for part in parts])


def starts(rows, stream):
    """Where the instructions of a right proof start: by a walk in rationals, which only goes on behind whole ones."""
    from mcinj.certify.deep_exact import ExactWalk

    walk = ExactWalk(rows, stream, 10**6, True, True)
    walk.target = 0
    places, place = [], 0
    while place >= 0:
        places.append(place)
        walk.ranked = stream[place] & 15 == ops.RANKED
        place = walk.step(place, prove=False)
    return places


def test_regional_passes_are_accepted(regional):
    network, certificate, grade = regional
    for exact in (False, True):
        result = verify(certificate, network, exact)
        # A sound proof that takes something for granted is none where an exact one is asked for.
        accepted = grade == "exact" or not exact
        assert (result.accepted, result.certified, result.criterion) == (accepted, grade, "regional"), result
        assert (result.assumption is None) == (grade == "exact")


def test_global_passes_are_accepted(globally):
    network, certificate = globally
    for exact in (False, True):
        result = verify(certificate, network, exact)
        assert (result.accepted, result.certified, result.criterion) == (not exact, "generic", "global"), result
        assert result.assumption == Premise.DRAWN


def test_a_global_pass_by_injective_layers_is_a_layerwise_certificate():
    rng = np.random.default_rng(0)
    b = rng.integers(-3, 4, (4, 2))
    c = np.vstack([np.eye(8, dtype=int), rng.integers(-2, 3, (1, 8))])
    network = Network([np.vstack([b, -b]), np.vstack([c, -c])])
    verdict = decide(network, "global", certificate=True)
    result = verify(verdict.certificate, network)
    assert (result.accepted, result.certified, result.criterion) == (True, "exact", "layerwise")


def test_exact_arithmetic_decides_what_floats_leave_open(monkeypatch):
    """Rows blurred so much that floats prove next to nothing: every kind of instruction is then proved exactly."""
    new_walk = deep_state.new_walk
    asked = set()

    def blurred(*arguments):
        walk = new_walk(*arguments)
        walk.WE[:] = 1e-2
        walk.ERR[0] = 1e-2
        return walk

    from mcinj.certify import deep_proof as module

    ask = module._ask

    def counted(judge, walk):
        asked.add(int(judge.stream[int(walk.gi[deep_state.PLACE])]) & 15)
        return ask(judge, walk)

    monkeypatch.setattr(deep_state, "new_walk", blurred)
    monkeypatch.setattr(module, "_ask", counted)
    for name in ("two layers", "four layers", "biases"):
        network, certificate = first_pass(REGIONAL_PASSES[name][0])
        assert verify(certificate, network).accepted
        for k, numbers in enumerate(numbers_of(certificate)[1:], 1):
            proof = DeepProof.from_numbers(numbers)
            if proof.stream.size > 1:
                assert isinstance(check(replace(proof, stream=proof.stream[:-1]), PrefixRows(network, k)), str)
    assert asked >= {ops.NEXT, ops.DECIDE, ops.BOUNDS, ops.SINGLE, ops.SET}


def test_other_networks_are_rejected(passing):
    network, certificate = passing
    first, second = network.weights
    changed = second.copy()
    changed[3, 2] = np.nextafter(changed[3, 2], 9)
    assert "another network" in verify(certificate, Network([first, changed])).reason
    assert not verify(certificate, network.prefix(1)).accepted
    # With the digest of the other network, the numbers must tell.
    parts = unpack(certificate)[2]
    rng = np.random.default_rng(1)
    for _ in range(10):
        other = Network([first, rng.permutation(second)])
        assert not verify(pack(other, DEEP_VERSION, parts), other).accepted
    assert not verify(pack(network, DEEP_VERSION, parts[:-1]), network).accepted
    assert not verify(pack(network, DEEP_VERSION, [*parts, parts[-1]]), network).accepted
    assert not verify(pack(network, DEEP_VERSION, [parts[0], parts[2], parts[1]]), network).accepted
    assert not verify(pack(network, DEEP_VERSION, []), network).accepted


def test_no_old_tree_proves_a_failing_network():
    """A unit of a passing network changes until it fails: from then on its tree must be rejected, both ways."""
    network, certificate = first_pass(lambda s: gaussian(2, (9, 8), s))
    parts = unpack(certificate)[2]
    first, second = network.weights
    failing = 0
    for i in range(len(second)):
        changed = second.copy()
        changed[i] = -np.abs(changed[i])  # never active
        other = Network([first, changed])
        moved = pack(other, DEEP_VERSION, parts)
        if decide(other, "regional").verdict is Outcome.NOT_INJECTIVE:
            failing += 1
            assert not verify(moved, other).accepted
            assert not verify(moved, other, exact=True).accepted
    assert failing > 0


def test_fewer_active_units_do_not_pass_for_n():
    """The right proof that every region of a failing network has n - 1 active units."""
    for seed in count():
        network = gaussian(3, (20, 14), seed)
        if decide(network, "regional").verdict is Outcome.NOT_INJECTIVE:
            search = DeepSearch(DeepModel.of(network), 2, record=True)
            if search.decide(10_000) is True:
                break
    proof = deep_proof(search)
    rows = PrefixRows(network, 2)
    assert isinstance(check(proof, rows), np.ndarray)
    for exact in (False, True):
        assert isinstance(check(replace(proof, target=3), rows, exact=exact), str)


def test_counts_are_no_proof_for_degenerate_weights():
    network = single(0)
    doubled = Network([network.weights[0], np.vstack([network.weights[1], 2 * network.weights[1][:1]])])
    proofs = []
    for k in (1, 2):
        search = DeepSearch(DeepModel.of(doubled.prefix(k)), 2, record=True)
        assert search.decide(10_000) is True
        proofs.append(deep_proof(search))
        assert isinstance(check(proofs[-1], PrefixRows(doubled, k)), np.ndarray)  # the counts are right
    assert "parallel" in verify(write_deep(doubled, REGIONAL, proofs, Premise.ASSUMED), doubled).reason
    assert "does not name" in verify(write_deep(doubled, REGIONAL, proofs, None), doubled).reason


def test_counts_that_name_no_premise_are_refused():
    """Files of before premises were named: ranks still count, counts do not."""
    network, certificate = first_pass(REGIONAL_PASSES["two layers"][0])
    parts = numbers_of(certificate)
    assert verify(sealed(network, parts), network).accepted
    for head in ([1], [1, 0], [1, 1], [1, 4], [1, 2, 2]):
        assert not verify(sealed(network, [head, *parts[1:]]), network).accepted
    network, certificate = first_pass(REGIONAL_PASSES["integers"][0])
    parts = numbers_of(certificate)
    assert verify(sealed(network, [[1], *parts[1:]]), network).certified == "exact"


def test_opposite_rows_are_generic_only_with_opposite_biases():
    """Otherwise both may be active, and two active units are no two independent rows."""
    rows = np.random.default_rng(0).standard_normal((14, 2))
    weights, biases = np.vstack([rows, -rows]), np.random.default_rng(1).standard_normal(14)
    opposite = Network([weights], [np.concatenate([biases, -biases])])
    other = Network([weights], [np.concatenate([biases, biases])])
    assert network_relation(opposite) is None
    assert network_relation(other) == "two rows are parallel"
    assert "layer 1" in str(network_relation(Network([*opposite.weights, np.ones((3, 28))])))
    search = DeepSearch(DeepModel.of(other), 2, record=True)
    assert search.decide(10_000) is True  # two active units everywhere
    assert "parallel" in verify(write_deep(other, REGIONAL, [deep_proof(search)], Premise.DRAWN), other).reason


def test_every_instruction_matters(regional):
    """Without any one instruction, or with a leaf that names a set less, the proof falls apart."""
    network, certificate, _ = regional
    proof = DeepProof.from_numbers(numbers_of(certificate)[-1])
    rows = PrefixRows(network, network.depth)
    places = starts(rows, proof.stream)
    rng = np.random.default_rng(2)
    chosen = places if len(places) < 60 else [places[i] for i in rng.choice(len(places), 60, replace=False)]
    harmless = 0
    for place in chosen:
        end = min((p for p in places if p > place), default=len(proof.stream))
        rest = np.concatenate([proof.stream[:place], proof.stream[end:]])
        fault = check(replace(proof, stream=rest), rows)
        if not isinstance(fault, str):
            # A claim that nothing rests on may be left out; nothing else.
            assert proof.stream[place] & 15 in (ops.DECIDE, ops.POSITIVE, ops.BOUNDS)
            assert isinstance(check(replace(proof, stream=rest), rows, exact=True), np.ndarray)
            harmless += 1
        if proof.stream[place] & 15 == ops.COUNTED and proof.stream[place] >> 4:
            less = np.delete(proof.stream, place + 1)
            less[place] -= 16
            assert isinstance(check(replace(proof, stream=less), rows), str)
            if proof.stream[place] >> 4 > 1:
                twice = proof.stream.copy()
                twice[place + 1] = twice[place + 2]
                result = check(replace(proof, stream=twice), rows)
                assert isinstance(result, str)
    assert harmless < len(chosen) / 2


def test_wrong_claims_are_rejected(passing):
    """Opposite signs, sets of other units, rows beyond the path, units that do not exist."""
    seen = set()
    for network, certificate in (passing, first_pass(GLOBAL_PASSES["plane"], "global")):
        seen |= _wrong_claims(DeepProof.from_numbers(numbers_of(certificate)[2]), PrefixRows(network, 2))
    assert seen >= set(range(ops.REGION + 1)) - {ops.POSITIVE, ops.RANKED}


def _wrong_claims(proof, rows):
    stream, listing, seen = proof.stream, proof.target > rows.n, set()
    assert isinstance(check(proof, rows, listing), np.ndarray)
    for place in starts(rows, stream):
        op = int(stream[place]) & 15
        seen.add(op)
        changes = {
            ops.BRANCH: [(place, 1000 << 4)],
            ops.BASIS: [(place + 1, 10**6), (place + 1, int(stream[place + 2]))],
            ops.DECIDE: [(place, int(stream[place]) ^ 16), (place, ops.DECIDE + (2000 << 4))],
            ops.SINGLE: [(place, ops.SINGLE + (1000 << 4))],
            ops.SET: [(place, ops.SET), (place, ops.SET + (10**6 << 4)), (place + 1, 10**8), (place + 1, 10**8 + 1)],
            ops.COUNTED: [(place, ops.COUNTED + (10**7 << 4))],
        }.get(op, [])
        if op == ops.COUNTED and stream[place] >> 4:
            changes.append((place + 1, 10**6))
        changes += [(place, 11), (place, 2**34)]
        for at, value in changes[:4]:
            changed = stream.copy()
            changed[at] = value
            assert isinstance(check(replace(proof, stream=changed), rows, listing), str), (op, at - place, value)
    return seen


@settings(max_examples=150)
@given(data=some.data())
def test_floats_and_rationals_agree_on_every_mutation(data):
    """One number of a proof changes, goes or comes: both checks accept what is left, or both reject it."""
    name = data.draw(some.sampled_from(["plane", "three layers", "biases", "integers"]))
    _, proof, rows = _mutable(name)
    stream = proof.stream
    at = data.draw(some.integers(0, len(stream) - 1))
    kind = data.draw(some.sampled_from(["set", "near", "bit", "drop", "insert", "swap"]))
    if kind == "set":
        stream = stream.copy()
        stream[at] = data.draw(some.integers(0, 2 ** data.draw(some.integers(1, 35)) - 1))
    elif kind == "near":
        stream = stream.copy()
        stream[at] = max(0, stream[at] + data.draw(some.sampled_from([-32, -16, -2, -1, 1, 2, 16, 32])))
    elif kind == "bit":
        stream = stream.copy()
        stream[at] ^= 1 << data.draw(some.integers(0, 27))
    elif kind == "drop":
        stream = np.delete(stream, at)
    elif kind == "insert":
        stream = np.insert(stream, at, data.draw(some.integers(0, 2**12)))
    else:
        other = data.draw(some.integers(0, len(stream) - 1))
        stream = stream.copy()
        stream[[at, other]] = stream[[other, at]]
    changed = replace(proof, stream=stream)
    assert isinstance(check(changed, rows), str) == isinstance(check(changed, rows, exact=True), str)


@settings(max_examples=60)
@given(data=some.data())
def test_floats_and_rationals_agree_on_mutated_pairs(data):
    """One number of a proof about pairs changes, goes or comes: both checks accept what is left, or both reject it."""
    if "pairs" not in _MUTABLE:
        network, certificate = first_pass(GLOBAL_PASSES["two layers"], "global")
        parts, rows = numbers_of(certificate), PrefixRows(network, 2)
        listed = check(DeepProof.from_numbers(parts[2]), rows, listing=True)
        _MUTABLE["pairs"] = parts[-1][2:], rows, listed
    stream, rows, listed = _MUTABLE["pairs"]
    at = data.draw(some.integers(0, len(stream) - 1))
    kind = data.draw(some.sampled_from(["near", "bit", "drop", "insert"]))
    if kind == "drop":
        stream = np.delete(stream, at)
    elif kind == "insert":
        stream = np.insert(stream, at, data.draw(some.integers(0, 63)))
    else:
        stream = stream.copy()
        if kind == "near":
            stream[at] = max(0, stream[at] + data.draw(some.sampled_from([-2, -1, 1, 2])))
        else:
            stream[at] ^= 1 << data.draw(some.integers(0, 31))

    def accepted(exact):
        try:
            return check_pairs(PairsProof(2, stream), rows, listed, exact) is None
        except MalformedError:
            return False

    assert accepted(False) == accepted(True)


_MUTABLE = {}


def _mutable(name):
    if name not in _MUTABLE:
        make = {"plane": lambda s: gaussian(2, (9, 8), s)}.get(name) or REGIONAL_PASSES[name][0]
        network, certificate = first_pass(make)
        proof = DeepProof.from_numbers(numbers_of(certificate)[-1])
        _MUTABLE[name] = network, proof, PrefixRows(network, network.depth)
    return _MUTABLE[name]


def test_truncation_and_changed_bytes_never_crash(passing):
    network, certificate = passing
    for k in range(0, len(certificate), 7):
        assert not verify(certificate[:k], network).accepted
    rng = np.random.default_rng(0)
    for _ in range(300):
        changed = bytearray(certificate[:-32])
        for _ in range(int(rng.integers(1, 4))):
            changed[int(rng.integers(8, len(changed)))] = int(rng.integers(256))
        data = bytes(changed) + hashlib.sha256(changed).digest()
        if verify(data, network).accepted:  # a slope or a bound that does as well
            assert verify(data, network, exact=True).certified == verify(data, network).certified
    other = certificate[:6] + b"09" + certificate[8:]
    assert "version" in verify(other, network).reason


def test_bombs_are_rejected():
    network = gaussian(2, (13, 16), 0)
    first = DeepProof(1, 2, False, np.array([ops.COUNTED]))
    streams = [
        np.zeros(0), np.full(100_000, ops.BRANCH), np.full(100_000, ops.NEXT), np.full(100_000, ops.BASIS),
        np.arange(100_000) << 4, np.full(1000, 2**35 - 1), np.array([ops.COUNTED + (2**30 << 4)]),
        np.concatenate([np.arange(13) << 4, [ops.NEXT], np.arange(16) << 4, np.full(50_000, ops.RANKED)]),
        np.array([ops.BRANCH, *np.tile([ops.SET + (2 << 4), 0, 1], 50_000)]),
        np.array([ops.BRANCH, *np.tile([ops.BASIS, 0, 0, ops.BOUNDS, 0, 0], 20_000)]),
    ]  # fmt: skip
    for stream in streams:
        for k in (1, 2):
            proof = DeepProof(k, 2, False, stream.astype(np.int64))
            assert isinstance(check(proof, PrefixRows(network, k), listing=True), str)
            assert isinstance(check(proof, PrefixRows(network, k), exact=True), str)
    assert not verify(write_deep(network, REGIONAL, [first, first], Premise.DRAWN), network).accepted
    assert not verify(sealed(network, [[1, 2], [2], [2, 2]]), network).accepted
    assert not verify(sealed(network, [[3, 1], first.stream, first.stream]), network).accepted
    assert not verify(sealed(network, [[0, 2], [1, 1], [0] * 9]), network).accepted


def test_many_small_sets_are_checked_without_replaying_the_proof():
    """A right proof with 3,000 sets that floats do not decide: the walk in rationals takes over."""
    network, _ = first_pass(lambda s: integral(s, (5, 6)))
    search = DeepSearch(DeepModel.of(network.prefix(1)), 2, ranked=True, record=True)
    assert search.decide(10_000) is True
    proof = deep_proof(search)
    rows = PrefixRows(network, 1)
    # The root's branch unit has an exact opposite: below it the two are a set of two rows after a second branch.
    weights = network.weights[0]
    pairs = [(i, j) for i in range(len(weights)) for j in range(i) if np.array_equal(weights[i], -weights[j])]
    assert pairs
    assert isinstance(check(proof, rows), np.ndarray)
    i, j = pairs[0]
    # Negative i, negative j: a contradiction of two rows, 3,000 times.
    sets = [ops.SET + (2 << 4), 0, 2] * 3_000
    stream = np.array([ops.BRANCH + (i << 4), ops.BRANCH + (j << 4), *sets, ops.COUNTED + (1 << 4), 0])
    cut = check(replace(proof, stream=stream), rows)
    assert cut == deep_state.REASONS[deep_state.CUT]  # everything before the end was right


def test_regional_proofs_do_not_pass_for_global(passing, globally):
    network, certificate = passing
    parts = numbers_of(certificate)
    assert not verify(sealed(network, [[2, 2], *parts[1:]]), network).accepted
    assert not verify(sealed(network, [[2, 2], *parts[1:], [3, 2]]), network).accepted
    network, certificate = globally
    parts = numbers_of(certificate)
    assert not verify(sealed(network, [[1, 2], *parts[1:]]), network).accepted
    assert not verify(sealed(network, [[1, 2], *parts[1 : 1 + network.depth]]), network).accepted


def test_a_colliding_network_has_no_certificate_of_its_pairs():
    """Its regions are listed by a right proof; for its pairs the search's own bounds and circuits do not do."""
    for seed in count():
        network = gaussian(2, (14, 12), seed)
        if (
            decide(network, "regional").verdict is Outcome.INJECTIVE
            and decide(network, "global").verdict is Outcome.NOT_INJECTIVE
        ):
            break
    first = DeepSearch(DeepModel.of(network.prefix(1)), 2, record=True)
    first.decide(10_000)
    search = DeepSearch(DeepModel.of(network), 4, enumerate_regions=True, record=True)
    regions = sum(len(batch.signs) for batch in search.batches(100_000) if batch is not None)
    proof = deep_proof(search)
    rows = PrefixRows(network, 2)
    listed = check(proof, rows, listing=True)
    assert len(listed) == regions > 1
    assert "listed" in check(proof, rows) or isinstance(check(proof, rows), str)  # nothing may be listed
    empty = PairsProof(2, np.zeros(regions, dtype=np.int64))
    assert not verify(write_deep(network, GLOBAL, [deep_proof(first), proof, empty], Premise.DRAWN), network).accepted
    for size in range(6):
        numbers = np.concatenate([np.zeros(regions), [size], np.arange(size)]).astype(np.int64)
        certificate = write_deep(network, GLOBAL, [deep_proof(first), proof, PairsProof(2, numbers)], Premise.DRAWN)
        for exact in (False, True):
            assert not verify(certificate, network, exact).accepted


def test_changed_pairs_are_rejected():
    network, certificate = first_pass(GLOBAL_PASSES["two layers"], "global")
    parts = numbers_of(certificate)
    proof, rows = DeepProof.from_numbers(parts[2]), PrefixRows(network, 2)
    listed = check(proof, rows, listing=True)
    stream = parts[-1][2:]
    boxes, circuits = _split(stream, len(listed), network.n)
    assert boxes
    assert circuits
    rng = np.random.default_rng(0)
    boxes = [boxes[i] for i in rng.choice(len(boxes), min(len(boxes), 20), replace=False)]

    def accepted(stream, exact=False):
        try:
            return check_pairs(PairsProof(2, stream), rows, listed, exact) is None
        except MalformedError:
            return False

    assert accepted(stream)
    assert not accepted(stream[:-1])
    assert not accepted(np.append(stream, 0))
    # Bounds that claim more: far above or below what is proved.
    for place, code in boxes:
        for value in (np.float32(-4.0 if code & 1 else 4.0), np.float32(np.nan), np.float32(np.inf)):
            changed = stream.copy()
            changed[place + 1] = int(value.view(np.uint32))
            assert not accepted(changed)
    for place, size in circuits[:10]:
        changed = stream.copy()
        changed[place + 1] ^= 1  # the other region's unit
        assert accepted(changed) == accepted(changed, exact=True)
        changed[place + 1] = 10**6
        assert not accepted(changed)
        less = np.delete(stream, place + 1)
        less[place] -= 1
        assert accepted(less) == accepted(less, exact=True)
        without = np.delete(stream, slice(place, place + size + 1))
        assert not accepted(without)
    # A region that is not listed any more.
    for place in starts(rows, proof.stream):
        if proof.stream[place] & 15 == ops.REGION:
            changed = proof.stream.copy()
            changed[place] = ops.COUNTED
            assert isinstance(check(replace(proof, stream=changed), rows, listing=True), str)
            break


def _split(stream, regions, g):
    """Places of bounds (with their codes) and of circuits (with their sizes)."""
    place, bounds, circuits = 0, [], []
    for _ in range(regions):
        bases = stream[place]
        place += 1
        for _ in range(bases):
            some_bounds = stream[place + g]
            place += g + 1
            for _ in range(some_bounds):
                bounds.append((place, int(stream[place])))
                place += 2
    while place < len(stream):
        circuits.append((place, int(stream[place])))
        place += 1 + int(stream[place])
    return bounds, circuits


@given(seed=some.integers(0, 10**6), size=some.integers(1, 6), blur=some.sampled_from([0.0, 1e-12, 1e-4]))
def test_enclosed_coefficients_hold_the_exact_ones(seed, size, blur):
    """For rows anywhere within their errors the exact coefficients lie within the bounds."""
    import flint

    rng = np.random.default_rng(seed)
    exact = rng.standard_normal((size + 1, size))
    if size > 1 and seed % 3 == 0:
        exact[1] = exact[0] + 1e-7 * exact[1]  # nearly dependent
    b = np.ascontiguousarray(exact[:size] + blur * rng.uniform(-1, 1, (size, size)))
    a = exact[size] + blur * rng.uniform(-1, 1, size)
    r, delta, y, bound = np.zeros((size, size)), np.zeros(size), np.zeros(size), np.zeros(size)
    be = np.full(size, blur * (1 + 1e-6))
    if not enclosure.invert(b, r, np.zeros((size, 2 * size))) or not enclosure.spread(b, be, r, delta):
        return
    if not enclosure.coefficients(b, be, r, delta, a, blur * (1 + 1e-6), y, bound):
        return
    rows = [[flint.fmpq(*float(v).as_integer_ratio()) for v in row] for row in exact]
    true = (flint.fmpq_mat([rows[size]]) * flint.fmpq_mat(rows[:size]).inv()).entries()
    for k, value in enumerate(true):
        assert abs(Fraction(int(value.p), int(value.q)) - Fraction(float(y[k]))) <= Fraction(float(bound[k]))


def test_listed_regions_are_those_of_an_enumeration():
    """Every region with fewer than 2n active units of layer 2, found by cutting the circle, is in the list."""
    network, certificate = first_pass(GLOBAL_PASSES["plane"], "global")
    listed = check(DeepProof.from_numbers(numbers_of(certificate)[2]), PrefixRows(network, 2), listing=True)
    first, second = network.weights
    angles = np.linspace(0, 2 * np.pi, 200_001)
    x = np.array([np.cos(angles), np.sin(angles)])
    z = first @ x
    y = second @ np.maximum(z, 0)
    few = (y > 0).sum(axis=0) < 4
    signs = np.where(np.vstack([z, y]) > 0, 1, -1)[:, few].T
    assert few.any()
    assert {tuple(s) for s in signs} <= {tuple(s) for s in listed.tolist()}

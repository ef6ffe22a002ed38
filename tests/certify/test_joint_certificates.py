"""Certificates of global passes for any weights: accepted as exact; whatever changes their meaning is rejected."""

from __future__ import annotations

from itertools import count, islice

import flint
import numpy as np
import pytest

import mcinj
from mcinj.certify import verify
from mcinj.certify.deep_checker import JOINT, write_deep
from mcinj.certify.deep_proof import DeepProof, check
from mcinj.certify.deep_rows import PrefixRows
from mcinj.certify.format import DEEP_VERSION, pack, unpack
from mcinj.certify.joint_cells import ABOVE, BELOW, WEAK, ClosedCells
from mcinj.certify.joint_proof import JointProof
from mcinj.certify.rational import is_circuit
from mcinj.certify.varints import decode, encode
from mcinj.decide.deep.model import DeepModel
from mcinj.decide.deep.record import deep_proof
from mcinj.decide.deep.search import DeepSearch
from mcinj.decide.joint import record as joint_record
from mcinj.decide.joint.record import joint_proof
from mcinj.decide.verdict import Outcome
from mcinj.networks import Network, sample


def float32(seed, n=2, widths=(13, 14)):
    return Network([w.astype(np.float32).astype(np.float64) for w in sample(n, widths, seed=seed).weights])


def integers(seed, n=2, widths=(12, 12), top=3, biases=False):
    rng = np.random.default_rng([seed, n, *widths])
    weights = [rng.integers(-top, top + 1, (m, k)) for k, m in zip((n, *widths), widths)]
    return Network(weights, [rng.integers(-2, 3, m) for m in widths] if biases else None)


def last_biased(seed):
    network = integers(seed, 2, (11, 12, 12), 3)
    return Network(network.weights, [np.zeros(11), np.zeros(12), np.arange(12) - 6])


FAMILIES = {
    "float32": float32,
    "small integers": integers,
    "integers with biases": lambda s: integers(s, 1, (6, 7), 3, biases=True),
    "plane with biases": lambda s: integers(s, 2, (14, 14), 5, biases=True),
    "biases of the last layer only": lambda s: last_biased(s),
    "three layers": lambda s: integers(s, 2, (11, 12, 12), 3),
    "signs": lambda s: sample(2, (14, 14), "rademacher", s),
}


def passing(family):
    """The first network of a family that passes without every layer being injective, and its certificate."""
    for network in map(FAMILIES[family], count()):
        if mcinj.check(network).verdict is Outcome.INJECTIVE:
            certificate = mcinj.check(network, certificate=True).certificate
            if unpack(certificate)[0] == DEEP_VERSION:
                break
    return network, certificate


def parts_of(certificate):
    return [decode(part) for part in unpack(certificate)[2]]


def sealed(network, parts):
    return pack(network, DEEP_VERSION, [encode(np.asarray(part, dtype=np.int64)) for part in parts])


def accepted(network, parts):
    return verify(sealed(network, parts), network).accepted


# Certificates the way they are made where coarse cells do not do.
pytestmark = pytest.mark.usefixtures("without_coarse_cells")


@pytest.fixture(scope="module")
def given():
    """Its proof branches and has circuits of two to four rows."""
    network = integers(3, 2, (12, 9), 2)
    return network, parts_of(mcinj.check(network, certificate=True).certificate)


@pytest.mark.parametrize("family", FAMILIES)
def test_passes_are_certified(family):
    network, certificate = passing(family)
    for exact in (False, True):
        verification = verify(certificate, network, exact)
        assert (verification.accepted, verification.certified) == (True, "exact"), verification.reason
        assert verification.criterion == "global"


def test_exact_on_request_has_a_certificate():
    network = sample(2, (13, 16), seed=1)
    verdict = mcinj.check(network, exact=True, certificate=True)
    assert (verdict.verdict, verdict.certified) == (Outcome.INJECTIVE, "exact")
    assert verify(verdict.certificate, network).certified == "exact"


def test_claims_hold_on_the_cells(given):
    """At points of the cells, found by drawing inputs, claimed signs are those of the units."""
    network, parts = given
    rows = PrefixRows(network, 2)
    listed = check(DeepProof.from_numbers(parts[2]), PrefixRows(network, 1), listing=True)
    cells = ClosedCells(rows, listed)
    proof = joint_proof(cells, 2)
    assert np.array_equal(proof.stream, parts[3][2:])
    first, second = network.weights
    angles = np.linspace(0.0, 2 * np.pi, 20_001)
    z = first @ np.array([np.cos(angles), np.sin(angles)])
    y = second @ np.maximum(z, 0.0)
    index = {tuple(s): c for c, s in enumerate(listed.tolist())}
    # Every cell is listed: the drawn inputs lie in no other.
    at = np.array([index[tuple(s)] for s in np.where(z > 0, 1, -1).T.tolist()])
    assert set(at.tolist()) == set(range(len(listed)))
    kinds = cells.kinds[at].T
    assert {ABOVE, BELOW} <= set(kinds.ravel().tolist())
    assert (y[kinds == ABOVE] > 0).all()
    assert (y[kinds == BELOW] <= 0).all()


def relatives():
    """Passing networks, and the same without some of their last rows: failing, but with rank n on every region."""
    for seed in count():
        network = float32(seed, widths=(13, 15))
        if mcinj.check(network).verdict is not Outcome.INJECTIVE:
            continue
        for m in range(14, 7, -1):
            other = Network([network.weights[0], network.weights[1][:m]])
            if mcinj.check(other).verdict is Outcome.NOT_INJECTIVE:
                if mcinj.check(other, "regional").verdict is Outcome.INJECTIVE:
                    yield network, other
                break


def test_circuits_are_those_of_linear_algebra():
    for rows, expected in (
        ([[1], [-2]], True),
        ([[1], [2]], False),  # opposite signs
        ([[0, 0]], True),  # a row that vanishes
        ([[1, 0]], False),
        ([[1, 0], [0, 1], [-3, -5]], True),
        ([[1, 0], [0, 1], [-3, 5]], False),
        ([[1, 0], [0, 1], [-3, 0]], False),  # a coefficient is 0
        ([[1, 0], [-1, 0], [0, 1], [0, -1]], False),  # two dependences
        ([[1, 0], [-1, 0], [-1, 0]], False),
    ):
        assert is_circuit(flint.fmpz_mat(rows)) == expected


def test_signs_are_claimed_by_rows_that_prove_them():
    """On the quadrant x, y >= 0 units x + y, x, -x, x - y and 0."""
    network = Network([np.eye(2), np.array([[1, 1], [1, 0], [-1, 0], [1, -1], [0, 0]])])
    cells = ClosedCells(PrefixRows(network, 2), np.array([[1, 1]], dtype=np.int8))
    proofs = [[], [0], [1], [0, 1]]
    right = {
        (0, ABOVE): [[0, 1]],
        (0, WEAK): [[0, 1]],
        (1, WEAK): [[0]],
        (2, BELOW): [[0]],
        (4, BELOW): [[]],
        (4, WEAK): [[]],
    }
    for unit in range(5):
        for kind in (BELOW, WEAK, ABOVE):
            holds = [rows for rows in proofs if cells.claim_holds(0, unit, kind, rows)]
            assert holds == right.get((unit, kind), [])
    assert not cells.claim_holds(0, 1, WEAK, [3])  # by itself


def test_a_colliding_relative_has_no_certificate():
    """Its ranks and cells have right proofs; its pairs have none, and that of the passing network does not do."""
    for network, other in islice(relatives(), 3):
        certificate = mcinj.check(network, certificate=True).certificate
        if unpack(certificate)[0] != DEEP_VERSION:
            continue
        parts = parts_of(certificate)
        assert accepted(network, parts)
        assert not accepted(other, parts)
        ranks = DeepSearch(DeepModel.of(other), 2, ranked=True, record=True)
        assert ranks.decide(10**6) is True
        cells = DeepProof.from_numbers(parts[2])
        listed = check(cells, PrefixRows(other, 1), listing=True)
        for pairs in (parts[3][2:], np.zeros(5_000, dtype=np.int64)):
            verification = verify(write_deep(other, JOINT, [deep_proof(ranks), cells, JointProof(2, pairs)]), other)
            assert not verification.accepted
            assert verification.reason.startswith("pairs: ")
        # Claims that hold, and then leaves without a word for all pairs.
        claims = cells_claims(ClosedCells(PrefixRows(other, 2), listed))
        stream = np.array([*claims, *[0] * 5_000], dtype=np.int64)
        verification = verify(write_deep(other, JOINT, [deep_proof(ranks), cells, JointProof(2, stream)]), other)
        assert "two cells are not shown" in verification.reason
        with pytest.raises(RuntimeError, match="collision"):
            joint_proof(ClosedCells(PrefixRows(other, 2), listed), 2)


def cells_claims(cells):
    return [v for c in range(len(cells.signs)) for v in joint_record._claims(cells, c)]


def layout(cells, stream):
    """Places of the claims' heads, and per tree its start and the places of circuits' first codes."""
    place, claims = 0, []
    for _ in range(cells):
        number = int(stream[place])
        place += 1
        for _ in range(number):
            claims.append(place)
            place += 2 + int(stream[place + 1])
    trees = []
    while place < len(stream):
        start, codes, open_nodes = place, [], 1
        while open_nodes:
            value = int(stream[place])
            place += 1
            if value & 1:
                open_nodes += 1
                continue
            open_nodes -= 1
            for _ in range(value >> 1):
                codes.append(place + 1)
                place += 1 + int(stream[place])
        trees.append((start, place, codes))
    return claims, trees


def test_changed_proofs_are_rejected(given):
    network, parts = given
    listed = check(DeepProof.from_numbers(parts[2]), PrefixRows(network, 1), listing=True)
    stream = parts[3]
    claims, trees = layout(len(listed), stream[2:])
    circuits = [place for _, _, codes in trees for place in codes]
    assert len(circuits) > 40
    assert any(stream[start + 2] & 1 for start, _, _ in trees)

    def holds(changed):
        return accepted(network, [*parts[:3], changed])

    assert holds(stream)
    for start, end, codes in trees[:40]:
        if codes:  # not closed by its equations alone: then dropping it may shift nothing that matters
            assert not holds(np.delete(stream, slice(start + 2, end + 2)))
    for place in circuits[:40]:
        changed = stream.copy()
        changed[place + 2] = 10**6  # no such row
        assert not holds(changed)
        size = int(stream[place + 1])
        if size > 1:
            less = np.delete(stream, place + 2)
            less[place + 1] -= 1
            assert not holds(less)
    for place in claims[::7]:
        changed = stream.copy()
        unit, kind = divmod(int(stream[place + 2]), 3)
        changed[place + 2] = 3 * unit + (0 if kind else 2)  # nowhere positive for positive, and back
        assert not holds(changed)
    weak = [place for place in claims if stream[place + 2] % 3 == 1 and stream[place + 3] < network.n]
    assert weak
    for place in weak:
        changed = stream.copy()
        changed[place + 2] += 1  # positive but at 0, by rows that may all vanish elsewhere
        assert not holds(changed)
    for length in range(0, len(stream), 37):
        assert not holds(stream[:length])
    assert not holds(np.append(stream, 0))
    assert not holds(np.concatenate([[4, 3], stream[2:]]))


def test_parts_of_other_proofs_are_rejected(given):
    network, parts = given
    head, ranks, cells, pairs = parts
    assert not accepted(network, [[1], ranks, cells, pairs])
    assert not accepted(network, [[2], ranks, cells, pairs])
    assert not accepted(network, [head, ranks, cells])
    assert not accepted(network, [head, cells, cells, pairs])
    assert not accepted(network, [head, ranks, ranks, pairs])
    # A list for fewer active units than there are leaves regions out.
    few = DeepSearch(DeepModel.of(network.prefix(1)), 7, enumerate_regions=True, record=True)
    list(few.batches(10**6))
    fewer = deep_proof(few)
    assert not accepted(network, [head, ranks, decode(fewer.to_bytes()), pairs])
    # Ranks that are only counted.
    counted = ranks.copy()
    counted[3] = 0
    assert not accepted(network, [head, counted, cells, pairs])


def test_noise_is_rejected_without_a_crash(given):
    network, parts = given
    rng = np.random.default_rng(0)
    for _ in range(200):
        changed = [part.copy() for part in parts]
        part = changed[int(rng.integers(1, 4))]
        place = rng.integers(0, len(part), int(rng.integers(1, 4)))
        part[place] = rng.integers(0, [3, 40, 1000, 2**35][int(rng.integers(4))], len(place))
        verification = verify(sealed(network, changed), network)
        assert verification.accepted or verification.reason
        noise = rng.integers(0, 30, int(rng.integers(0, 400)))
        assert not accepted(network, [*parts[:3], np.concatenate([[4, 2], noise])])


def test_a_contact_in_one_point_is_not_certified():
    """x ↦ (|x| twice, and what separates the signs): with the separating unit dropped, x and -x collide."""
    first = np.array([[1], [-1]])
    whole = Network([first, np.array([[1, 0], [0, 1], [1, 1]])])
    verdict = mcinj.check(whole, certificate=True)
    assert verify(verdict.certificate, whole).accepted
    folded = Network([first, np.array([[1, 1], [2, 2]])])
    assert mcinj.check(folded, certificate=True).certificate is None
    listed = np.array([[1, -1], [-1, 1]], dtype=np.int8)
    with pytest.raises(RuntimeError, match="collision"):
        joint_proof(ClosedCells(PrefixRows(folded, 2), listed), 2)

"""Certificates: every pass is accepted by the checker, every mutation is rejected."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from mcinj.certify import verify
from mcinj.certify.circuits import Rows
from mcinj.certify.format import MAGIC, LayerProof, join, read, write
from mcinj.certify.varints import decode, encode
from mcinj.certify.walk import PRIMES
from mcinj.decide.layer.fields import DONE
from mcinj.decide.layer.frames import Frames
from mcinj.decide.layer.model import Layer
from mcinj.decide.layer.record import layer_proof
from mcinj.decide.layer.tree import decide_one_layer
from mcinj.decide.verdict import Outcome
from mcinj.errors import InputError
from mcinj.networks import Network, Premise


def proved(weights, biases=None, premise=None, **options):
    """A network and the certificate of its pass."""
    network = Network([weights], None if biases is None else [biases], premise=premise)
    decision = decide_one_layer(network, certificate=True, **options)
    assert decision.outcome is Outcome.INJECTIVE
    return network, decision.certificate


def gaussian(n, m, seed=0):
    return np.random.default_rng([n, m, seed]).standard_normal((m, n))


@pytest.fixture(scope="module")
def generic():
    return proved(gaussian(8, 54, 1), premise=Premise.DRAWN)


@pytest.fixture(scope="module")
def plain():
    """Counts without raised steps, whose mutations are in test_raised_certificate.py."""
    network = Network([gaussian(8, 54, 1)], premise=Premise.DRAWN)
    frames = Frames(Layer.of(network), ranked=False, keep=True, raises=0)
    assert frames.run(10**6) == DONE
    return network, write(network, [layer_proof(frames, Premise.DRAWN)])


@pytest.fixture(scope="module")
def ranked():
    return proved(gaussian(4, 28, 2), exact=True)


@pytest.fixture(scope="module")
def integral():
    rng = np.random.default_rng(5)
    b = rng.integers(-2, 3, (16, 4))
    return proved(np.vstack([b, -b, rng.integers(-1, 2, (6, 4))]))


def reseal(data):
    """A changed body with a right checksum, so that the check itself must find the fault."""
    return data[:-32] + hashlib.sha256(data[:-32]).digest()


def test_passes_of_all_kinds_are_accepted():
    rng = np.random.default_rng(1)
    b = rng.standard_normal((3, 3))
    cases = [
        (proved(np.vstack([b, -b])), "exact"),
        (proved([[1.0], [-2.0]]), "exact"),
        (proved(gaussian(8, 58), premise=Premise.ASSUMED), "generic"),
        (proved(gaussian(8, 58)), "exact"),
        (proved(gaussian(5, 36), exact=True), "exact"),
        (proved(gaussian(8, 64), rng.standard_normal(64), Premise.DRAWN), "generic"),
        (proved(gaussian(3, 30), rng.standard_normal(30), exact=True), "exact"),
        (proved(np.where(rng.random((60, 3)) < 0.5, rng.standard_normal((60, 3)), 0.0)), "exact"),
        (proved(gaussian(4, 32).astype(np.float32)), "exact"),
        (proved(gaussian(8, 60) * np.exp(rng.uniform(-400, 400, (60, 1))), premise=Premise.ASSUMED), "generic"),
        (proved([[Fraction(p, 3), Fraction(q, 7)] for p, q in ((1, 1), (-1, 2), (0, -1), (5, -1), (1, 1), (-5, -1))]),
         "exact"),
    ]
    for (network, certificate), kind in cases:
        for exact in (False, True):
            result = verify(certificate, network, exact=exact)
            assert (result.accepted, result.certified) == (kind == "exact" or not exact, kind), result
            assert (result.assumption is None) == (kind == "exact")


def test_other_weights_are_rejected(generic):
    network, certificate = generic
    changed = network.weights[0].copy()
    changed[3, 2] = np.nextafter(changed[3, 2], 9)
    assert not verify(certificate, Network([changed])).accepted
    assert "another network" in verify(certificate, Network([changed])).reason
    assert not verify(certificate, Network([network.weights[0][:-1]])).accepted


def test_truncation_at_every_length_is_rejected(ranked):
    network, certificate = ranked
    for k in range(len(certificate)):
        assert not verify(certificate[:k], network).accepted
    assert not verify(certificate + b"\0", network).accepted


def test_every_single_bit_is_guarded(ranked):
    network, certificate = ranked
    for k in range(0, len(certificate), 3):
        changed = bytearray(certificate)
        changed[k] ^= 1 << (k % 8)
        assert not verify(bytes(changed), network).accepted


def test_other_versions_and_other_files_are_rejected(generic):
    network, certificate = generic
    assert not verify(reseal(MAGIC + b"02" + certificate[8:]), network).accepted
    assert not verify(reseal(MAGIC + b"01" + certificate[8:]), network).accepted  # it has raised steps
    other = reseal(MAGIC + b"04" + certificate[8:])
    assert "version" in verify(other, network).reason
    assert not verify(b"", network).accepted
    assert not verify(b"PK\x03\x04" + certificate, network).accepted


@pytest.mark.parametrize("kind", ["plain", "ranked", "integral"])
def test_mutations_of_the_proof_are_rejected(kind, request):
    """Each mutated proof is written with a right checksum and the right digest."""
    network, certificate = request.getfixturevalue(kind)
    _, (proof,) = read(certificate)
    assert verify(write(network, [proof]), network).accepted

    def rejected(**changes):
        return not verify(write(network, [replace(proof, **changes)]), network).accepted

    start = np.concatenate([[0], np.cumsum(proof.sizes)])
    rng = np.random.default_rng(0)
    # Another unit in a circuit: the set is dependent, but hardly ever positively so.
    truth = Rows(network)
    for _ in range(60):
        rows = proof.rows.copy()
        c = int(rng.integers(proof.sizes.size))
        part = slice(start[c], start[c + 1])
        choice = np.sort(rng.choice(np.arange(2, 2 * truth.m + 2), proof.sizes[c], replace=False))
        if truth.is_circuit(choice):
            continue
        rows[part] = choice
        assert rejected(rows=rows)
    # A circuit without one of its rows.
    for c in range(proof.sizes.size):
        if proof.sizes[c] > 2:
            sizes = proof.sizes.copy()
            sizes[c] -= 1
            assert rejected(sizes=sizes, rows=np.delete(proof.rows, start[c]))
    # Every token of the tree: missing, a leaf instead of a branch or the reverse, out of range.
    heads, place = set(), 0
    while place < proof.tree.size:
        heads.add(place)
        place += 1 if proof.tree[place] % 2 else 1 + proof.tree[place] // 2
    for place in range(proof.tree.size):
        tree = proof.tree.copy()
        assert rejected(tree=np.delete(tree, place))
        if place in heads:  # another circuit may do as well; a branch is no leaf
            tree[place] ^= 1
            assert rejected(tree=tree)
        tree[place] = 2**30
        assert rejected(tree=tree)
    # A missing branch: the positive child's subtree is dropped, or the negative one's.
    assert rejected(tree=proof.tree[:-1])
    assert rejected(tree=np.concatenate([proof.tree, [0]]))
    assert rejected(tree=np.zeros(1, dtype=np.int64))
    assert rejected(tree=np.zeros(0, dtype=np.int64))
    # A circuit that no leaf uses.
    assert rejected(sizes=np.append(proof.sizes, 2), rows=np.append(proof.rows, [2, 4]))


def test_a_changed_sign_is_rejected():
    """A weight changes its sign in the network and in the digest: the circuits are no longer positive."""
    network, certificate = proved(gaussian(4, 30))
    _, proofs = read(certificate)
    changed = network.weights[0].copy()
    changed[int(proofs[0].rows[0]) // 2 - 1] *= -1
    other = Network([changed])
    assert not verify(write(other, proofs), other).accepted


def test_count_is_no_proof_for_degenerate_weights():
    """A right proof of counts, for weights where units repeat: it must not be accepted as a proof of rank."""
    rows = gaussian(8, 56, 4)
    network, certificate = proved(rows, premise=Premise.DRAWN)
    _, proofs = read(certificate)
    assert verify(write(network, proofs), network).certified == "generic"
    coarse = np.round(rows * 2.0**30)
    for relation, other in (
        ("parallel", np.vstack([rows, rows[:1]])),
        ("parallel", np.vstack([rows, -4 * rows[4:5]])),
        ("an entry is 0", np.where(np.arange(8) == 3, 0.0, rows)),
        ("columns are parallel", np.hstack([rows[:, :7], 2 * rows[:, :1]])),
        ("three rows", np.vstack([coarse, coarse[:1] + coarse[1:2]])),
    ):
        assert relation in verify(write(Network([other]), proofs), Network([other])).reason


def test_rank_proof_with_dependent_rows_is_rejected():
    """Two sets whose choices may be parallel prove two active units but not rank 2."""
    weights = np.array([[1.0, 0.0], [-1.0, 0.0], [2.0, 0.0], [-2.0, 0.0], [0.0, 1.0]])
    proof = LayerProof(None, np.array([2, 2]), np.array([2, 4, 6, 8]), np.array([4, 0, 1]))
    network = Network([weights])
    result = verify(write(network, [proof]), network)
    assert not result.accepted
    assert "dependent" in result.reason


@pytest.mark.parametrize("prime", [*PRIMES, 1])
def test_determinants_that_vanish_modulo_a_prime_by_chance_are_settled(prime):
    """One in 2^31 does: with hundreds of millions of choices that must not reject a certificate."""
    weights = np.array([[1.0, 0.0], [-1.0, 0.0], [3.0, prime], [-3.0, -prime], [5.0, 7.0]])
    proof = LayerProof(None, np.array([2, 2]), np.array([2, 4, 6, 8]), np.array([4, 0, 1]))
    network = Network([weights])
    assert verify(write(network, [proof]), network).certified == "exact"
    both = np.array([[1, 0], [-1, 0], [3, PRIMES[0] * PRIMES[1]], [-3, -PRIMES[0] * PRIMES[1]]], dtype=object)
    network = Network([both])
    assert not verify(write(network, [proof]), network).accepted  # never a pass that is not proved


def test_bombs_are_rejected_quickly():
    network = Network([gaussian(3, 30)])
    head = MAGIC + b"01" + bytes.fromhex(network.digest())

    def sealed(body):
        return head + body + hashlib.sha256(head + body).digest()

    many = (2**32 - 1).to_bytes(4, "little")
    assert not verify(sealed(many), network).accepted
    one = (1).to_bytes(4, "little")
    for numbers in ([1, 2**34, 2**34, 2**34], [0, 2**34, 0, 0], [1, 1, 2**34, 0, 2**34], [2, 0, 0, 0], [1]):
        part = encode(np.array(numbers))
        assert not verify(sealed(one + len(part).to_bytes(8, "little") + part), network).accepted
    assert not verify(sealed(one + (2**63).to_bytes(8, "little") + b"\x01"), network).accepted
    deep = np.array([3] * 100_000)
    assert not verify(write(network, [LayerProof(None, np.zeros(0, int), np.zeros(0, int), deep)]), network).accepted
    for tree in ([1, 2**34], [1, 0, 2**34], [1, 0, 0, 2**34], [1, 1, 0, 2**34], [1] * 1000, [1, 0, 0, 1] * 1000):
        steps = LayerProof(Premise.ASSUMED, np.zeros(0, int), np.zeros(0, int), np.array(tree), True)
        assert not verify(write(network, [steps]), network).accepted
    wide = np.array([2 * 10**9])
    assert not verify(write(network, [LayerProof(None, np.zeros(0, int), np.zeros(0, int), wide)]), network).accepted


def test_layers_join_into_one_certificate():
    rng = np.random.default_rng(3)
    network = Network([rng.standard_normal((14, 2)), rng.standard_normal((110, 14)) * 0 + 0])  # only a shape
    first = rng.standard_normal((6, 2))
    deep = Network([np.vstack([first, -first]), np.vstack([np.eye(12), -np.eye(12)])])
    parts = [decide_one_layer(deep.layer(k), certificate=True).certificate for k in (1, 2)]
    whole = join(deep, parts)
    assert verify(whole, deep).accepted
    assert not verify(parts[0], deep).accepted
    assert not verify(whole, network).accepted
    with pytest.raises(InputError, match="certificate 1"):
        join(deep, parts[::-1])


def test_varints_round_trip():
    values = np.array([0, 1, 127, 128, 16383, 16384, 2**35 - 1, 5])
    assert (decode(encode(values)) == values).all()
    for bad in (b"\x80", b"\x80\x00", b"\xff" * 6 + b"\x01"):
        with pytest.raises(ValueError):
            decode(bad)
    with pytest.raises(ValueError):
        encode(np.array([2**35]))

"""Raised steps of certificates: every pass is accepted, and no mutation that proves nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from naive.raised_proofs import proves_counts

from mcinj.certify import verify
from mcinj.certify.format import VERSION, LayerProof, join, read, unpack, write
from mcinj.decide.layer.fields import DONE
from mcinj.decide.layer.frames import Frames
from mcinj.decide.layer.model import Layer
from mcinj.decide.layer.record import layer_proof
from mcinj.decide.layer.tree import decide_one_layer
from mcinj.decide.verdict import Outcome
from mcinj.networks import Network, Premise


def gaussian(n, m, seed):
    return np.random.default_rng([n, m, seed]).standard_normal((m, n))


def counted(weights, biases=None, **options):
    """A network, and the proof of its counts that the search finds; None if a cell has fewer than n."""
    network = Network([weights], None if biases is None else [biases], premise=Premise.ASSUMED)
    frames = Frames(Layer.of(network), ranked=False, keep=True, **options)
    return network, layer_proof(frames, Premise.ASSUMED) if frames.run(10**6) == DONE else None


def circuits_of(proof):
    ends = np.cumsum(proof.sizes)
    found = []
    for end, k in zip(ends, proof.sizes, strict=True):
        codes = [int(v) for v in proof.rows[end - k : end]]
        # Unit 0, the half space of a layer with biases, is never active.
        low = frozenset(v // 2 for v in codes if not v % 2) - {0}
        found.append((low, frozenset(v // 2 for v in codes if v % 2)))
    return found


def raised_places(tree):
    """Every number of raised steps, as (place, what it is)."""
    found, place = [], 0
    while place < len(tree):
        head = int(tree[place])
        if head == 1:
            found.append((place, "head"))
            groups = int(tree[place + 1])
            found.append((place + 1, "groups"))
            place += 2
            parts = [name for _ in range(groups) for name in ("sets", "steps")] + ["plain", "facts"]
            for name in parts:
                count = int(tree[place])
                found.append((place, name))
                place += 1
                for _ in range(count - 1 if name == "facts" and count else count):
                    found.append((place, name + " circuit"))
                    place += 1
        else:
            place += 1 if head % 2 else 1 + head // 2
    return found


@pytest.fixture(scope="module")
def proofs():
    """Proofs with raised leaves and facts, with and without biases."""
    found = []
    for seed in range(24):
        n = 4 + seed % 3
        biases = np.random.default_rng(seed).standard_normal(6 * n) / 2 if seed % 4 == 0 else None
        network, proof = counted(gaussian(n, 6 * n, seed), biases)
        if proof is not None and proof.raised:
            found.append((network, proof))
    assert len(found) > 12
    kinds = {name for _, proof in found for _, name in raised_places(proof.tree)}
    assert {"groups", "sets circuit", "steps circuit", "plain circuit", "facts circuit"} <= kinds
    return found


def judged(network, proof, tree):
    """Whether the checker accepts the tree, whether it is a proof, whether an unused circuit is why not."""
    found = verify(write(network, [replace(proof, tree=tree)]), network)
    right = proves_counts([int(v) for v in tree], circuits_of(proof), range(1, network.widths[0] + 1), network.n)
    return found.accepted, right, "not used" in found.reason


def test_proofs_are_accepted_and_right(proofs):
    for network, proof in proofs:
        assert judged(network, proof, proof.tree) == (True, True, False)
        assert verify(write(network, [proof]), network, exact=True).certified == "generic"


def test_mutations_of_raised_steps_are_accepted_only_if_they_are_proofs(proofs):
    rng = np.random.default_rng(1)
    tally = {"rejected": 0, "another proof": 0, "broken": 0}
    for network, proof in proofs[::2]:
        for place, name in raised_places(proof.tree):
            tree = proof.tree
            number = int(tree[place])
            trees = [np.delete(tree, place), np.insert(tree, place, number)]
            others = {number + 1, number + 2, max(number - 1, 0), 0, 1, 2**30}
            if name.endswith("circuit"):
                others |= {int(v) for v in rng.integers(0, proof.sizes.size, 6)}
                if place + 1 < len(tree):
                    trees.append(np.concatenate([tree[:place], tree[place : place + 2][::-1], tree[place + 2 :]]))
            for other in others - {number}:
                changed = tree.copy()
                changed[place] = other
                trees.append(changed)
            for changed in trees:
                accepted, right, unused = judged(network, proof, changed)
                assert not accepted or right, (name, place)
                tally["rejected"] += not accepted
                tally["another proof"] += accepted
                tally["broken"] += not right and not unused
    assert tally["broken"] > 500
    assert tally["rejected"] > tally["another proof"]


def step(tree, place):
    """Groups, plain sets and facts of the raised step at a place, and the place behind it."""
    def numbers(at, less=0):
        end = at + 1 + max(int(tree[at]) - less, 0)
        return [int(v) for v in tree[at + 1 : end]], end

    count, at, groups = int(tree[place + 1]), place + 2, []
    for _ in range(count):
        sets, at = numbers(at)
        chain, at = numbers(at)
        groups.append((sets, chain))
    plain, at = numbers(at)
    has_facts = int(tree[at]) > 0
    facts, at = numbers(at, 1)
    return groups, plain, facts if has_facts else None, at


def written(groups, plain, facts):
    found = [1, len(groups)]
    for sets, chain in groups:
        found += [len(sets), *sets, len(chain), *chain]
    found += [len(plain), *plain]
    return [*found, 0] if facts is None else [*found, len(facts) + 1, *facts]


def test_broken_arguments_are_rejected(proofs):
    """Each way in which a raised step can be wrong, wherever a step of the kind occurs."""
    tally = dict.fromkeys(range(9), 0)
    refused = dict(tally)
    for network, proof in proofs:
        for place in [p for p, name in raised_places(proof.tree) if name == "head"]:
            groups, plain, facts, end = step(proof.tree, place)
            assert written(groups, plain, facts) == proof.tree[place:end].tolist()
            broken = []
            for k, (sets, chain) in enumerate(groups):
                rest = groups[:k] + groups[k + 1 :]
                broken.append((0, [*groups, (sets, chain)], plain, facts))  # counted twice
                broken.append((1, [*rest, (sets, chain[:-1])], plain, facts))  # no contradiction
                broken.append((2, [*rest, (sets, [*chain, chain[-1]])], plain, facts))  # goes on after it
                if len(sets) > 0:
                    broken.append((3, groups, [*plain, sets[0]], facts))  # a set of a group once more
                    broken.append((4, [*rest, (sets[1:], chain)], plain, facts))  # a set is missing
                    broken.append((5, rest, plain + sets, facts))  # one positive is missing
            if plain:
                broken.append((6, groups, plain[1:], facts))
                if facts is None:
                    broken.append((7, groups, plain[1:], []))  # facts where nothing follows
            if facts is not None:
                broken.append((8, groups, plain, None))  # a leaf that lacks one
            for kind, *changed in broken:
                tree = np.concatenate([proof.tree[:place], written(*changed), proof.tree[end:]])
                accepted, right, _ = judged(network, proof, tree)
                assert not accepted, kind
                tally[kind] += not right
                refused[kind] += 1
    assert min(refused.values()) >= 5, refused
    assert tally[2] == 0  # a circuit behind the contradiction proves no less, but says nothing
    del tally[2]
    assert min(tally.values()) >= 5, tally


def test_circuits_of_raised_steps_are_checked(proofs):
    """A raised step that leans on a set of rows that is no circuit."""
    for network, proof in proofs[:8]:
        starts = np.concatenate([[0], np.cumsum(proof.sizes)])
        for c in {int(proof.tree[p]) for p, name in raised_places(proof.tree) if name == "steps circuit"}:
            rows = proof.rows.copy()
            rows[starts[c + 1] - 1] ^= 1  # its last unit active instead of inactive, or the reverse
            assert not verify(write(network, [replace(proof, rows=rows)]), network).accepted


def test_raised_steps_belong_to_counts_in_files_of_version_03(proofs):
    network, proof = proofs[0]
    certificate = write(network, [proof])
    assert read(certificate)[1][0].raised
    assert not verify(write(network, [replace(proof, raised=False)]), network).accepted
    assert not verify(write(network, [replace(proof, premise=None)]), network).accepted
    assert "version" in verify(certificate[:6] + b"04" + certificate[8:], network).reason
    network, plain = counted(gaussian(4, 28, 2), raises=0)
    assert unpack(write(network, [plain]))[0] == VERSION
    assert verify(write(network, [plain]), network).accepted  # as it was before there were raised steps
    assert verify(write(network, [replace(plain, raised=True)]), network).accepted


def test_layers_with_raised_steps_join():
    """Plain and raised proofs in one certificate."""
    first = np.vstack([np.eye(8), -np.eye(8)])
    second = gaussian(16, 120, 0)
    network = Network([first, second], premise=Premise.ASSUMED)
    parts = [write(network.layer(1), [LayerProof(None, np.full(8, 2), _opposite(8), np.array([16, *range(8)]))])]
    assert verify(parts[0], network.layer(1)).accepted
    deep = Network([first, np.vstack([np.eye(16), -np.eye(16)])])
    parts.append(decide_one_layer(deep.layer(2), certificate=True).certificate)
    assert verify(join(deep, parts), deep).accepted


def _opposite(n):
    return np.array([v for i in range(n) for v in (2 * (i + 1), 2 * (i + 1 + n))])


@pytest.mark.parametrize("n", [8, 9])
def test_threads_give_the_same_raised_certificate(n):
    for seed in range(20):
        network = Network([gaussian(n, round(6.9 * n), seed)], premise=Premise.DRAWN)
        serial = decide_one_layer(network, certificate=True)
        shared = decide_one_layer(network, certificate=True, jobs=3)
        assert (serial.outcome, serial.nodes, serial.certificate) == (shared.outcome, shared.nodes, shared.certificate)
        if serial.outcome is Outcome.INJECTIVE:
            assert verify(serial.certificate, network).certified == "generic"

"""Damaged certificates: presented for their own network, and for failing ones that differ in one row.

Damage is done to the numbers of a proof, and checksum and digest are made right again: the checker has to judge the
proof itself. For the failing network no certificate exists, so accepting one as exact is a false acceptance. For its
own network a changed proof may still be one; then floats with bounds and rationals alone have to agree.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from naive import verdicts as naive
from structured.comparison import compile_all, limit

import mcinj
from mcinj import Network
from mcinj.certify import verify
from mcinj.certify.format import pack, unpack
from mcinj.certify.varints import decode, encode
from reliability.verdicts import Outcome

SECONDS = 30.0
PER_PROOF = 100  # damages of one proof for each of the two networks
Ints = np.ndarray
Rng = np.random.Generator


def certificates(first: int) -> Iterator[Outcome]:
    """Instances from number `first` on: one damaged proof, for one network."""
    compile_all()
    for k in range(first // (2 * PER_PROOF), 1 << 40):
        network, relative, criterion, certificate = _given(k)
        for j in range(2 * PER_PROOF):
            if k * 2 * PER_PROOF + j >= first:
                name = f"proof {k} ({criterion}, n = {network.n}, {network.widths}), damage {j}"
                rng = np.random.default_rng([16, k, j])
                yield _judged(certificate, relative if j % 2 else network, bool(j % 2), rng, name)


def _given(k: int) -> tuple[Network, Network, str, bytes]:
    """A network of small integers with an exact certificate, and one that fails and differs in one row."""
    rng = np.random.default_rng([17, k])
    criterion = ("global", "regional", "global", "global")[k % 4]
    deep = k % 4 in (0, 1)
    while True:
        n = 2 if deep else int(rng.choice([2, 3]))
        sizes = (n, int(rng.integers(5, 9)), int(rng.integers(5, 9))) if deep else (n, int(rng.integers(3 * n, 6 * n)))
        biased = not deep and n == 2 and rng.random() < 0.3
        weights = [rng.integers(-4, 5, (m, p)) for m, p in zip(sizes[1:], sizes)]
        biases = [rng.integers(-2, 3, m) for m in sizes[1:]] if biased else None
        network = Network(weights, biases)
        if not _passes(network, criterion):
            continue
        changed = [w.copy() for w in weights]
        for row in rng.permutation(len(changed[-1])):
            changed[-1][row] *= -1
            relative = Network(changed, biases)
            if not _passes(relative, criterion):
                break
        else:
            continue
        certificate = mcinj.check(network, criterion, certificate=True, exact=True, node_budget=100_000).certificate
        if certificate is not None:
            return network, relative, criterion, certificate


def _passes(network: Network, criterion: str) -> bool:
    weights, biases = network.exact_weights, network.exact_biases
    if network.depth == 1:
        return naive.passes_one_layer(weights[0], None if biases is None else biases[0])
    return naive.passes_regional(weights, biases) if criterion == "regional" else naive.passes_global(weights, biases)


def _damaged(numbers: Ints, rng: Rng) -> Ints:
    """One to three changes: a number a little or very different, left out, doubled, swapped, or a passage copied."""
    values = [int(v) for v in numbers]
    for _ in range(int(rng.integers(1, 4))):
        if not values:
            return np.array([0])
        i, j = (int(v) for v in rng.integers(len(values), size=2))
        kind = rng.integers(7)
        if kind == 0:
            values[i] = max(0, values[i] + int(rng.choice([-2, -1, 1, 2])))
        elif kind == 1:
            values[i] = int(rng.integers(64))
        elif kind == 2:
            del values[i]
        elif kind == 3:
            values.insert(i, values[j])
        elif kind == 4:
            values[i], values[j] = values[j], values[i]
        elif kind == 5:
            values[i : i + int(rng.integers(1, 6))] = values[j : j + int(rng.integers(1, 6))]
        else:
            values[i] = int(rng.integers(1 << int(rng.integers(1, 35))))
    return np.array(values, dtype=np.int64)


def _judged(certificate: bytes, network: Network, failing: bool, rng: Rng, name: str) -> Outcome:
    version, _, parts = unpack(certificate)
    streams = [bytes(part) for part in parts]
    if rng.random() < 0.98:  # now and then whole: the proof of one network for the other
        hit = int(rng.integers(len(streams)))
        streams[hit] = encode(_damaged(decode(streams[hit]), rng))
    data = pack(network, version, streams)
    try:
        with limit(SECONDS):
            found = verify(data, network)
            exactly = verify(data, network, exact=True) if found.accepted else None
    except TimeoutError:
        return Outcome("slow", name)
    except Exception as error:
        return Outcome("error", f"{name}: {type(error).__name__}: {error}")
    if not found.accepted:
        return Outcome("rejected")
    if failing and found.certified == "exact":
        return Outcome("false acceptance", name)
    if failing:
        return Outcome("accepted on a premise")
    assert exactly is not None
    if exactly.certified != found.certified:
        return Outcome("disagreement", f"{name}: {found.certified}, {exactly.certified}: {exactly.reason}")
    return Outcome("accepted: still a proof of its own network")

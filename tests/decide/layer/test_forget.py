"""A search that records forgets circuits that its proof does not name: the certificate is that of one that does not."""

from __future__ import annotations

import numpy as np
import pytest

import mcinj
from mcinj.certify import verify
from mcinj.decide.layer.frames import Frames


@pytest.mark.parametrize("ranked", [False, True])
@pytest.mark.parametrize("jobs", [1, 2])
def test_certificate_without_forgotten_circuits(monkeypatch: pytest.MonkeyPatch, ranked: bool, jobs: int) -> None:
    n = 11 if ranked else 13
    weights = np.random.default_rng(5).standard_normal((7 * n, n))
    network = mcinj.Network([weights])
    dropped = []
    forget = Frames._forget

    def counting(self: Frames) -> None:
        before = self.gi.copy()
        forget(self)
        dropped.append(int((before - self.gi).sum()))

    monkeypatch.setattr(Frames, "_forget", counting)
    short = mcinj.check(network, certificate=True, jobs=jobs, assume_generic=not ranked)
    monkeypatch.setattr(Frames, "_forget", lambda self: None)
    long = mcinj.check(network, certificate=True, jobs=jobs, assume_generic=not ranked)
    assert jobs > 1 or sum(dropped) > 100
    assert short.certificate is not None
    assert short.certificate == long.certificate
    assert verify(short.certificate, network)

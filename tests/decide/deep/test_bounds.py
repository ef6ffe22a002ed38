"""The linear bounds of hidden units hold on their cells, and the sharper ones save nodes."""

from __future__ import annotations

import numpy as np
import pytest

import mcinj
from mcinj.decide.deep import kernel as deep_kernel
from mcinj.decide.deep import store as ds
from mcinj.decide.deep.model import DeepModel
from mcinj.decide.deep.search import DeepSearch


def points_of(search: DeepSearch, frame: int, rng: np.random.Generator) -> np.ndarray:
    """Points of the frame's cell: from its center, straight on in random directions to just before the first wall."""
    st, g = search.st, search.model.g
    rows = st.G[st.PATHS[: int(st.FI[frame, ds.PATH])], :g]
    center = st.FX[frame, :g]
    found = []
    for _ in range(200):
        step = rng.standard_normal(g)
        speed = rows @ step
        reach = np.min(np.where(speed < 0, (rows @ center) / np.where(speed < 0, -speed, 1.0), np.inf))
        found.append(center + min(reach, 10.0) * rng.choice([0.5, 0.999]) * step)
    return np.array(found)


@pytest.mark.parametrize("widths", [(20, 24), (16, 18, 20)])
def test_upper_bounds_hold_at_random_points_of_their_cells(widths: tuple[int, ...]) -> None:
    rng = np.random.default_rng(2)
    seen = 0
    for seed in range(4):
        network = mcinj.sample(3, widths, seed=seed)
        search = DeepSearch(DeepModel.of(network), 3)
        st = search.st
        for limit in range(5, 120, 9):
            st.gi[ds.LIMIT] = limit
            if deep_kernel.advance(st) != ds.PAUSED:
                break
            for frame in range(1, int(st.gi[ds.DEPTH])):
                p = int(st.FI[frame, ds.LAYER])
                if p == len(widths) - 1:
                    continue
                for x in points_of(search, frame, rng):
                    outputs = x
                    for k, w in enumerate(network.weights[:-1]):
                        outputs = np.maximum(w @ outputs, 0.0)
                        if k < p:
                            continue
                        known = st.UV[frame, k, : len(outputs)] > 0
                        above = st.UP[frame, k, : len(outputs)] @ x
                        scale = np.abs(st.UP[frame, k, : len(outputs)]) @ np.abs(x) + 1e-9
                        assert np.all((above - outputs)[known] >= -1e-9 * scale[known])
                        seen += int(known.sum())
    assert seen > 10_000


def test_sharper_bounds_save_nodes() -> None:
    saved = []
    for seed in range(6):
        model = DeepModel.of(mcinj.sample(4, (27, 33), seed=seed))
        nodes = []
        for sharpen in (0, 1):
            search = DeepSearch(model, 4)
            search.st.gi[ds.SHARPEN] = sharpen
            verdict = search.decide(10**7)
            nodes.append((verdict is True, search.nodes))
        assert nodes[0][0] == nodes[1][0]
        if nodes[0][0]:
            saved.append(nodes[1][1] / nodes[0][1])
    assert len(saved) >= 2
    assert np.mean(saved) < 0.9

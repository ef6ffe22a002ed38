"""Values are the same, to the error that they quote, whatever kernels the processor lets the libraries use."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

# One value of every solver. OpenBLAS and NumPy choose their kernels when they are loaded: hence other processes.
PROGRAM = """
import json
from mcinj.theory import *
alphas = [3.0, 6.7, 11.0]
curve = ground_state_curve(alphas, use_cache=False)
rows = [first_moment(), euler_characteristic(), plain_rdt(), partially_lifted(), partially_lifted(0.23), one_rsb(),
        two_rsb(), k_rsb(4), one_rsb(0.01), two_rsb(30.0), deep_plain([6.7004, 7.53]), deep_plain_unit([6.7004]),
        deep_lifted([6.7004]), deep_lifted([6.7004, 7.408]), deep_lifted([6.7004], 30.0), two_layer_lifted_unit(6.7004)]
values = [[row.name, row.value, row.error] for row in rows]
values += [[f"ground state at {a}", e, 1e-11] for a, e in zip(alphas, curve.two_rsb.tolist())]
print(json.dumps(values))
"""
# Kernels that run on every 64-bit processor of Intel's kind; elsewhere OpenBLAS ignores names that it does not know.
KERNELS = [
    {},
    {"OPENBLAS_CORETYPE": "Haswell"},
    {"OPENBLAS_CORETYPE": "Zen"},
    {"OPENBLAS_CORETYPE": "Prescott", "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3"},
    {"OPENBLAS_CORETYPE": "Nehalem"},
]


def values(kernels: dict[str, str]) -> list[tuple[str, float, float]]:
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("OPENBLAS", "NPY"))}
    if kernels.get("OPENBLAS_CORETYPE") in ("Haswell", "Zen") and not _has_avx2():
        pytest.skip("this processor has no AVX2")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        env={**environment, "OPENBLAS_NUM_THREADS": "1", **kernels},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return [(name, value, error) for name, value, error in json.loads(done.stdout)]


def _has_avx2() -> bool:
    try:
        with open("/proc/cpuinfo") as stream:
            return "avx2" in stream.read()
    except OSError:
        return False


@pytest.fixture(scope="module")
def usual() -> list[tuple[str, float, float]]:
    return values(KERNELS[0])


@pytest.mark.parametrize("kernels", KERNELS[1:], ids=lambda kernels: kernels["OPENBLAS_CORETYPE"])
def test_all_solvers_agree_to_their_errors(kernels: dict[str, str], usual: list[tuple[str, float, float]]) -> None:
    for (name, value, error), (_, other, other_error) in zip(usual, values(kernels), strict=True):
        assert error < 1e-9 * value + 1e-8, name
        assert value == pytest.approx(other, abs=error + other_error, rel=0), name

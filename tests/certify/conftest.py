"""What tests of certificates share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def without_coarse_cells() -> Iterator[None]:
    """Decisions, and so certificates, the way they are made where coarse cells do not do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mcinj.decide.coarse.search.Coarse.pairs", lambda self: None)
        patch.setattr("mcinj.decide.coarse.search.Coarse.ranks", lambda self: None)
        yield

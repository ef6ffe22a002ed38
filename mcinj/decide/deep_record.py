"""From a finished deep search to the proof that a certificate holds."""

from __future__ import annotations

import numpy as np

from mcinj.certify.deep_proof import DeepProof
from mcinj.decide.deep_search import DeepSearch


def deep_proof(search: DeepSearch) -> DeepProof:
    """The proof of a search with `record` that ended in a pass, or that listed its regions."""
    return DeepProof(search.model.depth, search.target, search.ranked, search.log().astype(np.int64))

"""What the check of a certificate says."""

from __future__ import annotations

from dataclasses import dataclass

from mcinj.networks import Premise


@dataclass(frozen=True)
class Verification:
    """Whether a certificate proves its claim for a network, and why (not).

    `certified` is what the proof shows: `exact`, `generic` (counts; rank follows from `assumption`) or, if it is no
    proof, `none`. `criterion` is what it shows it of: `layerwise`, `regional` or `global` (for one layer the three are
    the same), empty if it shows nothing. `assumption` is what a `generic` proof takes for granted, in words. A sound
    `generic` proof is not accepted where an exact one is asked for: `accepted` False, `certified` "generic".
    """

    accepted: bool
    reason: str
    certified: str = "none"
    criterion: str = ""
    assumption: str | None = None


def accepted(shown: str, premise: Premise | None, criterion: str, exact: bool) -> Verification:
    """A sound proof: of the network itself (`premise` None), or of counts that are ranks if the premise holds."""
    if premise is None:
        return Verification(True, shown + "every step is proved", "exact", criterion)
    reason = f"{shown}counts are proved; that they are ranks is taken for granted: {premise}"
    return Verification(not exact, reason, "generic", criterion, str(premise))

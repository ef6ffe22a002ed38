"""Witnesses, certificates and their independent check; imports nothing from `mcinj.decide`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcinj.certify.witness import Witness

if TYPE_CHECKING:
    from mcinj.certify.verification import Verification
    from mcinj.networks import Network

__all__ = ["Witness", "verify"]


def verify(certificate: bytes, network: Network, exact: bool = False) -> Verification:
    """Check a certificate independently of the search: see `mcinj.certify.checker.verify`."""
    from mcinj.certify import checker  # compiled code: loaded when it is needed

    return checker.verify(certificate, network, exact)

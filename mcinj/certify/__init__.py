"""Witnesses, certificates and their independent check; imports nothing from `mcinj.decide`."""

from mcinj.certify.witness import Witness

__all__ = ["Witness"]

"""Weights, ensembles, seeds, activation patterns, exact forward pass, readers."""

from mcinj.networks.network import Network

__all__ = ["Network"]

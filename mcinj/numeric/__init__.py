"""Compiled arithmetic that several searches share: cells, residues, proved circuits and enclosures."""

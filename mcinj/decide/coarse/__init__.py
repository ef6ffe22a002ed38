"""Coarse cells: ranks for all patterns of undecided units at once."""

"""Witness search: proved lower bounds of thresholds that no proof reaches."""

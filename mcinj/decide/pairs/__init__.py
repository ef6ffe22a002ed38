"""Collisions between regions with few active units, for weights in general position."""

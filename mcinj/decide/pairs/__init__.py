"""Collisions of different regions: the test of pairs, and regions with few active units in general position."""

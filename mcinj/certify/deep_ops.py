"""Instructions of a deep proof: the low four bits of a number; the rest is the argument. See docs/certificate.md."""

from __future__ import annotations

# BRANCH unit | NEXT | BASIS, g path rows | DECIDE 2 unit + positive | BOUNDS, bits | SINGLE unit | SET size, items
# | POSITIVE unit, set | leaves: COUNTED k, sets | RANKED k, sets | REGION
BRANCH, NEXT, BASIS, DECIDE, BOUNDS, SINGLE, SET, POSITIVE, COUNTED, RANKED, REGION = range(11)

SHIFT = 4
BITS = 28  # bits of a set of units per number: four bytes each in the file

# What BOUNDS says of a unit beyond the present layer: 3 * form + state.
UNKNOWN, ACTIVE, INACTIVE = range(3)
KEEP, ITSELF, ON_BASIS, SHARPENED = range(4)

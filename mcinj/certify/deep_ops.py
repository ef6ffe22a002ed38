"""Instructions of a deep proof: the low four bits of a number; the rest is the argument. See docs/certificate.md."""

from __future__ import annotations

# BRANCH unit | NEXT | BASIS, g path rows | DECIDE 2 unit + positive | BOUNDS, bits | SINGLE unit | SET size, items
# | POSITIVE unit, set | leaves: COUNTED k, sets | RANKED k, sets | REGION
BRANCH, NEXT, BASIS, DECIDE, BOUNDS, SINGLE, SET, POSITIVE, COUNTED, RANKED, REGION = range(11)
# In a tree of coarse cells: IMPLY 2 unit + positive, g path rows | MARK 4 unit + 2 above + on the basis, g path rows if
# not on the basis | LEAF | RANKS, a tree of ranks below this cell
IMPLY, MARK, LEAF, RANKS = range(11, 15)
# In a tree of counts: RAISED 1 if it declares facts, 0 for a leaf, groups, …: see `mcinj.certify.raising`
RAISED = 15

SHIFT = 4
BITS = 28  # bits of a set of units per number: four bytes each in the file

# What BOUNDS says of a unit beyond the present layer: 3 * form + state.
UNKNOWN, ACTIVE, INACTIVE = range(3)
KEEP, ITSELF, ON_BASIS, SHARPENED = range(4)

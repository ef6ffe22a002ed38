"""What the numbers of the compiled search mean: entries of its integer arrays, its reasons, its log."""

from __future__ import annotations

# LOG, the tree in preorder: a row to branch on, or -1 - k and k numbers of circuits, each plus NUMBER.
NUMBER = 1 << 40
# A number of a raised step (`raising`), plus this.
PLAIN = 1 << 45
# A subtree that somebody else searched, plus its number.
ELSEWHERE = 1 << 50

# Why the loop returned.
DONE, WITNESS, PAUSED, RESOLVE, GROW, TASK = 0, 1, 2, 3, 4, 5

# gi: global integers.
DEPTH, NODES, LIMIT, ROWS, TARGET, CIRCUITS, LOGGED, KEEP = range(8)
RANKED, PRODUCT, CAP, SLOT, HINT, DEGENERATE, HALF, SWAP = range(8, 16)
LIKELY = 16  # general position is likely: do not look for witnesses of full count and low rank
SWAPS, SHRINK = 17, 18  # how hard a node tries for more sets
USED = 19  # number of sets that close a node
INTEGERS = 20  # Z holds the rows themselves
SPAN = 21  # choices that a proof by more sets than are missing may go through
RAISE = 22  # most positives that a node may lack for its bound to be raised; 0: never
TRIM = 23  # sets of a node that lacks none are shrunk if it has at most so many times too many choices
GLOBALS = 24
# FI: integers of a frame.
PHASE, COUNT, SETS, ROW, TAIL, NOWITNESS = range(6)
FIELDS = 6
ENTER, EXTEND, REFRESH, RAISING, BRANCH, NEGATIVE, POSITIVE, LEAVE = range(8)
NEG, POS, FREE, WITH = range(4)

FAST = {"reassoc", "contract", "arcp", "nsz"}
# Functions that only compiled code calls need no wrapper: half of the time of compilation.
INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False}

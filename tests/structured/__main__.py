"""Hold verdicts on many structured networks against exact enumeration, and print counts by family.

    python -m tests.structured --count 10000
    python -m tests.structured --family even --seed 17        # one network, all criteria

Ends with 1 if anything false was said. Networks are the same in every run; `--start` goes on where another run ended.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from structured.comparison import HONEST, KINDS, compare, compile_all
from structured.families import FAMILIES, draw


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10000, help="networks in all, spread over the families")
    parser.add_argument("--start", type=int, default=0, help="first seed of every family")
    parser.add_argument("--family", choices=FAMILIES, help="this family alone")
    parser.add_argument("--seed", type=int, help="this network alone")
    parser.add_argument("--limit", type=float, default=60.0, help="most seconds of one verdict")
    parser.add_argument("--budget", type=int, default=1_000_000, help="most nodes of one verdict")
    parser.add_argument("--exact", action="store_true", help="ask for exact=True instead of the default")
    parser.add_argument("--certificates", action="store_true", help="make and verify certificates of passes")
    given = parser.parse_args()
    families = [given.family] if given.family else list(FAMILIES)
    per_family = -(-given.count // len(families))
    seeds = [given.seed] if given.seed is not None else range(given.start, given.start + per_family)
    options = {"exact": True} if given.exact else {}
    compile_all(**options)
    total: Counter[str] = Counter()
    networks, started = 0, time.perf_counter()
    head = "".join(f"{kind:>16}" for kind in ("passes", *KINDS))
    print(f"{'family':36}{head}{'s (check)':>12}{'s (all)':>10}")
    for family in families:
        counts: Counter[str] = Counter()
        spent, begun = 0.0, time.perf_counter()
        for seed in seeds:
            networks += 1
            network = draw(family, seed)
            for c in compare(network, given.certificates, given.limit, node_budget=given.budget, **options):
                counts[c.kind] += 1
                counts["passes"] += c.expected
                spent += c.seconds
                if c.kind != "agreed" or given.seed is not None:
                    shape = f"n = {network.n}, {network.widths}{', biases' if network.has_biases else ''}"
                    print(f"  {family}, seed {seed}: {c.criterion}, {shape}: {c.kind} {c.note} ({c.seconds:.2f} s)")
        total += counts
        row = "".join(f"{counts[kind]:16d}" for kind in ("passes", *KINDS))
        print(f"{family:36}{row}{spent:12.1f}{time.perf_counter() - begun:10.1f}", flush=True)
    row = "".join(f"{total[kind]:16d}" for kind in ("passes", *KINDS))
    print(f"{f'{networks} networks':36}{row}{'':12}{time.perf_counter() - started:10.1f}")
    return 0 if all(kind in (*HONEST, "passes") for kind in total) else 1


if __name__ == "__main__":
    sys.exit(main())

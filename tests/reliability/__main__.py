"""Attack the program, count what comes of it, and write docs/reliability.md.

    python -m tests.reliability one_layer --count 100000                # go on where the last run of this engine ended
    python -m tests.reliability files certificates --seconds 600        # ten minutes each
    python -m tests.reliability --out docs/reliability.md               # the page, from what is recorded

Runs append to tests/reliability/record/. Ends with 1 if anything false was said.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from reliability import record
from reliability.campaigns import CAMPAIGNS, bad


def attack(name: str, count: int | None, seconds: float | None, folder: Path, first: int | None = None) -> record.Run:
    """Run a campaign from where this engine's record ends, for so many instances or seconds; keep what came of it."""
    run = record.Run(name, 0, 0)
    begin = run.first = run.after = record.next_instance(name, run.engine, folder) if first is None else first
    started = saved = 0.0
    for outcome in CAMPAIGNS[name].run(begin):
        started = started or time.perf_counter()  # the first one compiles
        run.after += 1
        run.counts[outcome.kind] += 1
        run.also.update(outcome.also)
        if outcome.note:
            run.note(outcome.note)
            print(f"  {outcome.note}", flush=True)
        now = time.perf_counter()
        run.seconds = round(now - started, 1)
        if (count is not None and run.after - begin >= count) or (seconds is not None and run.seconds >= seconds):
            break
        if now - (saved or started) > 60:
            record.keep(run, folder)
            saved = now
    record.keep(run, folder)
    print(f"{name}: {run.after - begin:,} in {run.seconds:,.0f} s: {dict(sorted(run.counts.items()))}", flush=True)
    return run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaigns", nargs="*", choices=[[], *CAMPAIGNS], metavar="CAMPAIGN", help=", ".join(CAMPAIGNS))
    parser.add_argument("--count", type=int, help="instances of each campaign")
    parser.add_argument("--seconds", type=float, help="most seconds of each campaign")
    parser.add_argument("--record", type=Path, default=record.FOLDER, help="folder of the counts")
    parser.add_argument("--out", type=Path, help="write the page")
    given = parser.parse_args()
    if given.campaigns and given.count is None and given.seconds is None:
        parser.error("say how much: --count or --seconds")
    runs = [attack(name, given.count, given.seconds, given.record) for name in given.campaigns]
    if given.out:
        from reliability.page import write

        write(given.out, given.record)
    return 1 if any(bad(run) for run in runs) else 0


if __name__ == "__main__":
    sys.exit(main())

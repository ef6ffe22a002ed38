"""docs/reliability.md from the record."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from reliability import record
from reliability.campaigns import CAMPAIGNS, HONEST

HEAD = """# Reliability in figures

What was attacked, how often, and with what result. This page is made by a command from counts that runs append to
`tests/reliability/record/`; nothing is removed from them, and every run goes on where the last one ended:

    python -m tests.reliability one_layer --count 100000
    python -m tests.reliability --out docs/reliability.md

Instances are the same on every machine: campaign and number draw one again.
"""

TAIL = """
## What this does not say

* Oracles reach few inputs (up to four for one layer, two or three for several). For larger n rest on the proofs, and on
  certificates: [how decisions are proved](proofs.md).
* Agreement of a million random instances bounds the share of wrong verdicts *among such instances* by 3 in a million
  (95 %), no more. Structured families are there because random ones hide coincidences.
* Versions matter: a count is about the commit and the libraries that it names.
* What went wrong stays in the record, with the commit at which it was found. The error of the disturbed experiments
  (a stop signal that Python dropped; the run went on to its end) is mended, and has a test.
* Moments of kills are not the same on another machine: numbers of disturbed experiments draw what is done to them, not
  when it strikes.
"""


def write(path: Path, folder: Path = record.FOLDER) -> None:
    """Write the page (to a temporary name first)."""
    parts = [HEAD, _overview(folder)]
    for name, campaign in CAMPAIGNS.items():
        runs = record.runs_of(name, folder)
        if runs:
            parts.append(_section(campaign.title, campaign.text, runs))
    fresh = path.with_suffix(".tmp")
    fresh.write_text("\n".join([*parts, TAIL.lstrip("\n")]), encoding="utf-8")
    fresh.replace(path)


def _overview(folder: Path) -> str:
    rows = ["| campaign | instances | outcomes | false or faulty |", "|---|---|---|---|"]
    for name, campaign in CAMPAIGNS.items():
        runs = record.runs_of(name, folder)
        if runs:
            counts = _sum(run.counts for run in runs)
            faults = {kind: count for kind, count in counts.items() if kind not in HONEST}
            fine = ", ".join(f"{counts[kind]:,} {kind}" for kind in HONEST if counts[kind])
            wrong = ", ".join(f"**{count:,} {kind}**" for kind, count in sorted(faults.items())) or "none"
            rows.append(f"| {campaign.title} | {sum(counts.values()):,} | {fine} | {wrong} |")
    return "\n".join(rows) + "\n"


def _section(title: str, text: str, runs: list[record.Run]) -> str:
    also = _sum(run.also for run in runs)
    lines = [f"## {title}", "", text, ""]
    if also:
        lines += ["In numbers: " + ", ".join(f"{also[key]:,} {key}" for key in sorted(also)) + ".", ""]
    lines += ["| date | commit | instances | seconds | on |", "|---|---|---|---|---|"]
    for run in runs:
        libraries = ", ".join(f"{name} {text}" for name, text in sorted(run.versions.items()) if name != "machine")
        span = f"{run.first:,} … {run.after - 1:,}"
        machine = f"{run.versions.get('machine', '')}; {libraries}"
        lines.append(f"| {run.date} | {run.version}, {run.commit} | {span} | {run.seconds:,.0f} | {machine} |")
    findings = [note for run in runs for note in run.findings]
    if findings:
        lines += ["", f"Not in agreement (of each run the first {record.MOST_FINDINGS} are kept, here up to 12):", ""]
        lines += [f"* {_plain(note)}" for note in findings[:12]]
    return "\n".join(lines) + "\n"


def _plain(note: str) -> str:
    """A note as text: no markup, no line breaks."""
    return "`" + " ".join(note.replace("`", "'").split())[:240] + "`"


def _sum(counters) -> Counter[str]:  # type: ignore[no-untyped-def]
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    return total

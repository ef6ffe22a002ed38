"""docs/reliability.md from the record."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from reliability import record
from reliability.campaigns import CAMPAIGNS, HONEST, bad

HEAD = """# Reliability in figures

What was attacked, how often, and with what result. This page is made by a command from counts that runs append to
`tests/reliability/record/`; nothing is removed from them:

    python -m tests.reliability one_layer --count 100000
    python -m tests.reliability --out docs/reliability.md

Instances are the same on every machine: campaign and number draw one again. An *engine* is a state of the sources that
decide, prove, read and record, named by a digest of them. Counts of one engine say nothing of another: each begins at
instance 0, and goes on where its last run ended.
"""

TAIL = """
## What this does not say

* Oracles reach few inputs (up to four for one layer, two or three for several). For larger n rest on the proofs, and on
  certificates: [how decisions are proved](proofs.md).
* Agreement of a million random instances bounds the share of wrong verdicts *among such instances* by 3 in a million
  (95 %), no more. Structured families are there because random ones hide coincidences.
* Versions matter: a count is about the engine and the libraries that it names.
* What went wrong stays in the record, with the engine in which it was found and what became of it.
* Most is found while a campaign is written, before anything is counted. Those on domains, leaky ReLUs and stability (28
  November 2026) showed false bounds of least singular values of several layers, where only later layers had biases or a
  hidden unit had no weights, and `farthest` calling a network injective on a closed domain where only the open one had
  passed. Verdicts of `check` held. Attacks on unusual numbers on the same day showed one false verdict: whole numbers
  beyond 2^53 beside floats in a list were rounded before they were read.
* Moments of kills are not the same on another machine: numbers of disturbed experiments draw what is done to them, not
  when it strikes.
"""


def write(path: Path, folder: Path = record.FOLDER) -> None:
    """Write the page (to a temporary name first)."""
    newest = record.newest_engine(CAMPAIGNS, folder)
    parts = [HEAD, _overview(newest, folder)]
    for name, campaign in CAMPAIGNS.items():
        runs = [run for run in record.runs_of(name, folder) if run.engine == newest]
        parts.append(_section(campaign.title, campaign.text, runs))
    earlier = _earlier(newest, folder)
    fresh = path.with_suffix(".tmp")
    fresh.write_text("\n".join([*parts, *([earlier] if earlier else []), TAIL.lstrip("\n")]), encoding="utf-8")
    fresh.replace(path)


def _overview(newest: str, folder: Path) -> str:
    """What the newest engine went through; campaigns that it has not met are named, not filled with older counts."""
    lines = [f"With engine {newest}, the newest that was attacked:", ""]
    lines += ["| campaign | instances | outcomes | false or faulty |", "|---|---|---|---|"]
    for name, campaign in CAMPAIGNS.items():
        runs = [run for run in record.runs_of(name, folder) if run.engine == newest]
        if runs:
            lines.append(f"| {campaign.title} | {_told(runs)} |")
        else:
            lines.append(f"| {campaign.title} | 0 | not run with this engine yet | – |")
    return "\n".join(lines) + "\n"


def _told(runs: list[record.Run]) -> str:
    """Instances, outcomes and faults of runs, as cells of a table."""
    counts = _sum(run.counts for run in runs)
    fine = ", ".join(f"{counts[kind]:,} {kind}" for kind in HONEST if counts[kind]) or "–"
    faults = {kind: count for kind, count in counts.items() if kind not in HONEST}
    wrong = ", ".join(f"**{count:,} {kind}**" for kind, count in sorted(faults.items())) or "none"
    return f"{sum(counts.values()):,} | {fine} | {wrong}"


def _section(title: str, text: str, runs: list[record.Run]) -> str:
    also = _sum(run.also for run in runs)
    lines = [f"## {title}", "", text, ""]
    if not runs:
        return "\n".join([*lines, "Not run with this engine yet."]) + "\n"
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
    return "\n".join([*lines, *_remarks(runs)]) + "\n"


def _earlier(newest: str, folder: Path) -> str:
    """Runs of engines that are no more, in short; faults with what became of them."""
    rows: list[str] = []
    told: list[str] = []
    for name, campaign in CAMPAIGNS.items():
        runs = [run for run in record.runs_of(name, folder) if run.engine != newest]
        for engine in dict.fromkeys(run.engine for run in runs):
            its = [run for run in runs if run.engine == engine]
            rows.append(f"| {campaign.title} | {engine} (commit {its[-1].commit}) | {_told(its)} |")
            faulty = [run for run in its if bad(run)]
            notes = [note for run in faulty for note in run.findings[:4]]
            told += [f"* {campaign.title}, engine {engine}: {_plain(note)}" for note in notes] + _remarks(faulty)
    if not rows:
        return ""
    head = [
        "## Earlier engines",
        "",
        "| campaign | engine | instances | outcomes | false or faulty |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows, *([""] if told else []), *told]) + "\n"


def _remarks(runs: list[record.Run]) -> list[str]:
    return [part for run in runs if run.remark for part in ("", run.remark)]


def _plain(note: str) -> str:
    """A note as text: no markup, no line breaks."""
    return "`" + " ".join(note.replace("`", "'").split())[:240] + "`"


def _sum(counters) -> Counter[str]:  # type: ignore[no-untyped-def]
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    return total

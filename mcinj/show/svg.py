"""SVG as Matplotlib writes it, made small and fit to stand in a page beside other SVGs."""

from __future__ import annotations

import re

# Matplotlib's families end in a generic one; of the named ones these have the widths that the layout was made for.
_FONTS = "'DejaVu Sans', Verdana, sans-serif"
_NUMBER = re.compile(r"-?\d+\.\d{3,}")


def compact(text: str) -> str:
    """The same picture in fewer bytes: tenths or hundredths of a point, no comments, no metadata, short font lists.

    >>> compact('<path d="M 1.23456 70.00012"/><!-- a -->')
    '<path d="M 1.23 70"/>'
    """
    text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    # The family once, for all texts: Matplotlib gives it to each.
    text = re.sub(r"; font-family: 'DejaVu Sans', [^;\"]*?sans-serif", "", text)
    text = re.sub(r"font: ([\d.]+px) 'DejaVu Sans', [^;\"]*?sans-serif", r"font-size: \1", text)
    if "<svg font-family" not in text:
        text = text.replace("<svg ", f'<svg font-family="{_FONTS}" ', 1)
    # Attributes only: a number in a label stays as it was written.
    text = re.sub(r'="([^"]*)"', lambda m: f'="{_NUMBER.sub(_short, m.group(1))}"', text)
    return re.sub(r"[ \t]*\n\s*", "\n", text)


def _short(match: re.Match[str]) -> str:
    value = float(match.group())
    # A tenth of a point is what an eye may see, and a hundredth what a marker's outline needs.
    text = f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def embedded(text: str, prefix: str, title: str) -> str:
    """The `<svg>` element alone, its ids made unique by a prefix, its size left to the page; `title` is for readers
    that cannot see it (plain text, already escaped)."""
    body = text[text.index("<svg") :]
    used = set(re.findall(r"url\(#([^)]+)\)", body)) | set(re.findall(r'href="#([^"]+)"', body))
    body = re.sub(r' id="([^"]+)"', lambda m: f' id="{prefix}{m.group(1)}"' if m.group(1) in used else "", body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}\1)", body)
    body = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}\1"', body)
    head, rest = body[: body.index(">")], body[body.index(">") + 1 :]
    head = re.sub(r' (?:width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{title}">{rest.strip()}'

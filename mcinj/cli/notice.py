"""A word on the terminal when something is compiled: the first decision on a machine would otherwise seem to hang."""

from __future__ import annotations

import logging
import sys

_WORD = (
    "mcinj: compiling, once on this machine: about half a minute for one layer, one or two for several "
    "(mcinj warmup compiles everything ahead)"
)


class _Once(logging.Handler):
    told = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self.told and sys.stderr.isatty():
            print(_WORD, file=sys.stderr, flush=True)
        self.told = True


def tell_of_compilation() -> None:
    """From now on say so, once, when a function is not found compiled (`mcinj._kernel_cache` logs that)."""
    log = logging.getLogger("mcinj.compile")
    if not any(isinstance(handler, _Once) for handler in log.handlers):
        log.addHandler(_Once())
        log.setLevel(logging.INFO)

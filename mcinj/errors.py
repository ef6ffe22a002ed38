"""Errors that a user can mend: one clear line, exit code 2 on the command line."""

from __future__ import annotations


class InputError(ValueError):
    """What is wrong, where, and what to do, in one line.

    Raised for every input that the user can change: shapes, values, files, options. The command line prints
    the line without a traceback and exits with code 2. Anything else that escapes is a bug of mcinj.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))

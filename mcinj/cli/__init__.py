"""The command line. Commands parse, call the library and print; exit codes are part of the interface.

One file per group of commands; `app` holds what they share.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from mcinj.cli import decisions, draws, experiments, inverse, quantities, warmup  # noqa: F401 (each adds its commands)
from mcinj.cli.app import EXIT_INPUT, EXIT_INTERNAL, EXIT_INTERRUPT, app
from mcinj.cli.notice import tell_of_compilation
from mcinj.errors import InputError


def main() -> NoReturn:
    """Entry point: one line and code 2 for a user's error, code 70 for ours."""
    tell_of_compilation()
    try:
        app()
    except InputError as error:
        print(f"mcinj: {error}", file=sys.stderr)
        code = EXIT_INPUT
    except KeyboardInterrupt:
        print("mcinj: interrupted", file=sys.stderr)
        code = EXIT_INTERRUPT
    except BrokenPipeError:
        # The reader of our output went away (`mcinj export … | head`): nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        if os.environ.get("MCINJ_DEBUG"):
            raise
        print(
            f"mcinj: internal error, please report it: {type(error).__name__}: {' '.join(str(error).split())} "
            "(MCINJ_DEBUG=1 shows the traceback)",
            file=sys.stderr,
        )
        code = EXIT_INTERNAL
    else:
        code = 0
    sys.exit(code)

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
from mcinj.show.watching import Interrupted


def main() -> NoReturn:
    """Entry point: one line and code 2 for a user's error, code 70 for ours."""
    tell_of_compilation()
    code = 0
    try:
        if len(sys.argv) == 1:
            app()  # the help
        ended = app(standalone_mode=False)
        code = ended if isinstance(ended, int) else 0
    except InputError as error:
        print(f"mcinj: {error}", file=sys.stderr)
        code = EXIT_INPUT
    except Interrupted as error:
        print(f"mcinj: {error}", file=sys.stderr)
        code = EXIT_INTERRUPT
    except KeyboardInterrupt:
        print("mcinj: interrupted", file=sys.stderr)
        code = EXIT_INTERRUPT
    except BrokenPipeError:
        # The reader of our output went away (`mcinj export … | head`): nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        tell = getattr(error, "format_message", None)  # the parser's errors, click's or its copy in typer
        if tell is not None:
            print(f"mcinj: {' '.join(str(tell()).split())}{_where(error)}", file=sys.stderr)
            sys.exit(EXIT_INPUT)
        if os.environ.get("MCINJ_DEBUG"):
            raise
        print(
            f"mcinj: internal error, please report it: {type(error).__name__}: {' '.join(str(error).split())} "
            "(MCINJ_DEBUG=1 shows the traceback)",
            file=sys.stderr,
        )
        code = EXIT_INTERNAL
    sys.exit(code)


def _where(error: Exception) -> str:
    """Where the parser's errors are explained."""
    context = getattr(error, "ctx", None)
    return "" if context is None else f" ({context.command_path} -h)"

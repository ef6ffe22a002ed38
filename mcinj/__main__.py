"""`python -m mcinj`."""

from mcinj.cli import main

main()

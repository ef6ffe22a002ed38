"""`python -m mcinj`."""

from mcinj.cli import main

if __name__ == "__main__":  # a process of `mcinj warmup` imports this module too
    main()

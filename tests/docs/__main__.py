"""Execute pages, and keep the pictures that they draw and show (docs/figures/tutorials/).

    python -m tests.docs docs/tutorials/decoder.md            # docs/figures/tutorials/*.png anew
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from docs.pages import DOCS, execute, quiet

PICTURE = re.compile(r"figures/tutorials/([\w.-]+)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", type=Path)
    quiet()
    for page in parser.parse_args().pages:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            ran = execute(page.resolve(), Path(folder))
            for name in sorted(set(PICTURE.findall(page.read_text(encoding="utf-8")))):
                (DOCS / "figures" / "tutorials").mkdir(exist_ok=True)
                for drawn in Path(folder).rglob(name):
                    shutil.copy(drawn, DOCS / "figures" / "tutorials" / name)
        print(f"{page}: {ran} blocks in {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()

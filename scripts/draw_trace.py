"""Makes a phone call as the end-to-end tests do, and draws its trace into docs/images/trace.svg.

    python scripts/draw_trace.py [FILE]

Needs what the end-to-end tests need: the extra `test`, Go and espeak-ng (see CONTRIBUTING.md).
"""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    runpy.run_module("e2e.draw", run_name="__main__")

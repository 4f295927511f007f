"""Runs Getting started in full and keeps what it prints, draws and measures.

.venv/bin/python docs/tools/make_outputs.py       # minutes on two cores
.venv/bin/python docs/tools/make_figures.py       # the figures of How it works
"""

import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

DOCS = Path(__file__).parent.parent
sys.path.insert(0, str(DOCS.parent / "benchmarks"))

from environment import describe  # noqa: E402
from pages import blocks  # noqa: E402

OUTPUTS = DOCS / "outputs"


def machine():
    """A sentence on hardware and versions."""
    told = describe()
    packages = ("keras", "tensorflow", "ai-edge-litert")
    versions = [f"{name} {told['versions'][name]}" for name in packages]
    return (
        f"{told['hardware']['processor']} ({told['hardware']['cores']} cores) with "
        f"Python {told['versions']['python']}, {', '.join(versions)}.\n"
    )


def main():
    """Run the page's blocks in one namespace, in a folder of their own."""
    namespace: dict = {"__name__": "getting_started"}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for number, block in enumerate(blocks(DOCS / "getting_started.md"), start=1):
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(block.code, f"block {number}", "exec"), namespace)
            lines = [line.rstrip() for line in printed.getvalue().splitlines()]
            text = "\n".join(line for line in lines if line)
            if text:
                path = OUTPUTS / f"getting_started_{number}.txt"
                path.write_text(text + "\n")
        shutil.copy("ranks.png", DOCS / "images" / "ranks.png")
    (OUTPUTS / "machine.txt").write_text(machine())
    pruning = namespace["pruning"]
    schedule = {
        "start": pruning.schedule.start,
        "stop": pruning.schedule.stop,
        "events": pruning.history,
        "epochs": pruning.epoch_logs,
    }
    text = json.dumps(schedule, indent=1, default=float)
    (OUTPUTS / "schedule.json").write_text(text + "\n")


if __name__ == "__main__":
    main()

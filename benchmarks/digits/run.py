"""The digits example over three seeds, and its network in several sizes.

python benchmarks/digits/run.py
python benchmarks/digits/report.py      # the README's table, the page on sizes

Writes `results.json`, `pareto.json` and a picture beside this file.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from environment import describe  # noqa: E402

SEEDS = (0, 1, 2)
EXAMPLES = ROOT / "examples"
PLOT = HERE / "ranks.png"


def run(example, seed):
    """An example's results for one seed."""
    with tempfile.TemporaryDirectory() as folder:
        script = str(EXAMPLES / f"{example}.py")
        command = [sys.executable, script, "--seed", str(seed), "--out", folder]
        subprocess.run(command, check=True)
        if seed == SEEDS[0] and example == "digits":
            shutil.copy(Path(folder) / "ranks.png", PLOT)
        return json.loads((Path(folder) / "results.json").read_text())


def write(name, results):
    """Keep what was measured, and on which machine."""
    text = json.dumps({**describe(), **results}, indent=2) + "\n"
    (HERE / name).write_text(text)


def main():
    """Run both examples, one training after the other."""
    write("results.json", {"runs": [run("digits", seed) for seed in SEEDS]})
    write("pareto.json", run("pareto", SEEDS[0]))


if __name__ == "__main__":
    main()

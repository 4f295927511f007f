"""The digits example over three seeds: writes `results.json` beside this file.

python benchmarks/digits/run.py
python benchmarks/digits/report.py      # the README's table and picture
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
EXAMPLE = ROOT / "examples" / "digits.py"
PLOT = HERE / "ranks.png"


def run(seed):
    """The example's results for one seed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(EXAMPLE), "--seed", str(seed), "--out", folder]
        subprocess.run(command, check=True)
        if seed == SEEDS[0]:
            shutil.copy(Path(folder) / "ranks.png", PLOT)
        return json.loads((Path(folder) / "results.json").read_text())


def main():
    """Run all seeds, one after the other, and keep what they measured."""
    results = {**describe(), "runs": [run(seed) for seed in SEEDS]}
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

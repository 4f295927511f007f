"""Exports trained networks and appends their rows to `results.jsonl`.

    python collect.py --data cifar10.npz

What `run.py` left in `--out` is exported to float32 and int8 .tflite files, which
LiteRT runs on all test images; the row gets their bytes and accuracy. Rows about the
validation split go in as they are: they never meet the test images.
"""

import argparse
import json
import tempfile
from pathlib import Path

from experiments import OUT, RESULTS, rows, run_name, settings_of, trained


def complete(row, path, data):
    """The row of a training with what its exported files measure."""
    import keras
    from cifar10 import export, load
    from environment import describe

    network = keras.saving.load_model(path)
    with tempfile.TemporaryDirectory() as folder:
        files = export(network, load(settings_of(row, data)), Path(folder))
    # `latency.py` times all files in one run.
    for measured in files.values():
        del measured["latency_ms"]
    return {**row, "tflite": files, "tflite_environment": describe()}


def main():
    """Complete every row that is not in `results.jsonl` yet."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, help='"tfds" or FILE.npz')
    parser.add_argument("--out", type=Path, default=OUT, help="where run.py wrote to")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    done = {run_name(row) for row in rows(options.results)}
    for name, row in trained(options.out).items():
        if name in done:
            continue
        if not row["validate"]:
            row = complete(row, options.out / f"{name}.keras", options.data)
        with options.results.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{name} collected")


if __name__ == "__main__":
    main()

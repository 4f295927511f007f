"""Times the files of all committed networks in one run, so that ratios mean something.

    python latency.py --data cifar10.npz

Each network is exported to float32 and int8; the files take turns on one thread, as
`file_times.py` says.

Writes `latency.json`, out of which `report.py` has every latency. The networks of
ResNet-32 and -18, and those of most trials, are not committed: train them, and name all
files.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from experiments import FORMATS, LATENCY
from networks import add_arguments, chosen, images_of

LOADS = 10
RUNS = 50  # of each file, each time it is loaded
CALIBRATION = 500  # images, for int8


def export_all(networks, data, folder):
    """Write both files of every network.

    Args:
        networks: A dict from path to row.
        data: "tfds" or the path of an .npz.
        folder: A `Path`.

    Returns:
        A dict from network and format to the file.
    """
    import keras

    import tflite_export

    files = {}
    for path, row in networks.items():
        (images, _), _ = images_of(row, data)
        network = keras.saving.load_model(path, compile=False)
        for form in FORMATS:
            files[path, form] = folder / f"{path.stem}-{form}.tflite"
            tflite_export.export(
                network,
                files[path, form],
                None if form == "float32" else form,
                images[:CALIBRATION],
                verbose=False,
            )
    return files


def time_all(files, runs):
    """Medians over the times that the files are loaded.

    Args:
        files: Paths.
        runs: Int. Timed runs of each, each time.

    Returns:
        A dict from path to a dict of milliseconds.
    """
    from file_times import timings_of

    return {
        path: {
            key: round(statistics.median(getattr(t, key) for t in every), 4)
            for key in ("median_ms", "p95_ms")
        }
        for path, every in timings_of(files, LOADS, runs).items()
    }


def main():
    """Export, time, and keep what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_arguments(parser)
    parser.add_argument("--out", type=Path, default=LATENCY)
    parser.add_argument(
        "--runs", type=int, default=RUNS, help="of each file, each time"
    )
    options = parser.parse_args()
    from environment import describe

    networks = chosen(parser, options)
    with tempfile.TemporaryDirectory() as folder:
        files = export_all(networks, options.data, Path(folder))
        timings = time_all(files.values(), options.runs)
    environment = describe()
    measured: dict[str, dict] = {}
    for (path, form), file in files.items():
        name = networks[path]["experiment"]
        of_both = measured.setdefault(name, {"environment": environment})
        of_both[form] = timings[str(file)]
    results = {
        "loads": LOADS,
        "runs": options.runs,
        "threads": 1,
        "latency": measured,
    }
    options.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Times the files of all committed networks in one run, so that ratios mean something.

    python latency.py --data cifar10.npz

Each network is exported to float32 and int8; the files take turns on one thread.
Writes `latency.json`, from which `report.py` has every latency.
"""

import argparse
import json
import tempfile
from pathlib import Path

from cells import FORMATS
from experiments import LATENCY
from networks import add_arguments, chosen, images_of

RUNS = 500
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


def main():
    """Export, time, and keep what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_arguments(parser)
    parser.add_argument("--out", type=Path, default=LATENCY)
    parser.add_argument("--runs", type=int, default=RUNS, help="of each file")
    options = parser.parse_args()
    from environment import describe

    from tflite_export.benchmark import benchmark

    networks = chosen(parser, options)
    with tempfile.TemporaryDirectory() as folder:
        files = export_all(networks, options.data, Path(folder))
        timings = benchmark(list(files.values()), runs=options.runs)
    environment = describe()
    measured: dict[str, dict] = {}
    for (path, form), timing in zip(files, timings, strict=True):
        name = networks[path]["experiment"]
        of_both = measured.setdefault(name, {"environment": environment})
        of_both[form] = {
            "median_ms": round(timing.median_ms, 4),
            "p95_ms": round(timing.p95_ms, 4),
        }
    results = {"runs": options.runs, "threads": 1, "latency": measured}
    options.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Times the files of all committed networks in one run, so that ratios mean something.

    python latency.py --data cifar10.npz

Each network is exported to float32 and int8; the files take turns on one thread.
Writes `latency.json`, from which `report.py` has every latency.
"""

import argparse
import json
import tempfile
from pathlib import Path

from evaluate import MODELS
from experiments import HERE, RESULTS, rows, run_name, settings_of

LATENCY = HERE / "latency.json"
FORMATS = ("float32", "int8")
RUNS = 500


def export_all(networks, images, folder):
    """Write both files of every network.

    Args:
        networks: A list of paths.
        images: Representative data, by path.
        folder: A `Path`.

    Returns:
        A dict from network and format to the file.
    """
    import keras

    import tflite_export

    files = {}
    for path in networks:
        network = keras.saving.load_model(path, compile=False)
        for form in FORMATS:
            files[path, form] = folder / f"{path.stem}-{form}.tflite"
            tflite_export.export(
                network,
                files[path, form],
                None if form == "float32" else form,
                images[path],
                verbose=False,
            )
    return files


def main():
    """Export, time, and keep what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="*", type=Path, help="default: all committed")
    parser.add_argument("--data", required=True, help='"tfds" or FILE.npz')
    parser.add_argument("--results", type=Path, default=RESULTS, help="their rows")
    parser.add_argument("--out", type=Path, default=LATENCY)
    parser.add_argument("--runs", type=int, default=RUNS, help="of each file")
    options = parser.parse_args()
    from cifar10 import load
    from environment import describe

    from tflite_export.benchmark import benchmark

    by_name = {run_name(row): row for row in rows(options.results)}
    networks = options.networks or sorted(MODELS.glob("*.keras"))
    unknown = [str(path) for path in networks if path.stem not in by_name]
    if unknown or not networks:
        parser.error(f"networks must be named as a row of the results. Got: {unknown}")
    settings = {
        path: settings_of(by_name[path.stem], options.data) for path in networks
    }
    images = {path: load(each)[0][0][:500] for path, each in settings.items()}
    with tempfile.TemporaryDirectory() as folder:
        files = export_all(networks, images, Path(folder))
        timings = benchmark(list(files.values()), runs=options.runs)
    measured: dict[str, dict] = {}
    for (path, form), timing in zip(files, timings, strict=True):
        name = by_name[path.stem]["experiment"]
        of_both = measured.setdefault(name, {"environment": describe()})
        of_both[form] = {
            "median_ms": round(timing.median_ms, 4),
            "p95_ms": round(timing.p95_ms, 4),
        }
    results = {"runs": options.runs, "threads": 1, "latency": measured}
    options.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Run every .tflite file of a folder on its samples.npy: `run_files.py FOLDER OUTPUTS`.

Raw outputs, in steps where they are quantized, go to the file OUTPUTS (.npz) by name.
"""

import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def run_file(path, samples):
    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    (taken,) = interpreter.get_input_details()
    (given,) = interpreter.get_output_details()
    rows = []
    for sample in samples:
        interpreter.set_tensor(taken["index"], to_steps(sample[None], taken))
        interpreter.invoke()
        rows.append(interpreter.get_tensor(given["index"])[0])
    return np.array(rows)


def to_steps(array, details):
    scale, zero_point = details["quantization"]
    if scale == 0:
        return array
    limits = np.iinfo(details["dtype"])
    steps = np.clip(np.round(array / scale) + zero_point, limits.min, limits.max)
    return steps.astype(details["dtype"])


def run_files(folder, outputs):
    samples = np.load(folder / "samples.npy")
    paths = sorted(folder.glob("*.tflite"))
    np.savez(outputs, **{path.stem: run_file(path, samples) for path in paths})


if __name__ == "__main__":
    run_files(Path(sys.argv[1]), Path(sys.argv[2]))

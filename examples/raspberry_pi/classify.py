"""Classify the images of a folder with a .tflite file, on a Raspberry Pi or elsewhere.

Needs ai-edge-litert, NumPy and Pillow, and nothing else of this project: copy this
file, requirements.txt, a .tflite file and images to the board.

    python classify.py model.tflite images
    python classify.py model.tflite images --threads 4 --top 3 --labels labels.txt
"""

import argparse
import json
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")
MODES = {1: "L", 3: "RGB"}
WARMUP_RUNS, TIMED_RUNS = 5, 50


class Classifier:
    """A .tflite file that takes one image and gives one row of scores.

    Args:
        path: The file.
        threads: Threads that LiteRT may use.
        input_range: What black and white are in the input; None takes what the file
            says, and (0, 255) if it says nothing.
    """

    def __init__(self, path, threads=1, input_range=None):
        description = read_description(path)
        self.labels = description.get("labels")
        own_range = description.get("input", {}).get("range")
        self.input_range = input_range or own_range or (0, 255)
        self.interpreter = load(path, threads)
        inputs = self.interpreter.get_input_details()
        outputs = self.interpreter.get_output_details()
        check_shapes(path, inputs, outputs)
        (self.input,), (self.output,) = inputs, outputs
        _, self.height, self.width, channels = self.input["shape"]
        self.mode = MODES[channels]
        self.classes = int(self.output["shape"][1])

    def read(self, path):
        """Return an image as the file takes it: its size, its channels, its numbers."""
        with Image.open(path) as file:
            # A camera held upright notes that in the file.
            image = ImageOps.exif_transpose(file).convert(self.mode)
        image = image.resize((self.width, self.height), Image.Resampling.BILINEAR)
        low, high = self.input_range
        values = low + np.asarray(image, "float32") / 255 * (high - low)
        return self.to_input(values.reshape(self.input["shape"]))

    def to_input(self, values):
        """Return floats in the dtype of the input, in its steps if it is quantized."""
        scale, zero_point = self.input["quantization"]
        dtype = np.dtype(self.input["dtype"])
        if scale:
            values = np.round(values / scale + zero_point)
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            values = np.clip(np.round(values), limits.min, limits.max)
        return values.astype(dtype)

    def run(self, image):
        """Return the scores of one image as floats."""
        self.interpreter.set_tensor(self.input["index"], image)
        self.interpreter.invoke()
        scores = self.interpreter.get_tensor(self.output["index"])[0]
        scale, zero_point = self.output["quantization"]
        return (scores.astype("float32") - zero_point) * (scale or 1)

    def latency(self):
        """Return the median of the seconds that the image last given takes."""
        seconds = []
        for _ in range(WARMUP_RUNS + TIMED_RUNS):
            start = time.perf_counter()
            self.interpreter.invoke()
            seconds.append(time.perf_counter() - start)
        return np.median(seconds[WARMUP_RUNS:])


def read_description(path):
    """Return the model.json at the end of a .tflite file, {} if there is none."""
    if not path.is_file():
        raise ValueError(f"There must be a file at MODEL. Received: '{path}'")
    if not zipfile.is_zipfile(path):
        return {}
    with zipfile.ZipFile(path) as archive:
        if "model.json" not in archive.namelist():
            return {}
        return json.loads(archive.read("model.json"))


def load(path, threads):
    """Return LiteRT's interpreter of a file."""
    try:
        interpreter = Interpreter(model_path=str(path), num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"LiteRT cannot load the file '{path}': {error}") from error
    return interpreter


def check_shapes(path, inputs, outputs):
    """Raise a ValueError unless a file takes an image and gives a row of scores."""
    taken = [tuple(map(int, tensor["shape"])) for tensor in inputs]
    given = [tuple(map(int, tensor["shape"])) for tensor in outputs]
    takes_image = len(taken) == 1 and len(taken[0]) == 4 and taken[0][3] in MODES
    gives_row = len(given) == 1 and len(given[0]) == 2
    if not (takes_image and gives_row and taken[0][0] == given[0][0] == 1):
        raise ValueError(
            "The file must take one image, (1, height, width, 1 or 3), and give a row "
            f"of scores, (1, classes). Received: '{path}' takes {taken}, gives {given}"
        )


def read_labels(path, classifier):
    """Return one label for each class: a file's, the model's, or the numbers."""
    if path is None:
        return classifier.labels or [str(k) for k in range(classifier.classes)]
    if not path.is_file():
        raise ValueError(f"There must be a file at --labels. Received: '{path}'")
    labels = path.read_text(encoding="utf-8").splitlines()
    if len(labels) != classifier.classes:
        raise ValueError(
            f"--labels must have {classifier.classes} lines, one for each class. "
            f"Received: '{path}' with {len(labels)}"
        )
    return labels


def find_images(folder):
    """Return the images in a folder, by name."""
    if not folder.is_dir():
        raise ValueError(f"There must be a folder at IMAGES. Received: '{folder}'")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise ValueError(
            f"IMAGES must hold images ({', '.join(SUFFIXES)}). Received: '{folder}' "
            "with none"
        )
    return paths


def classify(paths, classifier):
    """Return the scores of each image by name; names the unreadable on stderr."""
    scores = {}
    for path in paths:
        try:
            image = classifier.read(path)
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            print(f"{path} cannot be read: {error}", file=sys.stderr)
        else:
            scores[path.name] = classifier.run(image)
    return scores


def probabilities(scores):
    """Return the rows of scores as probabilities: logits are put through a softmax."""
    if scores.min() >= 0 and scores.max() <= 1:
        return scores
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def print_table(names, rows, labels, top):
    """Print the likeliest labels of every image."""
    cells = [("file", "label", "probability")]
    for name, row in zip(names, rows, strict=True):
        for place, index in enumerate(np.argsort(-row, kind="stable")[:top]):
            cells.append(("" if place else name, labels[index], f"{row[index]:.1%}"))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for name, label, share in cells:
        print(f"{name:{widths[0]}}  {label:{widths[1]}}  {share:>{widths[2]}}")


def main():
    """Read, classify, print, time; returns the exit code."""
    parser, options = parse_arguments()
    try:
        paths = find_images(options.images)
        classifier = Classifier(options.model, options.threads, options.input_range)
        labels = read_labels(options.labels, classifier)
    except ValueError as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    scores = classify(paths, classifier)
    if not scores:
        parser.exit(1, f"{parser.prog}: error: No image in IMAGES can be read.\n")
    rows = probabilities(np.array(list(scores.values())))
    print_table(scores, rows, labels, options.top)
    low, high = classifier.input_range
    print(
        f"\nlatency      {1e3 * classifier.latency():.3g} ms, median of {TIMED_RUNS} "
        f"runs, threads: {options.threads}"
        f"\ninput range  {low:g} (black) to {high:g} (white)"
    )
    return 0 if len(scores) == len(paths) else 1


def parse_arguments():
    """Return the parser, for its errors, and the options."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", metavar="MODEL", type=Path, help="a .tflite file")
    parser.add_argument("images", metavar="IMAGES", type=Path, help="a folder")
    parser.add_argument("--threads", type=count, default=1, help="default: 1")
    parser.add_argument("--labels", type=Path, help="a text file, one label a line")
    parser.add_argument("--top", type=count, default=1, help="labels of each image")
    parser.add_argument(
        "--input-range",
        nargs=2,
        type=float,
        metavar=("BLACK", "WHITE"),
        help="what black and white are in the input; default: the file's, or 0 255",
    )
    return parser, parser.parse_args()


def count(text):
    """Return an option's int of 1 or more."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more. Received: {text}")
    return value


if __name__ == "__main__":
    sys.exit(main())

"""What others measured on Arm boards, beside what the names of their processors say.

    python benchmarks/processors/published.py

Writes `published.json` beside this file. Boards of the tables ran other versions, in
part on four threads and 32 bits; so networks are compared with each other, not
milliseconds with milliseconds.
"""

import json
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

from keras_dprp.costs import NetworkCost
from keras_dprp.processors import Processor

HERE = Path(__file__).parent
NETWORKS = {
    "MobileNet v1": keras.applications.MobileNet,
    "MobileNet v2": keras.applications.MobileNetV2,
    "MobileNet v3 large": keras.applications.MobileNetV3Large,
    "MobileNet v3 small": keras.applications.MobileNetV3Small,
}
README = "README of google/XNNPACK, 2022-02-08, four threads"
LABEL_IMAGE = "tensorflow/tensorflow pull request 37890, one thread"
# Milliseconds in the order of the networks; of int8 files only the first two.
TABLES: list[tuple] = [
    ("Raspberry Pi 3B+", "cortex-a53", None, README, [114, 79, 67, 22]),
    ("Raspberry Pi 3B+", "cortex-a53", "int8", README, [46, 30]),
    ("Raspberry Pi 4", "cortex-a72", None, README, [77, 46, 40, 15]),
    ("Raspberry Pi 4", "cortex-a72", "int8", README, [24, 17]),
    ("Pixel 4", "cortex-a76", None, LABEL_IMAGE, [29.95, 19.13, 15.69, 5.58]),
]


def main():
    """Estimate, and write."""
    models = {name: build(weights=None) for name, build in NETWORKS.items()}
    rows = []
    for board, processor, quantization, source, measured in TABLES:
        times = Processor(processor, quantization)
        for name, milliseconds in zip(models, measured, strict=False):
            rows.append(
                {
                    "board": board,
                    "processor": processor,
                    "format": quantization or "float32",
                    "source": source,
                    "network": name,
                    "published": milliseconds,
                    "estimated": NetworkCost(models[name], times).now("latency"),
                }
            )
    (HERE / "published.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()

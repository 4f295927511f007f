"""A residual network from training images to a .tflite file: dense, or with DPRP.

The training part runs on any backend of Keras and needs no TensorFlow; `--export`
folds the network, writes its float32 and int8 files, and measures their accuracy on
all test images.

    python examples/cifar10.py --data tfds --method dprp --epochs 100 --export
    KERAS_BACKEND=jax python examples/cifar10.py --data cifar10.npz --target 0.3

A trained network given by `--teacher` teaches the new one beside the labels. With
`--own-teacher` the network learns, from that epoch on, from what it was until then.

An .npz holds `x_train`, `y_train`, `x_test`, `y_test`: uint8 images and labels. The
report is about the test images; with `--validate` it is about a tenth of the training
images, which are then left out of training: choose settings there.
"""

import argparse
import dataclasses
import json
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers, ops
from learning_rates import PEAK, OneAfterAnother, cosine
from resnet import STAGES, WEIGHT_DECAY, build
from teachers import SHARE, Distillation, OwnTeacher

import keras_dprp as dprp

# Divides 50,000 and 45,000: a smaller last batch would be one more program to compile,
# again after every event.
BATCH = 250
SHIFT = 4  # pixels, at most, by which the training images are moved
OUT = Path(__file__).parent / "out" / "cifar10"


@dataclasses.dataclass(frozen=True)
class Settings:
    """What one training is to do."""

    data: str  # "tfds", or the path of an .npz
    dataset: str = "cifar10"  # its name in TFDS
    model: str = "resnet20"
    method: str = "dprp"  # or "dense"
    epochs: int = 100
    seed: int = 0
    fraction: float = 1.0  # of the training images
    validate: bool = False
    # How often in a training; every event makes Keras compile the next one anew.
    validations: int = 20
    # Path of a trained network with the same inputs and outputs; "" for none.
    teacher: str = ""
    # The epoch from which the network is taught by what it was then, while the learning
    # rate starts anew; 0 for never. Ranks fall after it.
    own_teacher: int = 0
    own_teacher_rate: float = PEAK  # the learning rate's second peak
    teacher_share: float = SHARE  # of the loss, that is about the teacher's answers
    weight_decay: float = WEIGHT_DECAY
    learning_rate: float = PEAK
    # Arguments of `factorize` and `RankPruningCallback`.
    factorize: dict = dataclasses.field(default_factory=dict)
    pruning: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if self.teacher and self.own_teacher:
            raise ValueError(
                "Settings must have one teacher. Received: "
                f"teacher={self.teacher!r}, own_teacher={self.own_teacher}"
            )
        start = self.pruning.get("start", self.own_teacher)
        whole = self.factorize.get("rank") is None
        if self.own_teacher and (start < self.own_teacher or not whole):
            raise ValueError(
                "Until it is its own teacher a network must have its full rank. "
                f"Received: own_teacher={self.own_teacher}, "
                f"factorize={self.factorize}, pruning={self.pruning}"
            )


# Data


def load(settings):
    """Images, uint8 (n, height, width, channels), and labels: to train and to test."""
    if settings.data == "tfds":
        training, test = load_tfds(settings.dataset)
    else:
        with np.load(settings.data) as arrays:
            training = arrays["x_train"], arrays["y_train"]
            test = arrays["x_test"], arrays["y_test"]
    # Some files hold labels as a column.
    training, test = ((x, np.reshape(y, len(x))) for x, y in (training, test))
    order = np.random.default_rng(0).permutation(len(training[1]))
    if settings.validate:
        held_out, order = np.split(order, [len(order) // 10])
        test = tuple(array[held_out] for array in training)
    count = max(round(settings.fraction * len(order)), 1)
    return tuple(array[order[:count]] for array in training), test


def load_tfds(name):
    """Any image-classification data set of TFDS whose images are of one size."""
    import tensorflow_datasets as tfds

    builder = tfds.builder(name)
    shape = builder.info.features["image"].shape
    if None in shape:
        raise ValueError(
            f"`--dataset` must have images of one size. Received: {name} with images "
            f"of shape {shape}"
        )
    builder.download_and_prepare()
    held_out = next((s for s in ("test", "validation") if s in builder.info.splits), "")
    splits = ["train", held_out] if held_out else ["train[:90%]", "train[90%:]"]
    return tuple(
        (arrays["image"], arrays["label"])
        for arrays in tfds.as_numpy(builder.as_dataset(split=splits, batch_size=-1))
    )


class ShiftAndFlip(layers.Layer):
    """Moves every training image by a few pixels, mirrors half; zeros come in."""

    def __init__(self, seed, **kwargs):
        super().__init__(**kwargs)
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, images, training=False):
        if not training:
            return images
        _, height, width, channels = images.shape
        count = ops.shape(images)[0]
        framed = (height + 2 * SHIFT, width + 2 * SHIFT)
        images = ops.pad(images, [(0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)])
        down, right = (self._integers((count, 1), 2 * SHIFT + 1) for _ in range(2))
        columns = ops.arange(width)[None]
        mirrored = self._integers((count, 1), 2)
        columns = ops.where(mirrored == 1, width - 1 - columns, columns)
        # One gather of whole pixels is fast on every backend.
        rows = ops.arange(count)[:, None] * framed[0] + down + ops.arange(height)[None]
        pixels = rows[:, :, None] * framed[1] + (right + columns)[:, None, :]
        images = ops.reshape(images, (-1, channels))
        return ops.take(images, pixels, axis=0)

    def _integers(self, shape, limit):
        return keras.random.randint(shape, 0, limit, seed=self.generator)


# Training


def train(settings, callbacks=(), pruning_class=dprp.RankPruningCallback):
    """Train as the settings say.

    Args:
        settings: A `Settings`.
        callbacks: Further ones for `fit`.
        pruning_class: What lowers the ranks.

    Returns:
        The trained network (no augmentation in it), a dict of results, the data (test
        images and labels last), and the callback that pruned, None for "dense".
    """
    data = load(settings)
    keras.utils.set_random_seed(settings.seed)
    network, pruning = build_for(settings, data), None
    teacher = teacher_for(settings, network)
    if settings.method == "dprp":
        # The stem's kernel is small, and all that follows sees through it.
        network = dprp.factorize(network, filters="stage", **settings.factorize)
        pruning = pruning_class(**{**phase(settings), **settings.pruning})
        callbacks = [pruning, *callbacks]
    results = fit(network, settings, data, callbacks, teacher)
    results["ranks"] = [entry["ranks"] for entry in pruning.history] if pruning else []
    return network, results, data, pruning


def build_for(settings, data):
    """The dense network that the settings name, untrained."""
    (images, labels), (_, test_labels) = data
    classes = int(max(labels.max(), test_labels.max())) + 1
    return build(
        settings.model, images.shape[1:], classes, images, settings.weight_decay
    )


def phase(settings):
    """When ranks fall: what a network is to learn from has to be whole."""
    begin = settings.own_teacher
    if not begin:
        return {}
    return {"start": begin, "stop": begin + round(0.4 * (settings.epochs - begin))}


def teacher_for(settings, network):
    """A layer with the teacher that the settings name, None if they name none."""
    if settings.teacher:
        teacher = keras.saving.load_model(settings.teacher, compile=False)
        return Distillation(teacher, settings.teacher_share)
    if settings.own_teacher:
        return Distillation(keras.models.clone_model(network), share=0.0)
    return None


def fit(network, settings, data, callbacks, teacher=None):
    """Train a network on augmented images; a dict of results."""
    training, test = data
    model = add_training_layers(network, settings, teacher)
    if settings.own_teacher:
        # First of all: the callback that lowers ranks comes after it.
        own = OwnTeacher(network, teacher, settings.own_teacher, settings.teacher_share)
        callbacks = [own, *callbacks]
    compile_for(model, len(training[1]), settings)
    start = time.perf_counter()
    history = model.fit(
        *training,
        validation_data=test,
        batch_size=BATCH,
        epochs=settings.epochs,
        callbacks=list(callbacks),
        verbose=2,
        validation_freq=validated(settings.epochs, settings.validations),
    ).history
    seconds = time.perf_counter() - start
    return {
        "history": history,
        "images": len(training[1]),
        "seconds": seconds,
        **measure(network, model, test),
    }


def measure(network, model, test):
    """Test accuracy of a compiled model, and the cost of the network in it."""
    # Not out of the history: a training that was restored at its end has none.
    accuracy = model.evaluate(*test, BATCH, verbose=0, return_dict=True)["accuracy"]
    costs = dprp.summary(network)
    return {
        "accuracy": accuracy,
        "parameters": costs.parameters,
        "macs": costs.macs,
        "parameters_kept": costs.parameters_kept,
        "macs_kept": costs.macs_kept,
    }


def add_training_layers(network, settings, teacher=None):
    """The network behind augmentation and, if there is one, beside its teacher."""
    inputs = keras.Input(network.input_shape[1:])
    images = ShiftAndFlip(settings.seed)(inputs)
    logits = network(images)
    if teacher is not None:
        logits = teacher(images, logits)
    return keras.Model(inputs, logits)


def validated(epochs, validations):
    """The epochs, counted from one, that end with a validation: the last is one."""
    return list(range(epochs, 0, -max(epochs // validations, 1)))


def compile_for(model, images, settings):
    """SGD with momentum; the learning rate falls to zero, twice with an own teacher."""
    steps = -(-images // BATCH)
    first = settings.own_teacher or settings.epochs
    schedule = cosine(settings.learning_rate, first, steps)
    if settings.own_teacher:
        second = cosine(settings.own_teacher_rate, settings.epochs - first, steps)
        schedule = OneAfterAnother(schedule, second, first * steps)
    model.compile(
        keras.optimizers.SGD(schedule, 0.9, nesterov=True, global_clipnorm=5.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=min(steps, 10),
    )


# Export


def export(network, data, folder):
    """Write float32 and int8 files; measure bytes, latency and test accuracy."""
    import tflite_export

    (images, _), (test_images, test_labels) = data
    results = {}
    for quantization in (None, "int8"):
        name = quantization or "float32"
        path = folder / f"{network.name}-{name}.tflite"
        report = tflite_export.export(network, path, quantization, images[:500])
        logits = tflite_export.predict(path, test_images)
        results[name] = {
            "bytes": report.bytes,
            "latency_ms": report.latency_ms,
            "accuracy": float(np.mean(logits.argmax(axis=-1) == test_labels)),
        }
        print(f"{name}: accuracy {results[name]['accuracy']:.2%} by LiteRT")
    return results


def main():
    """Train, save, and export if asked to."""
    settings, folder, exports = parse_arguments()
    folder.mkdir(parents=True, exist_ok=True)
    network, results, data, pruning = train(settings)
    results = {**dataclasses.asdict(settings), **results}
    network.save(folder / "model.keras")
    if pruning is not None:
        dprp.plot_ranks(pruning).savefig(folder / "ranks.png", dpi=100)
    # Before the export, which may not be possible on the machine that trains.
    (folder / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    if exports:
        results["tflite"] = export(network, data, folder)
        (folder / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    print(f"Accuracy {results['accuracy']:.2%}. Everything is in {folder}")


def argument_parser():
    """What can be asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, help='"tfds" or FILE.npz')
    parser.add_argument("--dataset", default="cifar10", help="its name in TFDS")
    parser.add_argument("--model", choices=STAGES, default="resnet20")
    parser.add_argument("--method", choices=("dense", "dprp"), default="dprp")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fraction", type=float, default=1.0, help="of the images")
    parser.add_argument("--validate", action="store_true", help="leave the test alone")
    teachers = parser.add_mutually_exclusive_group()
    teachers.add_argument(
        "--teacher", default="", help="FILE.keras of a trained network"
    )
    teachers.add_argument("--own-teacher", type=int, default=0, metavar="EPOCH")
    parser.add_argument("--target", type=float, help="share to keep")
    parser.add_argument(
        "--metric", choices=("parameters", "macs"), default="parameters"
    )
    parser.add_argument(
        "--without",
        choices=("structure", "compression"),
        nargs="+",
        default=[],
        help="penalties to leave out",
    )
    parser.add_argument("--out", type=Path, default=OUT, help="folder to write into")
    parser.add_argument("--export", action="store_true", help="write .tflite files")
    return parser


def parse_arguments():
    """Settings, the folder to write into, and whether to export."""
    parser = argument_parser()
    options = vars(parser.parse_args())
    folder, exports = options.pop("out"), options.pop("export")
    if not 0 < options["fraction"] <= 1:
        parser.error(f"--fraction must be in (0, 1]. Received: {options['fraction']}")
    if options["epochs"] < 1:
        parser.error(f"--epochs must be 1 or more. Received: {options['epochs']}")
    if not 0 <= options["own_teacher"] < options["epochs"]:
        parser.error(
            f"--own-teacher must be in [0, {options['epochs']}), the epochs. "
            f"Received: {options['own_teacher']}"
        )
    options["pruning"] = {name: options.pop(name) for name in ("target", "metric")}
    target = options["pruning"]["target"]
    if target is not None and (options["method"] == "dense" or not 0 < target <= 1):
        parser.error(
            "--target must be in (0, 1], and goes with --method dprp. "
            f"Received: {target} with --method {options['method']}"
        )
    options["factorize"] = dict.fromkeys(options.pop("without"))
    if options["factorize"] and options["method"] == "dense":
        parser.error(
            "--without goes with --method dprp. "
            f"Received: {list(options['factorize'])} with --method dense"
        )
    return Settings(**options), folder, exports


if __name__ == "__main__":
    main()

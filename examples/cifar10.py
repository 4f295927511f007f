"""A network for images, from training to a .tflite file: dense, or with DPRP.

The training part runs on any backend of Keras and needs no TensorFlow; `--export`
writes the float32 and int8 files of the network, and measures their accuracy on all
test images.

    python examples/cifar10.py --data tfds --target 0.3 --teacher self --export
    KERAS_BACKEND=jax python examples/cifar10.py --data cifar10.npz --method dense

With `--teacher self` the network learns, from the epoch on at which its ranks fall,
also from what it was until then. `--weights` starts from a trained network, which may
be the teacher as well; its ranks fall at once.

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
from image_data import ShiftAndFlip, load
from keras.optimizers import schedules
from resnet import NETWORKS, WEIGHT_DECAY, build

import keras_dprp as dprp

# Divides 50,000 and 45,000: a smaller last batch would be one more program to compile,
# again after every event.
BATCH = 250
OUT = Path(__file__).parent / "out" / "cifar10"


@dataclasses.dataclass(frozen=True)
class Settings:
    """What one training is to do."""

    data: str  # "tfds", the path of an .npz, or of a folder with DATASET.npz in it
    dataset: str = "cifar10"  # its name in TFDS
    model: str = "resnet20"
    width: int | None = None  # filters of the first stage; None for the network's own
    method: str = "dprp"  # or "dense"
    epochs: int = 100
    seed: int = 0
    fraction: float = 1.0  # of the training images
    validate: bool = False
    # How often in a training; every event makes Keras compile the next one anew.
    validations: int = 20
    weights: str = ""  # path of a trained network of the same kind to start from
    teacher: str = "none"  # or "self", or the path of a trained network
    teacher_share: float = 0.5  # of the loss, that is about the teacher's answers
    weight_decay: float = WEIGHT_DECAY
    learning_rate: float = 0.1
    # Where the rate starts anew for its own teacher's sake, as a share; 0 for never.
    restart: float = 1.0
    # Arguments of `factorize` and `RankPruningCallback`.
    factorize: dict = dataclasses.field(default_factory=dict)
    pruning: dict = dataclasses.field(default_factory=dict)

    @property
    def start(self):
        """The epoch from which ranks fall: at once where a network is trained."""
        return self.pruning.get("start", 0 if self.weights else self.epochs // 2)


def train(settings, callbacks=()):
    """Train as the settings say.

    Args:
        settings: A `Settings`.
        callbacks: Further ones for `fit`.

    Returns:
        The trained network of stock layers (no augmentation in it), a dict of results,
        the data (test images and labels last), and the callback that pruned, None if
        there was none.
    """
    data = load(settings)
    keras.utils.set_random_seed(settings.seed)
    model, pruning = with_augmentation(build_for(settings, data), settings), None
    if settings.method == "dprp" or settings.teacher != "none":
        # Augmentation included, so that a teacher sees what the network sees.
        model = factorize(model, settings)
        pruning = pruning_for(settings)
        callbacks = [pruning, *callbacks]
    results = fit(model, settings, data, callbacks)
    if pruning is not None:
        results["ranks"] = [entry["ranks"] for entry in pruning.history]
        results["event_epochs"] = [entry["epoch"] for entry in pruning.history[1:]]
    return network_in(dprp.fold(model), settings), results, data, pruning


def build_for(settings, data):
    """The dense network that the settings name, untrained unless they name weights."""
    (images, labels), (_, test_labels) = data
    network = build(
        settings.model,
        images.shape[1:],
        int(max(labels.max(), test_labels.max())) + 1,
        images,
        settings.weight_decay,
        settings.width,
    )
    if settings.weights:
        network.load_weights(settings.weights)
    return network


def with_augmentation(network, settings):
    """The network behind a layer that moves and mirrors training images."""
    inputs = keras.Input(network.input_shape[1:])
    return keras.Model(inputs, network(ShiftAndFlip(settings.seed)(inputs)))


def network_in(model, settings):
    """The network in a model with augmentation."""
    return model.get_layer(settings.model)


def factorize(model, settings):
    """The model with layers whose ranks can fall, and its teacher if it has one."""
    teacher = None
    if settings.teacher == "self":
        teacher = dprp.Teacher("self", share=settings.teacher_share)
    elif settings.teacher != "none":
        network = keras.saving.load_model(settings.teacher, compile=False)
        # In the same place, so that both see the same images.
        model_of_teacher = with_augmentation(network, settings)
        teacher = dprp.Teacher(model_of_teacher, share=settings.teacher_share)
    return dprp.factorize(model, filters="stage", teacher=teacher, **settings.factorize)


def pruning_for(settings):
    """The callback that lowers ranks; for a dense network it keeps them all."""
    whole = {"target": 1.0} if settings.method == "dense" else {}
    # Told, as the learning rate has to know it too.
    return dprp.RankPruningCallback(
        **{**whole, "start": settings.start, **settings.pruning}
    )


def fit(model, settings, data, callbacks=()):
    """Train a model on augmented images; a dict of results."""
    training, test = data
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
        **measure(model, settings, test),
    }


def measure(model, settings, test):
    """Test accuracy of a compiled model, and the cost of the network in it."""
    # Not out of the history: a training that was restored at its end has none.
    accuracy = model.evaluate(*test, BATCH, verbose=0, return_dict=True)["accuracy"]
    costs = dprp.summary(network_in(model, settings))
    return {
        "accuracy": accuracy,
        "parameters": costs.parameters,
        "macs": costs.macs,
        "parameters_kept": costs.parameters_kept,
        "macs_kept": costs.macs_kept,
    }


def validated(epochs, validations):
    """The epochs, counted from one, that end with a validation: the last is one."""
    return list(range(epochs, 0, -max(epochs // validations, 1)))


def compile_for(model, images, settings):
    """SGD with momentum, a batch at a time of so many training images."""
    steps = -(-images // BATCH)
    model.compile(
        keras.optimizers.SGD(
            learning_rate(settings, steps), 0.9, nesterov=True, global_clipnorm=5.0
        ),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=min(steps, 10),
    )


def learning_rate(settings, steps):
    """A cosine down to zero; with a teacher of its own one until then, one after.

    What the network is to learn from has then been trained to its end.
    """
    peak, start, epochs = settings.learning_rate, settings.start, settings.epochs
    if settings.teacher == "self" and 0 < start < epochs and settings.restart:
        after = (epochs - start) / start
        return schedules.CosineDecayRestarts(
            peak, start * steps, t_mul=after, m_mul=settings.restart
        )
    return schedules.CosineDecay(peak, epochs * steps)


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
    parser.add_argument("--data", required=True, help='"tfds", FILE.npz or a folder')
    parser.add_argument("--dataset", default="cifar10", help="its name in TFDS")
    parser.add_argument("--model", choices=NETWORKS, default="resnet20")
    parser.add_argument("--width", type=int, help="filters of the first stage")
    parser.add_argument("--method", choices=("dense", "dprp"), default="dprp")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fraction", type=float, default=1.0, help="of the images")
    parser.add_argument("--validate", action="store_true", help="leave the test alone")
    parser.add_argument("--weights", default="", help="FILE.keras to start from")
    parser.add_argument("--teacher", default="none", help='"self" or FILE.keras')
    parser.add_argument("--target", type=float, help="share of the MACs to keep")
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
    for name in ("epochs", "width"):
        if options[name] is not None and options[name] < 1:
            parser.error(f"--{name} must be 1 or more. Received: {options[name]}")
    target = options.pop("target")
    if target is not None and (options["method"] == "dense" or not 0 < target <= 1):
        parser.error(
            "--target must be in (0, 1], and goes with --method dprp. "
            f"Received: {target} with --method {options['method']}"
        )
    for name, words in (("weights", [""]), ("teacher", ["none", "self"])):
        path = options[name]
        if path not in words and not Path(path).is_file():
            parser.error(f"--{name} must be a file that is there. Received: {path}")
    pruning = {} if target is None else {"target": target}
    return Settings(**options, pruning=pruning), folder, exports


if __name__ == "__main__":
    main()

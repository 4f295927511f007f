"""Quantization-aware training, and the int8 file of it."""

import dataclasses
from collections import Counter

from tflite_export import description
from tflite_export.report import ExportReport, announce
from tflite_export.settings import check_settings
from tflite_export.staging import staged
from tflite_export.tfmot.bridge import send
from tflite_export.tfmot.classifier import check_classifier
from tflite_export.tfmot.training import check_training


def quantize_aware(
    model,
    path,
    x,
    y,
    epochs=3,
    learning_rate=1e-4,
    batch_size=32,
    io_dtype="float32",
    labels=None,
    input_range=None,
    seed=0,
    verbose=True,
):
    """Train a classifier on as if it were int8 already, and write its int8 file.

    All is rounded in training as the file will round it: kernels by channel (those of
    Dense layers as a whole), and activations, whose ranges start at those of all of
    `x` and follow the training from there. Preprocessing in the model (Rescaling,
    Normalization) and a BatchNormalization that no convolution comes before become a
    convolution of one pixel and are rounded too. Zeros that `prune` left stay zero.
    LiteRT runs the file on 32 samples, and its outputs are compared with those of the
    trained model; only then does the file appear at `path`.

    Post-training int8, `tflite_export.export(model, path, "int8", x)`, takes seconds
    and often loses nothing. Try it first.

    Trained are copies of the layers in tf_keras, on the CPU, by Adam; the learning
    rate falls to zero in half a cosine. Regularizers and constraints take no part.

    Args:
        model: A functional or a built Sequential `keras.Model` from one float32 input
            to logits or probabilities of shape (None, classes), trained before;
            factorised layers are folded. No layer with weights is called twice.
        path: Where to write, in a folder that exists.
        x: Array of training inputs, samples first. If the model was trained on images
            moved and mirrored at random, pass such copies of them.
        y: Array of their classes, integers of shape (samples,).
        epochs: Number of passes over `x`.
        learning_rate: Adam's, at the start.
        batch_size: Samples in a step.
        io_dtype: Dtype of inputs and outputs in the file: "float32", "int8", "uint8".
        labels: Names of the classes, for apps to read, as in `tflite_export.export`.
        input_range: What black and white are in images; likewise.
        seed: For the order of the samples and for dropout.
        verbose: Whether to print loss and accuracy after each epoch, and the report.

    Returns:
        An `ExportReport`. A file that is far off the trained model is warned of.

    Raises:
        ImportError: If tensorflow-model-optimization is not installed.
        RuntimeError: If the training diverges, or outputs differ on the way there or
            are not finite.
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is wrong, the file cannot be written there, or
            tf_keras has no like of a layer.

    Example:
    >>> report = tflite_export.tfmot.quantize_aware(model, "m.tflite", x_train, y_train)
    >>> logits = tflite_export.predict("m.tflite", x_test)

    References:
        - [Jacob et al. 2017](https://arxiv.org/abs/1712.05877)
    """
    check_settings("int8", io_dtype, x)
    training = check_training(epochs, learning_rate, batch_size, seed)
    portable, y = check_classifier(model, x, y)
    _refuse_shared(portable)
    labels = description.check_labels(labels, portable.model)
    input_range = description.check_input_range(input_range, portable.model)
    description.check_within(input_range, portable.x, "x")
    with staged(path) as temporary:
        show = print if verbose else None
        found, *_ = send(
            "quantize",
            portable,
            y,
            training,
            show,
            path=str(temporary),
            io_dtype=io_dtype,
            labels=labels,
            input_range=input_range,
        )
    report = dataclasses.replace(ExportReport.from_dict(found), path=str(path))
    announce(
        report,
        verbose,
        "Compare `tflite_export.predict` with the classes of data of your own before "
        "you use it, or train for longer at a lower `learning_rate`.",
    )
    return report


def _refuse_shared(portable):
    """Raise a ValueError if a layer with weights is called more than once.

    Each call of it would need ranges of its own, and a wrapper of tfmot has one.
    """
    calls = Counter(step.name for step in portable.steps)
    shared = [name for name in portable.layers if calls[name] > 1]
    if shared:
        raise ValueError(
            "Quantization-aware training needs every layer with weights called once. "
            f"Received: '{portable.model.name}' with {shared} called more often"
        )

"""Weights that share few values."""

import numpy as np

from tflite_export.tfmot.kernels import train_kernels
from tflite_export.tfmot.training import check_training


def cluster(
    model,
    x,
    y,
    clusters=16,
    epochs=3,
    learning_rate=1e-4,
    batch_size=32,
    seed=0,
    verbose=True,
):
    """Train a classifier on while the weights of each kernel share few values.

    Every kernel of a Conv2D or Dense layer that is trainable takes its weights from
    `clusters` values of its own, which are trained; zeros that `prune` left stay zero.
    Files get no smaller and no faster by it, but compress better, float32 ones most:
    see `compressed_size`. Int8 scales each channel on its own and so multiplies the
    values.

    Trained are copies of the layers in tf_keras, on the CPU, by Adam; the learning
    rate falls to zero in half a cosine. Regularizers and constraints take no part.

    Args:
        model: A functional or a built Sequential `keras.Model` from one float32 input
            to logits or probabilities of shape (None, classes), trained before;
            factorised layers are folded.
        x: Array of training inputs, samples first. If the model was trained on images
            moved and mirrored at random, pass such copies of them.
        y: Array of their classes, integers of shape (samples,).
        clusters: Number of values for each kernel, 3 or more.
        epochs: Number of passes over `x`.
        learning_rate: Adam's, at the start.
        batch_size: Samples in a step.
        seed: For the order of the samples and for dropout.
        verbose: Whether to print loss and accuracy after each epoch.

    Returns:
        A copy of the folded model, not compiled, with at most `clusters` distinct
        weights in each kernel.

    Raises:
        ImportError: If tensorflow-model-optimization is not installed.
        RuntimeError: If the training diverges, or outputs differ on the way there or
            back.
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is wrong, or tf_keras has no like of a layer.

    Example:
    >>> plain = tflite_export.tfmot.cluster(model, x_train, y_train, clusters=16)
    >>> tflite_export.export(plain, "model.tflite")
    >>> print(tflite_export.tfmot.compressed_size("model.tflite"))

    References:
        - [Deep Compression](https://arxiv.org/abs/1510.00149)
    """
    if not isinstance(clusters, int) or isinstance(clusters, bool) or clusters < 3:
        raise ValueError(
            f"`clusters` must be an int of 3 or more. Received: {clusters!r}"
        )
    training = check_training(epochs, learning_rate, batch_size, seed)

    def check(name, kernel):
        _check(name, kernel, clusters)

    return train_kernels(
        "cluster", model, x, y, training, verbose, check, clusters=clusters
    )


def _check(name, kernel, clusters):
    distinct = len(np.unique(kernel))
    if distinct > clusters:
        raise RuntimeError(
            f"The kernel of '{name}' has {distinct} distinct weights after clustering, "
            f"and at most {clusters} were asked for."
        )

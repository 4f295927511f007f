"""Pruning by magnitude."""

import numpy as np

from tflite_export.tfmot.kernels import train_kernels
from tflite_export.tfmot.training import check_number, check_training


def prune(
    model,
    x,
    y,
    sparsity=0.5,
    epochs=5,
    learning_rate=1e-3,
    batch_size=32,
    seed=0,
    verbose=True,
):
    """Train a classifier on while its smallest weights become zero, and stay it.

    In every kernel of a Conv2D or Dense layer that is trainable, the share of zeros
    rises from 0 to `sparsity` over the first three quarters of the steps, fast at
    first, as 1 - (1 - t)³; the rest of the training is free. Files get no smaller and
    no faster by it, but compress better: see `compressed_size`. `quantize_aware` and
    `cluster` keep the zeros, and so does `tflite_export.export`.

    Trained are copies of the layers in tf_keras, on the CPU, by Adam; the learning
    rate falls to zero in half a cosine. Regularizers and constraints take no part.

    Args:
        model: A functional or a built Sequential `keras.Model` from one float32 input
            to logits or probabilities of shape (None, classes), trained before;
            factorised layers are folded.
        x: Array of training inputs, samples first. If the model was trained on images
            moved and mirrored at random, pass such copies of them.
        y: Array of their classes, integers of shape (samples,).
        sparsity: Share of zeros at the end, more than 0 and less than 1.
        epochs: Number of passes over `x`.
        learning_rate: Adam's, at the start.
        batch_size: Samples in a step.
        seed: For the order of the samples and for dropout.
        verbose: Whether to print loss and accuracy after each epoch.

    Returns:
        A copy of the folded model, not compiled, with exact zeros in its kernels.

    Raises:
        ImportError: If tensorflow-model-optimization is not installed.
        RuntimeError: If the training diverges, or outputs differ on the way there or
            back.
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is wrong, or tf_keras has no like of a layer.

    Example:
    >>> sparse = tflite_export.tfmot.prune(model, x_train, y_train, sparsity=0.7)
    >>> sparse.save("sparse.keras")

    References:
        - [Zhu and Gupta 2017](https://arxiv.org/abs/1710.01878)
    """
    check_number("sparsity", sparsity, 0, 1)
    training = check_training(epochs, learning_rate, batch_size, seed)

    def check(name, kernel):
        _check(name, kernel, sparsity)

    return train_kernels(
        "prune", model, x, y, training, verbose, check, sparsity=float(sparsity)
    )


def _check(name, kernel, sparsity):
    # The number of weights that stay is rounded, and is one at least.
    if np.mean(kernel == 0) < sparsity - 1 / kernel.size:
        raise RuntimeError(
            f"The kernel of '{name}' has {np.mean(kernel == 0):.1%} zeros after "
            f"pruning, and {sparsity:.1%} were asked for."
        )

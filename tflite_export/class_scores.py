"""Which outputs of a model are class scores: the largest channel is the class."""

import numpy as np


def class_scores(model, outputs, labels=None, y=None):
    """Names of the outputs that are class scores, as a tuple.

    Numbers alone do not tell logits from a regression, so what is known of the model
    has to: probabilities that sum to 1, a categorical loss, labels, targets.

    Args:
        model: The user's model, which may be compiled.
        outputs: A dict of Keras's outputs by name, in the order Keras has.
        labels: Names of the classes, or None.
        y: Targets, or None.
    """
    losses = _losses(model, list(outputs))
    alone = len(outputs) == 1
    return tuple(
        name
        for name, loss in zip(outputs, losses, strict=True)
        if outputs[name].ndim > 1
        and outputs[name].shape[-1] > 1
        and (
            _is_categorical(loss)
            or gives_probabilities(outputs[name])
            or (alone and (labels is not None or are_classes(y, outputs[name].shape)))
        )
    )


def gives_probabilities(outputs):
    """Whether outputs are probabilities of classes, and no logits."""
    return bool(
        (outputs >= 0).all() and np.allclose(outputs.sum(axis=-1), 1, atol=1e-3)
    )


def are_classes(y, shape):
    """Whether targets are classes, integers or one-hot, for outputs of a shape."""
    if not hasattr(y, "__array__") or len(shape) < 2 or shape[-1] < 2:
        return False
    y = np.asarray(y)
    if y.dtype.kind not in "biuf" or not np.isfinite(y).all():
        return False
    if y.shape[1:] == shape[1:]:
        return gives_probabilities(y)
    whole = np.array_equal(y, np.round(y))
    fits = y.shape[1:] in (shape[1:-1], (*shape[1:-1], 1))
    return bool(fits and whole and y.min() >= 0 and y.max() < shape[-1])


def _losses(model, names):
    """The loss of each output; None where there is none, or nobody knows."""
    import keras

    loss = getattr(model, "loss", None)
    if isinstance(loss, dict):
        return [loss.get(name) for name in names]
    if isinstance(loss, list | tuple):
        flat = keras.tree.flatten(loss)
        return flat if len(flat) == len(names) else [None] * len(names)
    return [loss] * len(names)


def _is_categorical(loss):
    if not isinstance(loss, str):
        loss = getattr(loss, "__name__", type(loss).__name__)
    # What Keras calls so, whatever the case: of the last axis one is right.
    return loss.lower() in ("crossentropy", "ce") or "categorical" in loss.lower()

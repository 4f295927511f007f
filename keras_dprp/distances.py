"""How far outputs are from a teacher's, by what the loss makes of them."""

import keras
from keras import ops
from keras.distillation import LogitsDistillation

from keras_dprp.live import losses

_CLASSES = {
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "sparse_categorical_crossentropy",
}
_LABELS = {"binary_crossentropy", "binary_focal_crossentropy"}


def between(answers, outputs, model, temperature):
    """The distance between a teacher's answers and a network's outputs, a scalar.

    Class scores are compared softened by the temperature, whether they are logits or
    probabilities, for one class of many or for each label by itself. Any other output
    is compared by the loss that the model was compiled with.

    Args:
        answers: The teacher's outputs, nested as the model's.
        outputs: The model's outputs.
        model: A compiled model that has computed its loss.
        temperature: Float > 0.
    """
    total = 0.0
    for path, loss, weight in losses.compiled_losses(model):
        given = _at(outputs, path, model)
        wanted = _at(answers, path, model)
        distance = _distance(loss, wanted, given, temperature)
        total = total + (1.0 if weight is None else weight) * distance
    return total


def _distance(loss, wanted, given, temperature):
    name = getattr(getattr(loss, "fn", None), "__name__", "")
    if name not in _CLASSES | _LABELS:
        return loss(wanted, given)
    config = loss.get_config()
    from_logits = config.get("from_logits", False)
    scores = (ops.cast(each, "float32") for each in (wanted, given))
    if name in _CLASSES:
        axis = config.get("axis", -1)
        logits = [ops.moveaxis(x if from_logits else _log(x), axis, -1) for x in scores]
    else:
        logits = [_of_two(x if from_logits else _log(x) - _log(1 - x)) for x in scores]
    # An object: of its own default, a function, Keras 3.15 takes no softmax.
    divergence = keras.losses.KLDivergence()
    return LogitsDistillation(temperature, divergence).compute_loss(*logits)


def _log(probabilities):
    return ops.log(ops.maximum(probabilities, keras.config.epsilon()))


def _of_two(logits):
    """The logits of a label and of its absence, as those of two classes."""
    return ops.stack([logits, ops.zeros_like(logits)], axis=-1)


def _at(outputs, path, model):
    for key in path:
        if isinstance(key, str) and isinstance(outputs, (list, tuple)):
            key = model.output_names.index(key)
        outputs = outputs[key]
    return outputs

"""Teachers: a network learns also from a trained one, or from what it was itself.

`factorize(teacher=...)` puts a `Distillation` into the network, where the augmented
inputs come by. It passes them on, and in training shows them to the teacher; what the
teacher says of them becomes a part of the loss.
"""

import keras

from keras_dprp import arguments
from keras_dprp.augmentation import augmentation_of, network_behind
from keras_dprp.fold import fold, set_stock_weights
from keras_dprp.graph import flatten_layers, inputs_of, is_graph, outputs_of
from keras_dprp.layers import SVDLayer
from keras_dprp.layers.distillation import Distillation
from keras_dprp.rebuild import rebuild

SELF = "self"


class Teacher:
    """Who teaches a network, and how.

    Args:
        model: "self", so that from the `start` of a `RankPruningCallback` on the
            network learns also from what it was then; or a trained `keras.Model` of
            the same outputs, which teaches from the first step.
        share: Float in (0, 1]. How much of the loss is about the teacher's answers.
        temperature: Float > 0. How soft the class scores are that are compared.

    Raises:
        TypeError: If `model` is neither "self" nor a Keras model.
        ValueError: If a number is outside its range, or the model is no graph.

    Example:
    >>> teacher = keras_dprp.Teacher("self", share=0.9)
    >>> model = keras_dprp.factorize(model, teacher=teacher)

    References:
        [Distilling the knowledge in a neural network](
        https://arxiv.org/abs/1503.02531)
    """

    def __init__(self, model=SELF, share=0.5, temperature=4.0):
        if model != SELF and not (isinstance(model, keras.Model) and is_graph(model)):
            error = ValueError if isinstance(model, (str, keras.Model)) else TypeError
            raise error(
                'A teacher must be "self" or a trained keras.Model, functional or '
                f"Sequential. Received: {model!r} (of type {type(model).__name__})"
            )
        arguments.number(share, "share")
        arguments.number(temperature, "temperature")
        if not 0 < share <= 1:
            raise ValueError(f"`share` must be in (0, 1]. Received: share={share}")
        if not 0 < temperature < float("inf"):
            raise ValueError(
                "`temperature` must be a finite number > 0. "
                f"Received: temperature={temperature}"
            )
        self.model, self.share, self.temperature = model, share, temperature


def get(identifier):
    """A `Teacher` from None, "self", a model, or a `Teacher`."""
    if identifier is None or isinstance(identifier, Teacher):
        return identifier
    return Teacher(identifier)


def observer(teacher, model, augmentation):
    """The layer that shows a teacher what a network sees.

    Args:
        teacher: A `Teacher`.
        model: The model that is taught.
        augmentation: The last of its operations that augment inputs.
    """
    layer = Distillation(teacher.model == SELF, teacher.share, teacher.temperature)
    if layer.own:
        return layer
    network = fold(teacher.model)
    own_augmentation = augmentation_of(network)
    if augmentation and not own_augmentation:
        raise ValueError(
            "A teacher must take what the network sees behind its augmentation. "
            f"Received: teacher '{network.name}' without augmentation layers, and "
            f"model '{model.name}' with {[each.name for each in augmentation]}. "
            "Give both the same, or move them into the data pipeline"
        )
    seen = network_behind(network, own_augmentation if augmentation else [])
    shown = [each.output for each in augmentation] or inputs_of(model)
    _check_same_shapes("inputs", shown, seen.inputs, network)
    _check_same_shapes("outputs", outputs_of(model), outputs_of(seen), network)
    layer.build(None)
    layer.learn_from(seen)
    return layer


def dense_network(model):
    """A model with a `Distillation` as it would be without factors, from that on.

    All of its layers are stock ones, with the weights of dense layers.
    """

    def stock(layer):
        if isinstance(layer, Distillation):
            # One without what this one remembers.
            return [type(layer).from_config(layer.get_config())]
        return [layer.stock_layer()] if isinstance(layer, SVDLayer) else None

    copy, places = rebuild(model, stock)
    for layer, stand_ins in places.items():
        if isinstance(layer, SVDLayer):
            set_stock_weights(layer, stand_ins)
    return network_behind(copy, [x for x in copy.layers if isinstance(x, Distillation)])


def distillations(model):
    """The `Distillation` layers of a model: one, or none.

    Raises:
        ValueError: If one belongs to a model nested in this one, whose outputs may not
            be those that the loss is about.
    """
    layers = [x for x in flatten_layers(model) if isinstance(x, Distillation)]
    inner = [layer.name for layer in layers if layer not in model.layers]
    if inner:
        raise ValueError(
            "A teacher must belong to the model that is fitted: call "
            "`factorize(..., teacher=...)` on the whole of it, augmentation included. "
            f"Received: model '{model.name}', in which {inner} is in a model nested in "
            "it"
        )
    return layers


def _check_same_shapes(what, expected, received, teacher):
    expected, received = (
        [tuple(tensor.shape) for tensor in keras.tree.flatten(tensors)]
        for tensors in (expected, received)
    )
    if expected != received:
        raise ValueError(
            f"A teacher must have {what} of shapes {expected}, as what it teaches has "
            f"them behind its augmentation. Received: teacher '{teacher.name}' with "
            f"{what} of shapes {received}"
        )

"""One event: exact SVD of every kernel, ranks by a rule, layers of these ranks."""

import numpy as np

from keras_dprp.graph import check_is_model, flatten_layers
from keras_dprp.layers import SVDLayer
from keras_dprp.live import changes, models, optimizers
from keras_dprp.plans import make_plan
from keras_dprp.rules import make_rule
from keras_dprp.size import Size


def plan(
    model,
    target=None,
    budget=None,
    metric="macs",
    profile=None,
    quantization=None,
    threshold=None,
    multiple_of=1,
    min_rank=1,
):
    """What an event would give each layer and the network today; changes nothing.

    Args:
        model: A built model as `factorize` gives it. One of `target`, `budget` and
            `threshold` says how small it is to be.
        target: None, or the share of `metric` to keep, in (0, 1].
        budget: None, or the same as an amount.
        metric: "macs", "parameters", "bytes" or "latency".
        profile: None, or for "latency" the name of a processor or the path of a
            measured profile, as for `RankPruningCallback`.
        quantization: None (float32), "float16", "dynamic" or "int8": of the file.
        threshold: None, or the largest share of s² to cut off a layer.
        multiple_of: Int. Ranks are multiples of it.
        min_rank: Int. No rank falls below it.

    Returns:
        A `Plan`; `print` shows it.

    Raises:
        TypeError, ValueError: As `prune`.

    Example:
    >>> print(keras_dprp.plan(keras_dprp.factorize(model), target=0.3))
    """
    size = Size(
        target, budget, metric, profile, quantization, threshold, multiple_of, min_rank
    )
    return _find(model, size)[0]


def prune(  # noqa: D417
    model,
    target=None,
    budget=None,
    metric="macs",
    profile=None,
    quantization=None,
    threshold=None,
    multiple_of=1,
    min_rank=1,
):
    """Cut a network once, without `fit`: for training loops of one's own.

    The model's optimizer, if it is compiled, follows. Functions that were compiled by
    `tf.function` or `jax.jit` before must be made anew: they hold the old variables.

    Args:
        model, target, budget, metric, profile, quantization: As for `plan`.
        threshold, multiple_of, min_rank: As for `plan`.

    Returns:
        The `Plan` that was carried out.

    Raises:
        TypeError: If `model` is no Keras model, or an argument has a wrong type.
        ValueError: If there is no factorised layer, the target is out of reach, or
            weights are not finite.

    Example:
    >>> model = keras_dprp.factorize(trained)
    >>> keras_dprp.prune(model, target=0.3).macs_kept
    0.2996
    """
    size = Size(
        target, budget, metric, profile, quantization, threshold, multiple_of, min_rank
    )
    found, event = _find(model, size)
    models.adopt(model)
    optimizers.check_slots(model)
    event.carry_out()
    return found


def layers_to_prune(model, who):
    """The factorised layers that training can change; a ValueError without any.

    `who` needs them, says the message.
    """
    layers = [
        layer
        for layer in flatten_layers(model)
        if isinstance(layer, SVDLayer) and layer.trainable
    ]
    if not layers:
        raise ValueError(
            f"{who} needs a model with trainable factorised layers: call "
            "`model = keras_dprp.factorize(model)` before `compile`. "
            f"Received: model '{model.name}' without any"
        )
    unbuilt = [layer.name for layer in layers if not layer.built]
    if unbuilt:
        raise ValueError(
            f"{who} needs a built model: give it a keras.Input, or call it on a batch "
            f"of data first. Received: model '{model.name}' with unbuilt layers "
            f"{unbuilt}"
        )
    return layers


class Event:
    """The ranks a `Rule` asks for, with kernels as they are now; None stays dense.

    A kernel that holds NaN or infinity is a ValueError.
    """

    def __init__(self, rule, progress=1.0):
        self._decompositions = {layer: _decompose(layer) for layer in rule.layers}
        spectra = {layer: each.s for layer, each in self._decompositions.items()}
        self.ranks = rule.ranks(spectra, progress)

    def carry_out(self):
        """Give the layers the first singular values of their kernels."""
        new = {}
        for layer, rank in self.ranks.items():
            if rank is None and layer.terms:
                rank = layer.rank  # Penalties are for factors.
            if rank is not None:
                new[layer] = layer.change_to(self._decompositions[layer].at_rank(rank))
        changes.apply(new)


def _decompose(layer):
    for model in models.holders(layer):
        models.newest_values(model)
    try:
        return layer.decompose()
    except np.linalg.LinAlgError as error:
        raise ValueError(
            f"The weights of layer '{layer.name}' must be finite. Received: NaN or "
            "infinity; the training has diverged, lower the learning rate"
        ) from error


def _find(model, size):
    """The `Plan` for a model, and the `Event` that carries it out."""
    check_is_model(model)
    if not size.given:
        raise ValueError(
            "One of `target`, `budget` and `threshold` must say how small the network "
            "is to be. Received: none of them"
        )
    layers = layers_to_prune(model, "Pruning")
    cost = size.cost_of(model, with_bytes=True)
    event = Event(make_rule(size, cost, layers))
    return make_plan(cost, event.ranks, size.metric), event

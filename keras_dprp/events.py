"""One event: exact SVD of every kernel, ranks by a rule, layers of these ranks."""

from dataclasses import dataclass

import numpy as np

from keras_dprp import arguments
from keras_dprp.costs import NetworkCost
from keras_dprp.graph import check_is_model, flatten_layers
from keras_dprp.layers import SVDLayer
from keras_dprp.live import changes, models, optimizers
from keras_dprp.rules import BudgetRule, Steps, ThresholdRule


@dataclass(frozen=True)
class Plan:
    """What an event gives a network.

    Attributes:
        ranks: Dict from layer path to rank; None for a layer that stays dense.
        parameters, macs: Ints: what the network costs then.
        parameters_kept, macs_kept: Floats: shares of the dense network's.
    """

    ranks: dict
    parameters: int
    macs: int
    parameters_kept: float
    macs_kept: float

    def __str__(self):
        width = max((len(path) for path in self.ranks), default=0)
        lines = [
            f"{path:<{width}}  {'dense' if rank is None else rank}"
            for path, rank in self.ranks.items()
        ]
        lines.append(
            f"{self.parameters_kept:.1%} of the parameters ({self.parameters:,}) and "
            f"{self.macs_kept:.1%} of the MACs ({self.macs:,}) are kept"
        )
        return "\n".join(lines)


def plan(
    model,
    target=None,
    budget=None,
    metric="macs",
    threshold=None,
    multiple_of=1,
    min_rank=1,
):
    """What ranks, parameters and MACs an event would give today; changes nothing.

    Args:
        model: A built model as `factorize` gives it. One of `target`, `budget` and
            `threshold` says how small it is to be.
        target: None, or the share of `metric` to keep, in (0, 1].
        budget: None, or the same as an amount.
        metric: "macs" or "parameters".
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
    cost, rule, decompositions = _prepared(
        model, target, budget, metric, threshold, multiple_of, min_rank
    )
    ranks = rule.ranks({layer: x.s for layer, x in decompositions.items()})
    return _plan_of(cost, ranks)


def prune(
    model,
    target=None,
    budget=None,
    metric="macs",
    threshold=None,
    multiple_of=1,
    min_rank=1,
):
    """Cut a network once, without `fit`: for training loops of one's own.

    The model's optimizer, if it is compiled, follows. Functions that were compiled by
    `tf.function` or `jax.jit` before must be made anew: they hold the old variables.

    Args:
        model: A built model as `factorize` gives it. One of `target`, `budget` and
            `threshold` says how small it is to be.
        target: None, or the share of `metric` to keep, in (0, 1].
        budget: None, or the same as an amount.
        metric: "macs" or "parameters".
        threshold: None, or the largest share of s² to cut off a layer.
        multiple_of: Int. Ranks are multiples of it.
        min_rank: Int. No rank falls below it.

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
    cost, rule, decompositions = _prepared(
        model, target, budget, metric, threshold, multiple_of, min_rank
    )
    optimizers.check_slots(model)
    ranks = rule.ranks({layer: x.s for layer, x in decompositions.items()})
    cut(decompositions, ranks)
    return _plan_of(cost, ranks)


def layers_to_prune(model, who):
    """The factorised layers of a model that training can change.

    Args:
        model: A `keras.Model`.
        who: Str, which function needs them, for the message.

    Raises:
        ValueError: If there are none, or they are not built.
    """
    layers = [layer for layer in flatten_layers(model) if isinstance(layer, SVDLayer)]
    layers = [layer for layer in layers if layer.trainable]
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


def make_rule(cost, layers, target, budget, metric, threshold, steps):
    """The rule that arguments ask for; None if they leave it to the training."""
    if target is not None:
        return BudgetRule(cost, layers, metric, target * cost.dense(metric), steps)
    if budget is not None:
        return BudgetRule(cost, layers, metric, budget, steps)
    return None if threshold is None else ThresholdRule(layers, threshold, steps)


def decompositions_of(layers):
    """The exact SVD of every layer's kernel, by layer.

    Raises:
        ValueError: If a kernel holds NaN or infinity.
    """
    result = {}
    for layer in layers:
        for model in models.holders(layer):
            models.newest_values(model)
        try:
            result[layer] = layer.decompose()
        except np.linalg.LinAlgError as error:
            raise ValueError(
                f"The weights of layer '{layer.name}' must be finite. Received: NaN or "
                "infinity; the training has diverged, lower the learning rate"
            ) from error
    return result


def cut(decompositions, ranks):
    """Give layers the first singular values of their kernels.

    Args:
        decompositions: The decomposition of each layer's kernel, by layer.
        ranks: Ranks by layer. One of None stays dense; but a layer with penalties is
            factorised at full rank, since these are for factors.
    """
    new = {}
    for layer, decomposition in decompositions.items():
        rank = ranks[layer]
        if rank is None and layer.terms:
            rank = layer.rank
        if rank is not None:
            new[layer] = layer.change_to(decomposition.at_rank(rank))
    changes.apply(new)


def _prepared(model, target, budget, metric, threshold, multiple_of, min_rank):

    check_is_model(model)
    arguments.check_size(target, budget, metric, threshold)
    arguments.check_steps(multiple_of, min_rank)
    if target is None and budget is None and threshold is None:
        raise ValueError(
            "One of `target`, `budget` and `threshold` must say how small the network "
            "is to be. Received: none of them"
        )
    layers = layers_to_prune(model, "Pruning")
    cost, steps = NetworkCost(model), Steps(multiple_of, min_rank)
    rule = make_rule(cost, layers, target, budget, metric, threshold, steps)
    rule.check_reachable()
    return cost, rule, decompositions_of(layers)


def _plan_of(cost, ranks):
    numbers = {metric: cost.at(metric, ranks) for metric in ("parameters", "macs")}
    shares = {
        f"{m}_kept": n / cost.dense(m) for m, n in numbers.items() if cost.dense(m)
    }
    paths = {layer.path: rank for layer, rank in ranks.items()}
    return Plan(paths, **numbers, **shares)

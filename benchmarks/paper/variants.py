"""DPRP with one of its parts taken out or done otherwise, for the ablation."""

import dataclasses
import functools

import keras
import numpy as np
from keras import ops

import keras_dprp as dprp
from keras_dprp import penalties
from keras_dprp.decomposition import Decomposition
from keras_dprp.layers.learning import learning_factors


@keras.saving.register_keras_serializable(package="keras_dprp_paper")
class MinorHoyer(penalties.L1):
    """Hoyer's ratio with only the minor singular values in its numerator.

    What the rule keeps is then left alone, but for its share of the norm.
    """

    def __call__(self, U, s, V, kept_rank):
        if len(s.shape) > 1:
            raise ValueError(
                "MinorHoyer needs kernels without groups. "
                f"Received: s of shape {tuple(s.shape)}"
            )
        norm = ops.sqrt(ops.sum(ops.square(s)) + keras.config.epsilon())
        return super().__call__(U, s, V, kept_rank) / norm


class PlainFactors(dprp.RankPruningCallback):
    """U, s and V learn from beginning to end, by the gradients that they have."""

    _dense_warm_up = False


class WithoutExactSVD(PlainFactors):
    """Cuts the columns of U and V where |s| is small, and leaves the others alone.

    Only the structure loss then keeps them close to a singular value decomposition.
    """

    def decompose(self, layer):
        U, s, V = (ops.convert_to_numpy(x).astype("float64") for x in layer.factors())
        if s.ndim > 1:
            raise ValueError(
                "WithoutExactSVD needs kernels without groups. "
                f"Received: layer '{layer.name}' with {len(s)} groups"
            )
        order = np.argsort(-np.abs(s))
        permutation = np.eye(len(s))[:, order]
        # A negative value is the same product with its column of U mirrored.
        mirrored = permutation * np.where(s[order] < 0, -1.0, 1.0)
        return Decomposition(
            U=U @ mirrored,
            s=np.abs(s[order]),
            V=V @ permutation,
            U_map=mirrored,
            V_map=permutation,
            U_back=mirrored.T,
            V_back=permutation.T,
            old_s=s,
        )


class UniformRule:
    """The same share of the full rank for every layer, as large as the budget lets."""

    def __init__(self, budget_rule):
        self.budget_rule = budget_rule

    def ranks(self, layers, spectra, progress):
        rule, budget = self.budget_rule, self.budget_rule.budget(progress)
        low, high = 0.0, 1.0
        for _ in range(30):
            middle = (low + high) / 2
            ranks = self._at(layers, middle)
            fits = rule.cost.at(rule.metric, ranks) <= budget
            low, high = (middle, high) if fits else (low, middle)
        return self._at(layers, low)

    def _at(self, layers, share):
        smallest = self.budget_rule.min_rank
        return {
            id(layer): min(max(round(share * layer.full_rank), smallest), layer.rank)
            for layer in layers
        }


class WithUniformRanks(PlainFactors):
    """Spends the budget without a look at the singular values."""

    def _make_rule(self):
        return UniformRule(super()._make_rule())


class StopsWhenReady(PlainFactors):
    """Takes the compression term off at the event from which the target costs little.

    That is when the ranks of the end would cut no more off a layer than `threshold`
    allows without a target. Structure goes on, so that s stays what is cut by.
    """

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        # Also where a `fit` goes on between two events, as if it had never stopped.
        decides = self.schedule.is_event(epoch) or not self.epoch_logs
        pulls = decides and self.schedule.prunes(epoch)
        if pulls and self._largest_cut() <= self.threshold:
            for layer in self.layers:
                layer.set_penalties(structure=True, compression=False)

    def _largest_cut(self):
        """The largest share of s² that the ranks of the end would take from a layer."""
        spectra = [(layer.singular_values(), layer.kept_rank) for layer in self.layers]
        return max(
            np.square(s[..., int(kept_rank) :]).sum() / np.square(s).sum()
            for s, kept_rank in spectra
        )


# Of the largest step that a direction can make in a kernel; below this share directions
# are slowed down, or a value near zero would let its columns jump.
DAMPING = 1e-2


class WithDenseWarmUpAndSteps(dprp.RankPruningCallback):
    """Steps of U and V move a product as they would move a dense kernel.

    The gradient of a column of U holds its singular value, and so does what a step of
    it does to the product: large directions learn fast and small ones hardly. Here
    every column's gradient is divided by that square.

    References:
        [Accelerating ill-conditioned low-rank matrix estimation via scaled gradient
        descent](https://arxiv.org/abs/2005.08898)
    """

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        for layer in self.layers:
            layer._learning_factors = functools.partial(factors_of_dense_steps, layer)

    def changes(self, layer, decomposition):
        before = (1.0, 1.0) if layer.learns_dense else step_lengths(*layer.factors())
        after = step_lengths(decomposition.U, decomposition.s, decomposition.V)
        lengths = dict(zip("UV", zip(before, after, strict=True), strict=True))
        return [
            scaled_change(change, *lengths.get(change.variable.name, (1.0, 1.0)))
            for change in super().changes(layer, decomposition)
        ]


class WithDenseSteps(WithDenseWarmUpAndSteps):
    """Such steps from the beginning."""

    _dense_warm_up = False


def factors_of_dense_steps(layer):
    """U, s and V, with gradients of U and V that are scaled once factors learn."""
    U, s, V = layer.factors()
    if layer.learns_dense:
        return learning_factors(U, s, V, dense=True)
    of_U, of_V = step_lengths(U, s, V)
    return scaled_gradient(U, of_U), s, scaled_gradient(V, of_V)


def scaled_change(change, before, after):
    """A change of a factor whose slots hold gradients over other lengths afterwards."""
    after = ops.convert_to_numpy(after)
    if change.source is not None:
        first, *others = change.kernel_maps
        return dataclasses.replace(change, kernel_maps=(first / after, *others))
    ratio = np.reshape(ops.convert_to_numpy(before), (-1, 1)) / after
    return dataclasses.replace(change, gradient_map=change.gradient_map * ratio)


def step_lengths(U, s, V):
    """How far equal steps of every column of U, and of V, move the product, damped.

    Twice that, as both of them take the step that is meant.
    """
    both = (ops.square(s) * ops.sum(ops.square(other), axis=-2) for other in (V, U))
    return tuple(2 * (each + DAMPING * ops.max(each)) for each in both)


def scaled_gradient(factor, lengths):
    """The factor, with its gradient over the lengths."""
    fixed = ops.stop_gradient(factor)
    return fixed + ops.stop_gradient(1 / lengths) * (factor - fixed)


# Settings that are older than the default's dense warm-up say "plain-factors".
CLASSES = {
    None: dprp.RankPruningCallback,
    "plain-factors": PlainFactors,
    "no-exact-svd": WithoutExactSVD,
    "dense-steps": WithDenseSteps,
    "dense-warm-up": dprp.RankPruningCallback,
    "dense-warm-up-and-steps": WithDenseWarmUpAndSteps,
    "uniform-ranks": WithUniformRanks,
    "stops-when-ready": StopsWhenReady,
}

"""DPRP with one of its parts taken out or done otherwise, for the ablation."""

import dataclasses
import functools

import keras
import numpy as np
from keras import ops

import keras_dprp as dprp
from keras_dprp import penalties, resize
from keras_dprp.decomposition import Decomposition


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


class WithoutExactSVD(dprp.RankPruningCallback):
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


class WithUniformRanks(dprp.RankPruningCallback):
    """Spends the budget without a look at the singular values."""

    def _make_rule(self):
        return UniformRule(super()._make_rule())


class StopsWhenReady(dprp.RankPruningCallback):
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


class WithDenseSteps(dprp.RankPruningCallback):
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
            take_dense_steps(layer, were_scaled=True)


def take_dense_steps(layer, were_scaled):
    """Scale the gradients of a layer, and with them its optimizer's slots at events."""
    layer.factors = functools.partial(factors_of_dense_steps, layer)
    layer.changes = functools.partial(changes_of_dense_steps, layer, were_scaled)


def factors_of_dense_steps(layer):
    """U, s and V, with gradients of U and V that are scaled."""
    U, s, V = type(layer).factors(layer)
    of_U, of_V = step_lengths(U, s, V)
    return scaled_gradient(U, of_U), s, scaled_gradient(V, of_V)


def changes_of_dense_steps(layer, were_scaled, decomposition):
    """What becomes of U, s and V, whose slots hold scaled gradients afterwards."""
    changes = type(layer).changes(layer, decomposition)
    old = step_lengths(*type(layer).factors(layer)) if were_scaled else (1.0, 1.0)
    new = step_lengths(decomposition.U, decomposition.s, decomposition.V)
    # The next event finds them scaled.
    layer.changes = functools.partial(changes_of_dense_steps, layer, True)
    for place, before, after in zip((0, 2), old, new, strict=True):
        change = changes[place]
        ratio = np.reshape(before, (-1, 1)) / ops.convert_to_numpy(after)
        changes[place] = dataclasses.replace(
            change, gradient_map=change.gradient_map * ratio
        )
    return changes


def step_lengths(U, s, V):
    """How far equal steps of every column of U, and of V, move the product, damped.

    Twice that, as both of them take the step that is meant.
    """
    both = (ops.square(s) * ops.sum(ops.square(other), axis=-2) for other in (V, U))
    return tuple(2 * (each + DAMPING * ops.max(each)) for each in both)


def scaled_gradient(factor, lengths):
    """The factor, with its gradient over the lengths."""
    fixed = ops.stop_gradient(factor)
    return fixed + (factor - fixed) / ops.stop_gradient(lengths)


class WithDenseWarmUp(dprp.RankPruningCallback):
    """Until ranks fall, one factor is the kernel itself, and the others are fixed."""

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        for layer in self.layers:
            hold_kernel(layer)

    def on_epoch_begin(self, epoch, logs=None):
        if not self.epoch_logs or epoch == self.schedule.start:
            for layer in self.layers:
                self._learn(layer, epoch)
        super().on_epoch_begin(epoch, logs)

    def _learn(self, layer, epoch):
        warms_up = epoch < self.schedule.start
        factors = kernel_alone if warms_up else type(layer).factors
        layer.factors = functools.partial(factors, layer)
        # No event may come that would do so.
        resize.retrace(layer)


class WithDenseWarmUpAndSteps(WithDenseWarmUp):
    """Both: as a dense network before ranks fall, and as far as it goes afterwards."""

    def _learn(self, layer, epoch):
        super()._learn(layer, epoch)
        if epoch >= self.schedule.start:
            # Later than there a `fit` goes on with what was scaled before.
            take_dense_steps(layer, were_scaled=epoch > self.schedule.start)


def hold_kernel(layer):
    """Write the kernel as itself times the identity, from the longer side of it."""
    U, s, V = (ops.convert_to_numpy(factor) for factor in layer.factors())
    product, one = (U * s) @ V.T, np.eye(len(s))
    tall = len(U) >= len(V)
    layer.U.assign(product if tall else one)
    layer.V.assign(one if tall else product.T)
    layer.s.assign(np.ones_like(s))


def kernel_alone(layer):
    """U, s and V of `hold_kernel`, of which only the kernel learns."""
    U, s, V = type(layer).factors(layer)
    if U.shape[0] >= V.shape[0]:
        return U, ops.stop_gradient(s), ops.stop_gradient(V)
    return ops.stop_gradient(U), ops.stop_gradient(s), V


CLASSES = {
    None: dprp.RankPruningCallback,
    "no-exact-svd": WithoutExactSVD,
    "dense-steps": WithDenseSteps,
    "dense-warm-up": WithDenseWarmUp,
    "dense-warm-up-and-steps": WithDenseWarmUpAndSteps,
    "uniform-ranks": WithUniformRanks,
    "stops-when-ready": StopsWhenReady,
}

"""The callback that makes ranks fall in one `fit`."""

import contextlib
import warnings

import keras
import numpy as np

from keras_dprp import resize
from keras_dprp.callbacks import checks
from keras_dprp.callbacks.schedule import plan
from keras_dprp.layers import SVDLayer
from keras_dprp.layers.changes import to_factors, to_kernel
from keras_dprp.ranks.costs import METRICS, NetworkCost
from keras_dprp.ranks.rules import BudgetRule, ThresholdRule

# An event that saves less than this share of what is left does not pay for its retrace.
SMALLEST_SAVING = 0.03


class RankPruningCallback(keras.callbacks.Callback):
    """Lowers the ranks of factorised layers, and their real shapes, during one `fit`.

    The training warms up as that of the dense network, prunes from `start` to `stop`,
    then leaves the small network to train freely; the penalties are on while it prunes.
    At an event the exact SVD of every product is taken, ranks are chosen, and variables
    and optimizer slots get their new shapes; training goes on where it was.

    Every epoch `logs` gets `parameters_kept` and `macs_kept` (shares of the dense
    network that `fold` would keep) and `structure_penalty` and `compression_penalty`
    (what these terms add to the loss; 0 in the epochs in which they are off).

    Args:
        target: None, or a float in (0, 1]: the share of `metric` to keep. Ranks then
            come from a budget shared out over all layers, lowered from event to
            event.
        metric: "parameters" or "macs": what `target` is a share of.
        threshold: Float in [0, 1). Without a `target`: the largest share of s² that
            an event may cut off a layer.
        start: Int or None. Epoch of the first event. Defaults to a quarter of the
            epochs.
        stop: Int or None. Epoch of the last event. Defaults to six tenths of them.
        every: Int or None. Epochs between events. Defaults to about six events.
        multiple_of: Int. Ranks are rounded up to multiples of it: 8 or 16 where a
            processor runs in such steps.
        min_rank: Int. No rank falls below it.
        verbose: 0 (silent) or 1 (a line for every event).

    Attributes:
        history: A list with one dict for every event that changed ranks, and one for
            the ranks at the start: "epoch", "ranks" (by layer path),
            "parameters_kept" and "macs_kept".

    Raises:
        TypeError, ValueError: For arguments outside their range, and in `fit` for a
            model without factorised layers.

    Example:
    >>> model = keras_dprp.factorize(model)
    >>> model.compile("adam", "sparse_categorical_crossentropy")
    >>> model.fit(x, y, epochs=40, callbacks=[keras_dprp.RankPruningCallback()])

    References:
        [Convolutional Neural Network Compression via Dynamic Parameter Rank
        Pruning](https://arxiv.org/abs/2401.08014)
    """

    # Whether kernels of full rank learn by themselves until `start`, and not by their
    # factors: see `layers/learning.py`.
    _dense_warm_up = True

    def __init__(
        self,
        target=None,
        metric="parameters",
        threshold=0.01,
        start=None,
        stop=None,
        every=None,
        multiple_of=1,
        min_rank=1,
        verbose=1,
    ):
        super().__init__()
        checks.share(target, "target")
        checks.one_of(metric, METRICS, "metric")
        checks.threshold(threshold)
        checks.whole_number(start, "start", 0, optional=True)
        checks.whole_number(stop, "stop", start or 0, optional=True)
        checks.whole_number(every, "every", 1, optional=True)
        checks.whole_number(multiple_of, "multiple_of", 1)
        checks.whole_number(min_rank, "min_rank", 1)
        self.target = target
        self.metric = metric
        self.threshold = threshold
        self.start = start
        self.stop = stop
        self.every = every
        self.multiple_of = multiple_of
        self.min_rank = min_rank
        self.verbose = verbose
        self.history: list[dict] = []
        self.epoch_logs: list[dict] = []

    def set_model(self, model):
        super().set_model(model)
        # Before any callback's `on_train_begin`, where a backup may restore weights.
        resize.adopt(model)

    def on_train_begin(self, logs=None):
        self.layers = self._find_layers()
        self.history, self.epoch_logs = [], []
        self.schedule = plan(
            self.params.get("epochs") or 1, self.start, self.stop, self.every
        )
        self.rule = self._make_rule()
        self._phase = None

    def on_epoch_begin(self, epoch, logs=None):
        if not self.history:
            self._record(epoch)
            self._warn_if_too_late(epoch)
            with self._told_if_not_finite(epoch):
                self._choose_learning(epoch)
        if self.schedule.is_event(epoch):
            with self._told_if_not_finite(epoch):
                self._prune(epoch)
        phase = self.schedule.prunes(epoch)
        if phase != self._phase:
            self._phase = phase
            for layer in self.layers:
                layer.set_penalties(structure=phase, compression=phase)
        if phase:
            self._mark_minor_singular_values()

    def on_epoch_end(self, epoch, logs=None):
        logs = {} if logs is None else logs
        logs.update(self._kept())
        logs["structure_penalty"] = sum(x.structure_penalty() for x in self.layers)
        logs["compression_penalty"] = sum(x.compression_penalty() for x in self.layers)
        self.epoch_logs.append({"epoch": epoch, **logs})

    def decompose(self, layer):
        """The `Decomposition` of a layer's product from which an event takes ranks."""
        return layer.decompose()

    def changes(self, layer, decomposition):
        """What becomes of a layer's factors and their slots: a list of `Change`."""
        return to_factors(layer, decomposition)

    def _find_layers(self):
        layers = [
            layer
            for layer in resize.flatten_layers(self.model)
            if isinstance(layer, SVDLayer) and layer.trainable
        ]
        if not layers:
            raise ValueError(
                "RankPruningCallback needs a model with trainable factorised layers: "
                "call `model = keras_dprp.factorize(model)` before `compile`. "
                f"Received: model '{self.model.name}' without any"
            )
        unbuilt = [layer.name for layer in layers if not layer.built]
        if unbuilt:
            raise ValueError(
                "RankPruningCallback needs a built model: give it a keras.Input, or "
                "call it on a batch of data first. "
                f"Received: model '{self.model.name}' with unbuilt layers {unbuilt}"
            )
        return layers

    def _make_rule(self):
        self.cost = NetworkCost(self.model)
        if self.target is None:
            return ThresholdRule(self.threshold, self.multiple_of, self.min_rank)
        rule = BudgetRule(
            self.cost, self.target, self.metric, self.multiple_of, self.min_rank
        )
        smallest = rule.smallest_share(self.layers)
        if smallest > self.target:
            warnings.warn(
                f"target={self.target} cannot be met: the smallest ranks keep "
                f"{smallest:.3f} of the {self.metric}. Training goes down to these.",
                stacklevel=2,
            )
        return rule

    def _choose_learning(self, epoch):
        """How kernels learn in the first epoch of a `fit`, which may be any epoch."""
        for layer in self.layers:
            # Weights may have been assigned past everything that tells the layer.
            layer.recognize_learning()
        if self._dense_warm_up and epoch < self.schedule.start:
            whole = [layer for layer in self.layers if layer.rank == layer.full_rank]
            # Ftrl and ScheduleFreeAdamW compute weights out of their slots, also where
            # there is no gradient: these have to be there for the change.
            resize.build_optimizer(self.model)
            resize.apply(whole, sum(map(to_kernel, whole), []))
            for layer in whole:
                layer.learn_dense(True)
        elif not self.schedule.is_event(epoch):
            # They have warmed up in another `fit`, and this one does not.
            dense = [layer for layer in self.layers if layer.learns_dense]
            ranks = {id(layer): layer.rank for layer in dense}
            self._replace_factors(dense, self._decompositions(dense), ranks)

    def _warn_if_too_late(self, epoch):
        if self.target is not None and epoch > self.schedule.stop:
            kept = self.cost.kept(self.metric)
            if kept > self.target:
                warnings.warn(
                    f"This `fit` goes on in epoch {epoch}, after the last event in "
                    f"epoch {self.schedule.stop}: {kept:.1%} of the {self.metric} stay "
                    f"kept, target={self.target}. Pass a later `start` and `stop`.",
                    stacklevel=2,
                )

    @contextlib.contextmanager
    def _told_if_not_finite(self, epoch):
        """A warning in place of the error where there is nothing to decompose."""
        try:
            yield
        except np.linalg.LinAlgError:
            warnings.warn(
                f"No ranks are pruned in epoch {epoch}: the weights are not finite. "
                "The training has diverged; lower the learning rate.",
                stacklevel=2,
            )
            # Penalties, which may set in now, are for factors.
            for layer in self.layers:
                layer.learn_dense(False)

    def _prune(self, epoch):
        decompositions = self._decompositions(self.layers)
        spectra = {key: each.s for key, each in decompositions.items()}
        ranks = self.rule.ranks(self.layers, spectra, self.schedule.progress(epoch))
        pays = self._pays(ranks, epoch)
        if not pays:
            ranks = {id(layer): layer.rank for layer in self.layers}
        # Also without new ranks: the exact SVD makes the bases orthonormal again.
        self._replace_factors(self.layers, decompositions, ranks)
        for layer in self.layers:
            layer.kept_rank.assign(float(layer.rank))
        if pays:
            self._record(epoch)

    def _decompositions(self, layers):
        return {id(layer): self.decompose(layer) for layer in layers}

    def _replace_factors(self, layers, decompositions, ranks):
        """Give layers the factors of these decompositions, at ranks by `id(layer)`."""
        changes = []
        for layer in layers:
            new = decompositions[id(layer)].at_rank(ranks[id(layer)])
            changes += self.changes(layer, new)
        resize.apply(layers, changes)
        for layer in layers:
            layer.learn_dense(False)

    def _pays(self, ranks, epoch):
        """Whether an event saves enough; the last one only has to save anything."""
        savings = [
            1 - self.cost.at(metric, ranks) / self.cost.now(metric)
            for metric in METRICS
            if self.cost.now(metric)
        ]
        saving = max(savings, default=0)
        return saving > 0 if epoch == self.schedule.stop else saving >= SMALLEST_SAVING

    def _mark_minor_singular_values(self):
        """Tell the layers which rank the rule would keep at the end."""
        spectra = {id(layer): layer.singular_values() for layer in self.layers}
        ranks = self.rule.ranks(self.layers, spectra, progress=1.0)
        for layer in self.layers:
            layer.kept_rank.assign(float(ranks[id(layer)]))

    def _kept(self):
        return {f"{metric}_kept": self.cost.kept(metric) for metric in METRICS}

    def _record(self, epoch):
        ranks = {layer.path: layer.rank for layer in self.layers}
        self.history.append({"epoch": epoch, "ranks": ranks, **self._kept()})
        if self.verbose and len(self.history) > 1:
            before, kept = self.history[-2:]
            print(
                f"\nEpoch {epoch + 1}: ranks changed from {_range(before)} to "
                f"{_range(kept)}; {kept['parameters_kept']:.1%} of the parameters and "
                f"{kept['macs_kept']:.1%} of the MACs kept"
            )


def _range(entry):
    ranks = entry["ranks"].values()
    return f"{min(ranks)}..{max(ranks)}"

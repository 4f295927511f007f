"""The callback that makes ranks fall in one `fit`."""

import warnings

import keras
import numpy as np

from keras_dprp import arguments, events, teachers
from keras_dprp.costs import UNITS, NetworkCost
from keras_dprp.live import models, optimizers
from keras_dprp.recovery import RecoveryRule
from keras_dprp.rules import BudgetRule, Steps
from keras_dprp.schedule import plan_events

# How many events, by what says how small the network is to be.
EVENTS = {"target": 1, "threshold": 6, "recovery": 3}


class RankPruningCallback(keras.callbacks.Callback):
    """Factorises a network in the middle of a `fit`, and lowers its ranks.

    Until `start` the network trains dense. At an event the exact SVD of every kernel
    is taken, ranks are chosen, and variables and optimizer slots get their new shapes;
    training goes on where it was. Penalties, if the layers have any, act from the first
    event to the last.

    Every epoch `logs` gets `macs_kept` and `parameters_kept`, shares of the dense
    network, and what penalties added to the loss, if there are any.

    Args:
        target: None, or a float in (0, 1]: the share of the network's `metric` to keep.
        budget: None, or the same as an amount: so many MACs or parameters.
        metric: "macs" or "parameters": what `target` and `budget` are about.
        threshold: None, or a float in [0, 1): the largest share of s² that an event
            may cut off a layer. For penalties, which make that share small.
        start: Int or None. Epoch of the first event, 0 for a trained network. Defaults
            to half of the epochs.
        stop: Int or None. Epoch of the last event.
        events: Int or None. How many.
        multiple_of: Int. Ranks are multiples of it, as a processor may run in steps.
        min_rank: Int. No rank falls below it.
        verbose: 0 (silent) or 1 (a line for every event).

    With none of `target`, `budget` and `threshold` the callback finds the size by
    itself: see `recovery.py`.

    Attributes:
        history: A list with one dict for every event that changed ranks, and one for
            the start: "epoch", "ranks" by layer path, and the shares kept.
        epoch_logs: A list with the logs of every epoch, and its "epoch".

    Raises:
        TypeError: If an argument has a wrong type.
        ValueError: If one is outside its range; in `fit`, before a weight changes, if
            the model has no factorised layers, the target cannot be met, or the
            optimizer keeps its slots in a way not known.

    Example:
    >>> model = keras_dprp.factorize(model, teacher="self")
    >>> model.compile("adam", "sparse_categorical_crossentropy")
    >>> pruning = keras_dprp.RankPruningCallback(target=0.3)
    >>> model.fit(x, y, epochs=40, callbacks=[pruning])

    References:
        [Convolutional Neural Network Compression via Dynamic Parameter Rank
        Pruning](https://arxiv.org/abs/2401.08014)
    """

    def __init__(
        self,
        target=None,
        budget=None,
        metric="macs",
        threshold=None,
        start=None,
        stop=None,
        events=None,
        multiple_of=1,
        min_rank=1,
        verbose=1,
    ):
        super().__init__()
        arguments.check_size(target, budget, metric, threshold)
        arguments.check_steps(multiple_of, min_rank)
        arguments.whole_number(start, "start", 0, optional=True)
        arguments.whole_number(stop, "stop", start or 0, optional=True)
        arguments.whole_number(events, "events", 1, optional=True)
        self.target = target
        self.budget = budget
        self.metric = metric
        self.threshold = threshold
        self.start = start
        self.stop = stop
        self.events = events
        self.multiple_of = multiple_of
        self.min_rank = min_rank
        self.verbose = verbose
        self.history: list[dict] = []
        self.epoch_logs: list[dict] = []

    def set_model(self, model):
        super().set_model(model)
        # Before any callback's `on_train_begin`, where a backup may restore weights.
        models.adopt(model)
        self._teachers = teachers.distillations(model)
        for teacher in self._teachers:
            if teacher.own:
                teacher.begin_fit(teachers.dense_network(model))

    def on_train_begin(self, logs=None):
        self.layers = events.layers_to_prune(self.model, "RankPruningCallback")
        optimizers.check_slots(self.model)
        self.history, self.epoch_logs = [], []
        self.cost = NetworkCost(self.model)
        self.rule = self._make_rule()
        self.rule.check_reachable()
        self.schedule = plan_events(
            self.params.get("epochs") or 1,
            self.start,
            self.stop,
            self.events or self._default_events(),
        )
        self._phase = None

    def on_epoch_begin(self, epoch, logs=None):
        if not self.history:
            self._record(epoch)
            self._warn_if_too_late(epoch)
        if epoch >= self.schedule.start:
            self._teach(epoch)
        if epoch in self.schedule.events:
            self._prune(epoch)
        phase = self.schedule.prunes(epoch)
        if phase != self._phase:
            self._phase = phase
            for layer in self.layers:
                layer.let_penalties_act(phase)
        if phase:
            self._mark_minor_singular_values()

    def on_epoch_end(self, epoch, logs=None):
        logs = {} if logs is None else logs
        logs.update(self.cost.kept_shares())
        penalized = [layer for layer in self.layers if layer.terms]
        if penalized:
            logs["structure_penalty"] = sum(x.structure_penalty() for x in penalized)
            logs["compression_penalty"] = sum(
                x.compression_penalty() for x in penalized
            )
        self.rule.note_epoch(logs.get("loss", np.nan) - self._added_to_loss(logs))
        self.epoch_logs.append({"epoch": epoch, **logs})

    def on_train_end(self, logs=None):
        for teacher in self._teachers:
            teacher.end_fit()

    def _make_rule(self):
        steps = Steps(self.multiple_of, self.min_rank)
        rule = events.make_rule(
            self.cost,
            self.layers,
            self.target,
            self.budget,
            self.metric,
            self.threshold,
            steps,
        )
        return rule or RecoveryRule(self.cost, self.layers, steps)

    def _default_events(self):
        if self.threshold is not None:
            return EVENTS["threshold"]
        return EVENTS["target" if isinstance(self.rule, BudgetRule) else "recovery"]

    def _teach(self, epoch):
        """Have the network be its own teacher, as it is before it is cut."""
        for teacher in self._teachers:
            first = epoch == self.schedule.start
            if teacher.own and (first or not teacher.teaches):
                models.newest_values(self.model)
                teacher.learn_from(teachers.dense_network(self.model))

    def _prune(self, epoch):
        try:
            decompositions = events.decompositions_of(self.layers)
        except ValueError as error:
            warnings.warn(f"No ranks fall in epoch {epoch}: {error}", stacklevel=2)
            return
        spectra = {layer: each.s for layer, each in decompositions.items()}
        ranks = self.rule.ranks(spectra, self.schedule.progress(epoch))
        before = self._ranks()
        events.cut(decompositions, ranks)
        for layer in self.layers:
            if layer.terms:
                layer.kept_rank.assign(float(layer.rank))
        if self._ranks() != before:
            self._record(epoch)

    def _mark_minor_singular_values(self):
        """Tell layers with penalties which rank the rule would keep at the end."""
        if not any(layer.terms for layer in self.layers):
            return
        try:
            decompositions = events.decompositions_of(self.layers)
        except ValueError:
            return  # Told at the next event.
        ranks = self.rule.ranks({layer: x.s for layer, x in decompositions.items()})
        for layer in self.layers:
            if layer.terms:
                layer.kept_rank.assign(float(ranks[layer] or layer.rank))

    def _added_to_loss(self, logs):
        """What teacher and penalties added to the loss of this epoch."""
        added = sum(teacher.added() for teacher in self._teachers)
        penalties = (
            logs.get(f"{x}_penalty", 0.0) for x in ("structure", "compression")
        )
        return added + sum(penalties)

    def _warn_if_too_late(self, epoch):
        if isinstance(self.rule, BudgetRule) and epoch > self.schedule.stop:
            now, amount = self.cost.now(self.metric), self.rule.amount
            if now > amount:
                warnings.warn(
                    f"This `fit` goes on in epoch {epoch}, after the last event in "
                    f"epoch {self.schedule.stop}: {now:,} {UNITS[self.metric]} stay, "
                    f"where {amount:,.0f} are asked for. Pass a later `start` and "
                    "`stop`.",
                    stacklevel=2,
                )

    def _ranks(self):
        return {layer.path: layer.rank for layer in self.layers}

    def _record(self, epoch):
        self.history.append(
            {"epoch": epoch, "ranks": self._ranks(), **self.cost.kept_shares()}
        )
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

"""The callback that makes ranks fall in one `fit`."""

import contextlib
import copy
import warnings

import keras
import numpy as np

from keras_dprp import teachers
from keras_dprp.arguments import whole_number
from keras_dprp.costs import LATENCY, amount_text, shares_text
from keras_dprp.events import Event, layers_to_prune
from keras_dprp.live import models, optimizers
from keras_dprp.rules import make_rule
from keras_dprp.schedule import plan_events
from keras_dprp.size import Size


class RankPruningCallback(keras.callbacks.Callback):
    """Factorises a network in the middle of a `fit`, and lowers its ranks.

    Until `start` the network trains dense. At an event the exact SVD of every kernel
    is taken, ranks are chosen, and variables and optimizer slots get their new shapes;
    training goes on where it was. Penalties, if the layers have any, act from the first
    event to the last.

    With none of `target`, `budget` and `threshold` the callback finds the size by
    itself: at most half of the parameters go, and a further cut is made only after the
    loss has come back.

    Every epoch `logs` gets `macs_kept` and `parameters_kept`, shares of the dense
    network, with these metrics `bytes_kept` or `latency_kept`, and what penalties added
    to the loss.

    Args:
        target: None, or a float in (0, 1]: the share of the network's `metric` to keep.
        budget: None, or the same as an amount; of latency, in milliseconds.
        metric: "macs", "parameters", "bytes" (of the file that `tflite_export.export`
            writes) or "latency": what `target` and `budget` are about.
        profile: None, or for "latency" the name of a processor, such as "cortex-a72",
            or the path of a file that `python -m tflite_export --profile` measured on
            the device. By name, times are estimated: no board has confirmed those of a
            Cortex, so use them for a `target`.
        quantization: For "bytes" None (float32), "float16", "dynamic" or "int8": the
            kind of the file. For "latency" by a processor's name None or "int8".
        threshold: None, or a float in [0, 1): the largest share of s² that an event
            may cut off a layer. For penalties, which make that share small.
        start: Int or None. Epoch of the first event, counted from 0 as `initial_epoch`
            is; 0 for a trained network. Defaults to half of the epochs.
        stop: Int or None. Epoch of the last event.
        events: Int or None. How many.
        multiple_of: Int. Ranks are multiples of it; a layer may stay as it is.
        min_rank: Int. No rank falls below it.
        verbose: 0 (silent) or 1 (a line for every event).

    Attributes:
        history: A list with one dict for every event that changed ranks, and one for
            the start: "epoch", "ranks" by layer path, and the shares kept. Epochs count
            from 0 here and in warnings; from 1 in printed lines, as in Keras's own.
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
        profile=None,
        quantization=None,
        threshold=None,
        start=None,
        stop=None,
        events=None,
        multiple_of=1,
        min_rank=1,
        verbose=1,
    ):
        super().__init__()
        amounts = target, budget, metric, profile, quantization, threshold
        self.size = Size(*amounts, multiple_of, min_rank)
        whole_number(start, "start", 0, optional=True)
        whole_number(stop, "stop", start or 0, optional=True)
        whole_number(events, "events", 1, optional=True)
        self.start, self.stop, self.events = start, stop, events
        self.verbose = verbose
        self.history: list[dict] = []
        self.epoch_logs: list[dict] = []

    def set_model(self, model):
        super().set_model(model)
        # Before any callback's `on_train_begin`, where a backup may restore weights.
        models.adopt(model)
        self._teachers = teachers.distillations(model)

    def on_train_begin(self, logs=None):
        self.layers = layers_to_prune(self.model, "RankPruningCallback")
        optimizers.check_slots(self.model)
        self._task_losses: list[float] = []
        self.cost = self.size.cost_of(self.model)
        self.rule = make_rule(self.size, self.cost, self.layers, self._task_losses)
        epochs = self.params.get("epochs") or 1
        events = self.events or self.rule.default_events
        self.schedule = plan_events(epochs, self.start, self.stop, events)
        self._warn_if_too_early()
        self.history, self.epoch_logs = [], []

    def on_epoch_begin(self, epoch, logs=None):
        self._teach(epoch)
        if not self.history:
            self._record(epoch)
            self._warn_if_too_late(epoch)
            self._warn_if_nothing_to_compare(epoch)
        if epoch in self.schedule.events:
            self._prune(epoch)
        penalties_act = self.schedule.prunes(epoch)
        for layer in self.layers:
            layer.let_penalties_act(penalties_act)
        if penalties_act:
            self._mark_minor_singular_values()

    def on_epoch_end(self, epoch, logs=None):
        logs = {} if logs is None else logs
        logs.update(self.cost.kept_shares())
        added = sum(teacher.added() for teacher in self._teachers)
        penalized = [layer for layer in self.layers if layer.terms]
        if penalized:
            structure = sum(layer.structure_penalty() for layer in penalized)
            compression = sum(layer.compression_penalty() for layer in penalized)
            logs.update(structure_penalty=structure, compression_penalty=compression)
            added += structure + compression
        self._task_losses.append(logs.get("loss", np.nan) - added)
        self.epoch_logs.append({"epoch": epoch, **logs})

    def on_train_end(self, logs=None):
        for teacher in self._teachers:
            teacher.end_fit()

    def _teach(self, epoch):
        """Have the network be its own teacher, as it is before it is cut."""
        start = self.schedule.start
        for teacher in self._teachers:
            # What a backup or an earlier `fit` has left is the weights of a network.
            # Those of a `fit` that was broken off are of its start: by now the network
            # may be cut.
            goes_on = teacher.in_fit or epoch > start
            learns = epoch >= start and not (goes_on and teacher.remembers)
            if teacher.own and (learns or (goes_on and not self.history)):
                models.newest_values(self.model)
                network = teachers.dense_network(self.model)
                teacher.begin_fit(network)
                if learns:
                    teacher.learn_from(network)

    def _prune(self, epoch):
        try:
            event = Event(self.rule, self.schedule.progress(epoch))
        except ValueError as error:
            warnings.warn(f"No ranks fall in epoch {epoch}: {error}", stacklevel=2)
            return
        before = self._ranks()
        event.carry_out()
        self._mark(event)
        if self._ranks() != before:
            self._record(epoch)

    def _mark_minor_singular_values(self):
        """Tell layers with penalties which rank the rule would keep at the end."""
        if any(layer.terms for layer in self.layers):
            # Where weights are not finite they are told at the next event.
            with contextlib.suppress(ValueError):
                # A copy, as a rule may remember what it was asked for.
                self._mark(Event(copy.copy(self.rule)))

    def _mark(self, event):
        for layer, rank in event.ranks.items():
            if layer.terms:
                layer.kept_rank.assign(float(rank or layer.rank))

    def _warn_if_too_early(self):
        epochs, stop = self.params.get("epochs"), self.schedule.stop
        if epochs and stop >= epochs and not self.epoch_logs:  # Of several fits once.
            warnings.warn(
                f"`start` and `stop` must be below {epochs}, the `epochs` of this "
                f"`fit`, for all ranks to fall in it. Received: start={self.start}, "
                f"stop={self.stop}: the last event is in epoch {stop}, counted from 0, "
                "so another `fit` has to go on, with `initial_epoch`.",
                stacklevel=2,
            )

    def _warn_if_nothing_to_compare(self, epoch):
        stop = self.schedule.stop
        is_cut = not all(layer.is_dense for layer in self.layers)
        if not self.size.given and epoch <= stop and (is_cut or epoch == stop):
            warnings.warn(
                f"No ranks fall in this `fit`, which begins in epoch {epoch}. Without "
                "`target`, `budget` or `threshold` they fall once the loss is back at "
                "what the dense network had reached, which this `fit` does not know. "
                "Pass one of them.",
                stacklevel=2,
            )

    def _warn_if_too_late(self, epoch):
        cost, metric, stop = self.cost, self.size.metric, self.schedule.stop
        amount, now = self.size.amount(cost), cost.now(metric)
        if amount is not None and epoch > stop and now > amount:
            source = f", {cost.latency_source}" if metric == LATENCY else ""
            stay, asked = amount_text(metric, now), amount_text(metric, amount)
            warnings.warn(
                f"This `fit` goes on in epoch {epoch}, after the last event in epoch "
                f"{stop}: {stay} stay, where {asked} are asked for{source}. Pass a "
                "later `start` and `stop`.",
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
            shares = shares_text(kept, self.cost.latency_source)
            print(
                f"\nEpoch {epoch + 1}: ranks changed from {_range(before)} to "
                f"{_range(kept)}; {shares}"
            )


def _range(entry):
    ranks = entry["ranks"].values()
    return f"{min(ranks)}..{max(ranks)}"

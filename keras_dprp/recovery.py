"""The rule without a number: cut, and cut again as long as the network recovers."""

import math
from dataclasses import dataclass, field

from keras import ops

from keras_dprp.costs import NetworkCost
from keras_dprp.rules import BudgetRule, Steps

# An event leaves this share of today's parameters.
LEFT = 0.6
# Of what training has gained, what a network may be short of and still be recovered.
TOLERANCE = 0.05


@dataclass
class RecoveryRule:
    """Cuts by a fixed share where the training loss has come back from the last cut.

    It has if it is within a few per cent, of what training had gained until then, of
    the lowest loss of the dense network at a learning rate as high as today's. If it
    has not, the event waits for the next one.

    Attributes:
        cost: Of the network.
        layers: A list of the `SVDLayer`s that may be cut.
        steps: Which ranks there are.
    """

    cost: NetworkCost
    layers: list
    steps: Steps
    epochs: list = field(default_factory=list)

    def check_reachable(self):
        """Whatever it finds can be reached."""

    def note_epoch(self, model, logs, added):
        """Remember the task loss of an epoch.

        Args:
            model: The compiled model.
            logs: Of the epoch.
            added: What else is in its loss.
        """
        dense = all(layer.is_dense for layer in self.layers)
        rate = float(ops.convert_to_numpy(model.optimizer.learning_rate))
        self.epochs.append((logs.get("loss", math.nan) - added, rate, dense))

    def ranks(self, spectra, progress=1.0):
        """A rank for each layer, by layer; arguments as in `BudgetRule`."""
        now = self.cost.now("parameters")
        left = LEFT if self.has_recovered() else 1.0
        rule = BudgetRule(self.cost, self.layers, "parameters", left * now, self.steps)
        return rule.ranks(spectra)

    def has_recovered(self):
        """Whether the last epoch was as good as the dense network's best."""
        if not self.epochs:
            return True
        loss, rate, _ = self.epochs[-1]
        dense = [x for x, r, was_dense in self.epochs if was_dense and r >= rate]
        if not dense:
            return True
        gained = max(self.epochs[0][0] - min(dense), 0.0)
        return loss <= min(dense) + TOLERANCE * gained

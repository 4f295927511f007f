"""The rule without a number: cut what holds little, as long as the network recovers."""

from dataclasses import dataclass, field

from keras_dprp.costs import NetworkCost
from keras_dprp.ranks import ranks_at_loss, ranks_by_budget
from keras_dprp.rules import Steps, choices_of

# The share of s² that an event may cut off, a mean over layers by their parameters. A
# tenth leaves networks of flat spectra nearly whole.
SHARE = 0.25
# Of the dense network's parameters: to go further costs accuracy, so that is for those
# who say how far.
FLOOR = 0.5
# A network has recovered that is short of its best loss by no more than this share of
# what training has gained, or of that loss. Ten times as much or as little is the same.
OF_GAIN, OF_LOSS = 0.01, 0.05


@dataclass
class RecoveryRule:
    """Cuts again and again, each time only after the loss has come back.

    What an event may cut off is a share of s², so that kernels with a steep spectrum
    shrink fast and those with a flat one hardly, and in the end half of the parameters.
    It cuts if the task loss of the last epoch is about the lowest that the dense
    network, or the one before the last cut, had reached. If not, it waits for the next
    event; so does the first one where no epoch has been trained. A `fit` that was
    killed and goes on knows nothing of the epochs before: after the first event it cuts
    no further.

    Attributes:
        cost: Of the network.
        layers: A list of the `SVDLayer`s that may be cut.
        steps: Which ranks there are.
        losses: The task losses of all epochs of this `fit`.
        reference: The loss to come back to; None before the first cut.
    """

    cost: NetworkCost
    layers: list
    steps: Steps
    losses: list = field(default_factory=list)
    reference: float | None = None

    def check_reachable(self):
        """Whatever it finds can be reached."""

    def note_epoch(self, task_loss):
        """Remember the task loss of an epoch."""
        self.losses.append(task_loss)

    def ranks(self, spectra, progress=1.0):
        """A rank for each layer, by layer; arguments as in `BudgetRule`."""
        choices = choices_of(self, "parameters", spectra)
        if not self._has_recovered():
            return {layer: choice.ranks[-1] for layer, choice in choices.items()}
        weights = {x: self.cost.layers[x].dense("parameters") for x in self.layers}
        ranks = ranks_at_loss(choices, weights, SHARE)
        floor = FLOOR * self.cost.dense("parameters")
        if self.cost.at("parameters", ranks) >= floor:
            return ranks
        fixed = self.cost.fixed("parameters", self.layers)
        return ranks_by_budget(choices, floor - fixed)

    def _has_recovered(self):
        """Whether there is room for a cut; moves the reference on if there is."""
        if not self.losses:
            return False
        last = self.losses[-1]
        if self.reference is None:
            if not all(layer.is_dense for layer in self.layers):
                return False
            self.reference = min(self.losses)
            return True
        gained = max(self.losses) - self.reference
        short_of = max(OF_GAIN * gained, OF_LOSS * abs(self.reference))
        if not last <= self.reference + short_of:
            return False
        self.reference = min(self.reference, last)
        return True

"""The learning rate of the CIFAR-10 example, step by step."""

from keras import ops
from keras.optimizers import schedules

PEAK = 0.1


def cosine(peak, epochs, steps):
    """Rises to its peak in an epoch of so many steps, then falls to zero."""
    return schedules.CosineDecay(
        initial_learning_rate=0.0,
        warmup_target=peak,
        warmup_steps=steps,
        decay_steps=max((epochs - 1) * steps, 1),
    )


class OneAfterAnother(schedules.LearningRateSchedule):
    """Two schedules, the second from its start after so many steps of the first."""

    def __init__(self, first, second, steps):
        self.first, self.second, self.steps = first, second, steps

    def __call__(self, step):
        after = self.second(ops.maximum(step - self.steps, 0))
        return ops.where(step < self.steps, self.first(step), after)

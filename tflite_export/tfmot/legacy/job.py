"""What the other process asks for, as it came."""

from dataclasses import dataclass

import numpy as np

from tflite_export.tfmot.steps import Step


@dataclass(frozen=True)
class Job:
    """A model, data, and settings.

    Attributes:
        steps: The model's graph.
        weights: Lists of arrays, by step name.
        input: Name, shape and dtype of its input, as `graph.ModelInput` has them.
        output: Name of its output.
        x: Array of inputs, samples first.
        y: Array of their classes; None if nothing is trained.
        from_logits: Whether outputs are logits, not probabilities.
        epochs: As in `training.Training`, like all that follow.
    """

    steps: list[Step]
    weights: dict[str, list]
    input: dict
    output: str
    x: np.ndarray
    y: np.ndarray | None
    from_logits: bool
    epochs: int = 0
    learning_rate: float = 0.0
    batch_size: int = 1
    seed: int = 0

    @property
    def training_steps(self):
        """How many batches all epochs have."""
        return self.epochs * -(-len(self.x) // self.batch_size)

"""Layers that are called more than once."""

from collections import Counter


def refuse_shared(portable):
    """Raise a ValueError if a layer with weights is called more than once.

    Each call of it would need ranges of its own, and a wrapper of tfmot has one.

    Args:
        portable: A `Portable`.
    """
    calls = Counter(step.name for step in portable.steps)
    shared = [name for name in portable.layers if calls[name] > 1]
    if shared:
        raise ValueError(
            "Quantization-aware training needs every layer with weights called once. "
            f"Received: '{portable.model.name}' with {shared} called more often"
        )

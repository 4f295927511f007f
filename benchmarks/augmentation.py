"""Images moved and mirrored beforehand, for trainings that take only arrays."""

import numpy as np


def augmented(images, copies, seed):
    """Copies of every image, float32, each moved and mirrored another way.

    Args:
        images: Array of shape (n, height, width, channels).
        copies: Int.
        seed: Int.

    Returns:
        Array of shape (copies * n, height, width, channels): all images, then again.
    """
    import keras
    from cifar10 import BATCH, ShiftAndFlip

    move = ShiftAndFlip(seed)
    result = np.empty((copies, *images.shape), "float32")
    for copy in result:
        for start in range(0, len(images), BATCH):
            batch = images[start : start + BATCH].astype("float32")
            copy[start : start + BATCH] = keras.ops.convert_to_numpy(
                move(batch, training=True)
            )
    return result.reshape(-1, *images.shape[1:])

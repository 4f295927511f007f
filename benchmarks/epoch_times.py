"""How long every epoch of a training took."""

import time

import keras


class EpochTimes(keras.callbacks.Callback):
    """Seconds from the end of one epoch to the end of the next.

    So an event at the beginning of an epoch, its compilations and the validation are
    included, wherever this stands among the callbacks.
    """

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_train_begin(self, logs=None):
        self._last = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        now = time.perf_counter()
        self.seconds.append(round(now - self._last, 3))
        self._last = now

"""The difference of two tensors, gathered over samples."""

import math

import numpy as np


class Difference:
    """Sums over samples, so that no more than one sample's tensors are in memory."""

    def __init__(self):
        self._count = 0
        self._sum = self._squares = self._errors = self._largest = 0.0

    def add(self, expected, actual):
        """Add one sample: a layer's output, and an array of as many elements."""
        expected = np.asarray(expected, "float64").ravel()
        actual = np.asarray(actual, "float64").ravel()
        self._count += expected.size
        self._sum += expected.sum()
        self._squares += np.square(expected).sum()
        self._errors += np.square(actual - expected).sum()
        self._largest = max(self._largest, np.abs(expected).max(initial=0.0))

    @property
    def error(self):
        """As in `LayerCheck`."""
        mean = self._sum / self._count
        deviation = math.sqrt(max(self._squares / self._count - mean**2, 0.0))
        unit = max(deviation, 1e-3 * self._largest) or 1.0
        error = math.sqrt(self._errors / self._count) / unit
        return error if math.isfinite(error) else math.inf

    @property
    def sqnr_db(self):
        """As in `LayerCheck`."""
        if not self._errors:
            return math.inf
        ratio = self._squares / self._errors
        return 10 * math.log10(ratio) if ratio > 0 else -math.inf

"""What the tests of exported files have in common."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import keras_dprp

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
# Elsewhere every export starts a process, which takes seconds.
same_everywhere = pytest.mark.skipif(
    not ON_TENSORFLOW, reason="Tested on TensorFlow: the same on every backend."
)


def difference(actual, expected):
    """The largest difference in standard deviations of what was expected."""
    expected = np.asarray(expected, "float64")
    return np.abs(actual - expected).max() / expected.std()


def dtypes(path):
    """The dtypes of all tensors in a file."""
    interpreter = Interpreter(model_path=str(path))
    return {np.dtype(t["dtype"]).name for t in interpreter.get_tensor_details()}


def pruned_by_itself(model, x, loss="sparse_categorical_crossentropy"):
    """A factorised copy of a model after an event, taught by what it was."""
    model = keras_dprp.factorize(model, teacher="self")
    model.compile("sgd", loss)
    pruning = keras_dprp.RankPruningCallback(target=0.6, start=0, verbose=0)
    shape = (len(x), model.output_shape[-1]) if loss == "mse" else len(x)
    model.fit(x, np.zeros(shape), epochs=2, callbacks=[pruning], verbose=0)
    return model

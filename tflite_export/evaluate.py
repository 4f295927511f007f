"""A metric of a file beside Keras's, on data with targets."""

import operator

import keras
import numpy as np

from keras_dprp.graph import inputs_of, outputs_of
from tflite_export.arrays import fit
from tflite_export.class_scores import are_classes
from tflite_export.predict import file_outputs
from tflite_export.report import Evaluation
from tflite_export.verify import run_keras

BATCH = 256
# Metrics are float32: a drop of just what is allowed must not be refused.
ROUNDING = 1e-6


class Evaluator:
    """Measures Keras when it is made, and after that a file.

    The metric is the first that the model is compiled with, without any the accuracy.

    Args:
        model: The user's model.
        runs: What is run of it: itself, or its float32 copy.
        samples: A `Samples` of the model.
        evaluation_data: A tuple of inputs, as `arrays.fit` takes them, and targets.
        max_drop: How much worse a file may be, in the metric's unit; None for anything.

    Raises:
        TypeError: If the data are no arrays.
        ValueError: If they do not fit the model, or there is no metric.
    """

    def __init__(self, model, runs, samples, evaluation_data, max_drop):
        x, y = evaluation_data
        x = fit(samples.inputs, x, "evaluation_data")
        _check_targets(y, len(x[0]))
        self._data, self._count, self._samples = (x, y), len(x[0]), samples
        self._structure, self._max_drop = outputs_of(model), max_drop
        compiled = [metric for metric in model.metrics if hasattr(metric, "metrics")]
        self._metrics = (compiled or _accuracy(model, y, samples.outputs))[0]
        self._metric, self._keras = self._measure(lambda batch: run_keras(runs, batch))
        if not np.isfinite(self._keras):
            raise ValueError(
                f"Keras's {self._metric} on `evaluation_data` must be finite, or there "
                f"is nothing to compare with. Received: {self._keras}"
            )
        self._sign = _sign(self._metrics.metrics[0])
        if max_drop is not None and self._sign is None:
            raise ValueError(
                "`max_drop` needs a metric of which Keras knows whether more or less "
                "is better: make one of Keras's the first in `metrics`. "
                f"Received: '{self._metric}'"
            )

    def evaluate(self, path, quantization):
        """Measure a .tflite file of the model; returns an `Evaluation`.

        Raises:
            RuntimeError: If it is worse than allowed.
        """
        inputs, names = self._samples.inputs, list(self._samples.outputs)
        _, file = self._measure(lambda batch: file_outputs(path, inputs, batch, names))
        drop = None if self._sign is None else self._sign * (self._keras - file)
        found = Evaluation(self._metric, self._keras, file, drop, self._count)
        slack = ROUNDING * max(1, abs(self._keras))
        # What is not a number is no small drop.
        if self._max_drop is not None and not drop <= self._max_drop + slack:
            raise RuntimeError(
                f"The file's {found.metric} on `evaluation_data` is {file:.4g} and "
                f"Keras's {self._keras:.4g}: worse by more than `max_drop` allows, "
                f"{self._max_drop:g}. No file was written. "
                + (self._ranges() if quantization == "int8" else "What to do: ")
                + "choose another quantization, or allow more."
            )
        return found

    def _ranges(self):
        inputs, calibration = self._samples.inputs, self._samples.arrays
        x, _ = self._data
        ranges = " ".join(
            f"Input '{tensor.name}' has values from {mine.min():g} to {mine.max():g} "
            f"in the former, from {theirs.min():g} to {theirs.max():g} in the latter. "
            for tensor, mine, theirs in zip(inputs, calibration, x, strict=True)
        )
        return (
            "`representative_data` and `evaluation_data` must be prepared alike, as "
            "for training, and the former be typical, a hundred or more. "
            f"{ranges}Where they are: "
        )

    def _measure(self, run):
        """Name and value of the metric, for a function from inputs to outputs."""
        # An export in the middle of a `fit` must not disturb what it sums up.
        before = [keras.ops.convert_to_numpy(x) for x in self._metrics.variables]
        self._metrics.reset_state()
        try:
            for start in range(0, self._count, BATCH):
                rows = operator.itemgetter(slice(start, start + BATCH))
                x, y = keras.tree.map_structure(rows, self._data)
                self._update(y, run(x))
            name, value = next(iter(self._metrics.result().items()))
        finally:
            self._metrics.reset_state()
            for variable, values in zip(self._metrics.variables, before, strict=False):
                variable.assign(values)
        value = keras.ops.convert_to_numpy(value)
        if value.size != 1:
            raise ValueError(
                "The first metric that the model is compiled with must be one number. "
                f"Received: '{name}' of shape {value.shape}"
            )
        return name, float(value)

    def _update(self, y, outputs):
        packed = keras.tree.pack_sequence_as(self._structure, outputs)
        try:
            self._metrics.update_state(y, packed)
        # Metrics of the user's own among them.
        except Exception as error:
            shapes = keras.tree.map_structure(np.shape, y)
            raise ValueError(
                "The targets in `evaluation_data` must be what the model's metrics "
                f"take. Received: shape {shapes} for outputs of shape "
                f"{[x.shape for x in outputs]}: {error}"
            ) from error


def _sign(metric):
    """1 if more of a metric is better, -1 if less is, None if nobody knows."""
    # Where Keras's own callbacks look it up.
    return {"up": 1, "down": -1}.get(getattr(metric, "_direction", ""))


def _check_targets(y, samples):
    targets = keras.tree.flatten(y)
    if not targets or not all(getattr(each, "ndim", 0) for each in targets):
        raise TypeError(
            "The targets in `evaluation_data` must be an array, or as the model's "
            f"outputs a list or dict of arrays. Received: {type(y).__name__}"
        )
    counts = {len(each) for each in targets}
    if counts != {samples}:
        raise ValueError(
            "`evaluation_data` must have a target for each sample. "
            f"Received: {samples} samples and {', '.join(map(str, counts))} targets"
        )


def _accuracy(model, y, outputs):
    """Keras's accuracy, for a model that is compiled with no metric."""
    (values, *others) = outputs.values()
    binary = values.shape[1:] == (1,) and 0 <= values.min() <= values.max() <= 1
    if others or not are_classes(y, (None, 2) if binary else values.shape):
        raise ValueError(
            "`evaluation_data` needs a metric: compile the model with "
            "`metrics=[...]`, of which the first is measured. Without, only the "
            "accuracy of classes can be, integers or one-hot. Received: outputs of "
            f"shape {[(None, *x.shape[1:]) for x in outputs.values()]} and targets of "
            f"shape {keras.tree.map_structure(np.shape, y)}"
        )
    plain = keras.Model(inputs_of(model), outputs_of(model))
    plain.compile(metrics=["accuracy"])
    return [metric for metric in plain.metrics if hasattr(metric, "metrics")]

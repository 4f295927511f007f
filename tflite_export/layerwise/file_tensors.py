"""The values of all tensors in a file, sample by sample."""

import re
from collections import Counter
from pathlib import Path

from tflite_export.interpreter import dequantized, load, quantized


class FileTensors:
    """A file whose tensors can be read after each sample.

    Tensors go by their names without the name of the whole model, which differs from
    one copy of a model to the next. Those that share a name are left out.

    Args:
        path: A .tflite file.

    Attributes:
        names: Those of all tensors that operations compute, in their order.
        input_shapes: Shapes without the batch, by input name.
    """

    def __init__(self, path):
        self._interpreter = load(path, 1, every_tensor=True)
        details = {x["index"]: x for x in self._interpreter.get_tensor_details()}
        computed = [details[index] for index in _computed(path) if index in details]
        counts = Counter(_short(tensor["name"]) for tensor in computed)
        self._details = {
            _short(tensor["name"]): tensor
            for tensor in computed
            if counts[_short(tensor["name"])] == 1
        }
        self.names = list(self._details)
        runner = self._interpreter.get_signature_runner()
        self._inputs = runner.get_input_details()
        self.input_shapes = {
            name: tuple(details["shape"][1:].tolist())
            for name, details in self._inputs.items()
        }

    def run(self, samples):
        """Run one sample.

        Args:
            samples: A dict of arrays by input name, with a batch of 1.
        """
        for name, array in samples.items():
            details = self._inputs[name]
            self._interpreter.set_tensor(details["index"], quantized(array, details))
        self._interpreter.invoke()

    def __contains__(self, name):
        return name in self._details

    def __getitem__(self, name):
        """A tensor of the last run, as floats."""
        details = self._details[name]
        return dequantized(self._interpreter.get_tensor(details["index"]), details)


def _computed(path):
    """Indices of the tensors that operations compute."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(Path(path).read_bytes(), 0)
    operators = model.subgraphs[0].operators or ()
    return [int(index) for operator in operators for index in operator.outputs]


def _short(name):
    """The names that were fused into one, each without the model's at its front."""
    return ";".join(re.sub(r"^[^/]+/", "", part) for part in name.split(";"))

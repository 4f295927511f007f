"""What a comparison layer by layer found."""

import textwrap
from dataclasses import dataclass

from tflite_export.tables import WIDTH, text_table


@dataclass(frozen=True)
class LayerCheck:
    """A tensor of a file against the output of the layer that it stands for.

    Attributes:
        layer: Name of the layer, after those of the models that it is nested in; from
            its second call in the model on with the call's number.
        tensor: Name of the tensor in the file.
        error: Root mean square of the difference, in standard deviations of the
            layer's output; in thousandths of its largest magnitude where those are
            more, as outputs that hardly vary carry the rounding error of their
            magnitude.
        sqnr_db: Power of the layer's output over that of the difference, in decibels.
    """

    layer: str
    tensor: str
    error: float
    sqnr_db: float


@dataclass(frozen=True)
class LayersReport:
    """Every layer whose output is a tensor of the file, in the order of the model.

    `str(report)` is a table.

    Attributes:
        path: The file.
        layers: One `LayerCheck` a layer.
        unmatched: Reasons by the names of the layers that could not be compared.
        samples: Number of samples that were compared.
        tolerance: Error from which on a layer departs, in the unit of `LayerCheck`.
    """

    path: str
    layers: tuple[LayerCheck, ...]
    unmatched: dict[str, str]
    samples: int
    tolerance: float

    @property
    def first(self):
        """The first `LayerCheck` that departs; None if none does."""
        return next((x for x in self.layers if x.error > self.tolerance), None)

    def __str__(self):
        first = self.first
        rows = [
            [
                layer.layer,
                f"{layer.error:.1e}",
                f"{layer.sqnr_db:.1f} dB",
                "<- departs first" if layer is first else "",
            ]
            for layer in self.layers
        ]
        table = text_table(rows, ["layer", "error / std", "SQNR", ""])
        return "\n".join(
            [f"{self.path}, on {self.samples} samples", table, *self._end()]
        )

    def _end(self):
        if self.first is None:
            yield f"No layer is off by more than {self.tolerance:g} of its deviation."
        for reason in sorted(set(self.unmatched.values())):
            names = [name for name, why in self.unmatched.items() if why == reason]
            yield textwrap.fill(f"Not compared ({reason}): {', '.join(names)}", WIDTH)

"""How far one layer's output is off."""

from dataclasses import dataclass


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

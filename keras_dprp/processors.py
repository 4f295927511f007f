"""Processors by name: how long LiteRT takes on one, told by the steps of its kernels.

LiteRT leaves convolutions and dense layers to XNNPACK. That computes tiles, some
positions by some filters, and takes channels a few at a time; what a tile lacks is
padded. So one more filter may cost nothing, or as much as sixteen.
"""

import math
from dataclasses import dataclass

import keras

from keras_dprp.merging import LEFT_OUT, is_merged_activation, kernels_before
from keras_dprp.tiles import KERNELS, Tile

# What moves nothing.
_FREE = (*LEFT_OUT, keras.layers.Flatten, keras.layers.Reshape)


@dataclass(frozen=True)
class Processor:
    """How long LiteRT takes on one thread of a processor: an estimate from its name.

    The x86 one was fitted to measured times. No board has confirmed a Cortex one:
    compare networks by it, and trust its milliseconds no further.

    Args:
        name: String, one of `NAMES`.
        quantization: None (float32) or "int8": the kind of the file.

    Raises:
        ValueError: If the kind of file is another one.
    """

    name: str
    quantization: str | None = None

    def __post_init__(self):
        known = KERNELS[self.name]
        if self.quantization not in known:
            raise ValueError(
                f"By its name, '{self.name}', the time is known of files of a "
                f"`quantization` in {tuple(known)}. "
                f"Received: quantization={self.quantization!r}"
            )

    @property
    def source(self):
        """Where the times come from, as text."""
        return f"estimated for {self.name}"

    def milliseconds(self, operation):
        """Of an `Operation`."""
        numbers = (
            math.prod(operation.inputs) * operation.channels
            + math.prod(operation.outputs) * operation.filters
            + operation.parameters
        )
        each_channel = 1 < operation.groups == operation.channels
        kernels = self._kernels
        if each_channel:
            return self._with_memory(numbers, kernels.depthwise * operation.macs)
        return self._with_memory(numbers, _tiles(kernels, operation))

    def rest(self, factorised, calls):  # noqa: D417
        """Milliseconds of all that is not factorised.

        Args:
            calls: A list of pairs: the `Call` of a layer, and its operations.
        """
        return sum(
            sum(map(self.milliseconds, operations)) if operations else self._moves(call)
            for call, operations in calls
        )

    @property
    def _kernels(self):
        return KERNELS[self.name][self.quantization]

    def _moves(self, call):
        """Milliseconds of a layer without a kernel, by what it reads and writes."""
        if _vanishes(call):
            return 0.0
        shapes = [*_flat(call.input_shape), *_flat(call.output_shape)]
        numbers = sum(math.prod(shape[1:]) for shape in shapes)
        return self._with_memory(numbers, self._kernels.number * numbers)

    def _with_memory(self, numbers, nanoseconds):
        kernels = self._kernels
        moved = kernels.byte * kernels.size * numbers
        return 1e-6 * (kernels.operation + moved + nanoseconds)


NAMES = tuple(KERNELS)


def _vanishes(call):
    """Whether a file has nothing for a call."""
    if isinstance(call.layer, keras.layers.BatchNormalization):
        return bool(kernels_before(call))
    return isinstance(call.layer, _FREE) or is_merged_activation(call.layer)


def _flat(shapes):
    return shapes if isinstance(shapes, list) else [shapes]


def _tiles(kernels, operation):
    """Nanoseconds of all tiles of an operation."""
    groups = operation.groups
    # Each number of a kernel is used once at every position.
    positions = operation.macs // operation.parameters
    channels, filters = operation.channels // groups, operation.filters // groups
    tile: Tile = kernels.tile
    if positions == 1:
        tile = kernels.single
    elif filters < tile.columns and kernels.narrow:
        tile = kernels.narrow
    tiles = _steps(positions, tile.rows) * _steps(filters, tile.columns)
    taps = tile.rows * kernels.row + _steps(channels, tile.depth) * tile.step
    stored = tile.rows * tile.columns * kernels.output
    return groups * tiles * (math.prod(operation.kernel) * taps + stored)


def _steps(number, size):
    return -(-number // size)

"""The kernels of XNNPACK by processor: what they compute at once, and how fast.

Tiles are those that XNNPACK (commit 75db3c0) chooses in `src/configs/gemm-config.c`;
ai-edge-litert 2.3.0 holds kernels of the same names.
"""

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True)
class Tile:
    """What a kernel computes at once.

    Attributes:
        rows, columns: Ints: positions and filters.
        depth: Int: how many channels a step takes.
        step: Float: nanoseconds of one.
    """

    rows: int
    columns: int
    depth: int
    step: float


@dataclass(frozen=True)
class Kernels:
    """The kernels of a processor for one kind of file, and their nanoseconds.

    Attributes:
        tile: The `Tile`.
        narrow: That for fewer filters than `tile` has columns; None if there is none.
        single: That for a single position, as a dense layer has.
        size: Int: bytes of a number.
        row: Float: to find where the channels of a row begin, at each kernel position.
        output: Float: to store one number of a tile, rounded in an int8 file.
        depthwise: Float: of a multiply-accumulate where channels have own kernels.
        number: Float: to read or write one in a layer without a kernel.
        operation: Float: of an operation, however small.
        byte: Float: to bring one from memory.
    """

    tile: Tile
    narrow: Tile | None
    single: Tile
    size: int
    row: float
    output: float
    depthwise: float
    number: float
    operation: float
    byte: float = 0.0


# Fitted to times on one thread of AMD EPYC with VNNI by benchmarks/processors/fit.py.
# What its caches hold comes from them at no cost that the fit could tell.
_AVX512 = {
    None: Kernels(
        tile=Tile(7, 32, 1, 1.66),
        narrow=Tile(7, 16, 1, 1.14),
        single=Tile(1, 32, 1, 1.15),
        size=4,
        row=0.151,
        output=0.0225,
        depthwise=0.0344,
        number=0.0548,
        operation=111,
    ),
    "int8": Kernels(
        tile=Tile(7, 16, 8, 1.66),
        narrow=None,
        single=Tile(1, 16, 8, 1.07),
        size=1,
        row=0.0562,
        output=0.0745,
        depthwise=0.0309,
        number=0.0543,
        operation=103,
    ),
}

# Of boards nothing was measured. Cycles are those that the vector instructions take
# which XNNPACK's assembly has for a step, a row and an output (`src/f32-igemm`,
# `src/qs8-qc8w-igemm`), and what the optimization guides of Arm say of these: an A53
# starts one a cycle, an A72 one of four floats or one widening product, an A76 two.
# What is outside these kernels is a guess in proportion.
_A53 = {
    None: Kernels(
        # 62 instructions for four channels.
        tile=Tile(6, 8, 1, 15.5),
        narrow=Tile(4, 2, 1, 5.5),
        single=Tile(1, 8, 1, 3),
        size=4,
        row=3,
        output=1.2,
        depthwise=1.1,
        number=0.5,
        operation=2500,
    ),
    "int8": Kernels(
        # 158 for eight: no dot product, numbers are widened to 16 bits.
        tile=Tile(4, 16, 1, 19.75),
        narrow=None,
        single=Tile(1, 16, 1, 6.5),
        size=1,
        row=4.5,
        output=1.8,
        depthwise=0.9,
        number=0.8,
        operation=2500,
    ),
}
_A72 = {
    None: Kernels(
        # 64 products of four floats for eight channels.
        tile=Tile(4, 8, 1, 8),
        narrow=Tile(4, 2, 1, 2),
        single=Tile(1, 8, 1, 2),
        size=4,
        row=2.3,
        output=0.7,
        depthwise=0.5,
        number=0.35,
        operation=1500,
    ),
    "int8": Kernels(
        # 32 widening products for sixteen channels.
        tile=Tile(2, 8, 8, 16),
        narrow=None,
        single=Tile(1, 8, 8, 8),
        size=1,
        row=2.5,
        output=3,
        depthwise=0.5,
        number=0.5,
        operation=1500,
    ),
}
_A76 = {
    None: Kernels(
        # 96 products of four floats for eight channels.
        tile=Tile(6, 8, 1, 6),
        narrow=Tile(4, 2, 1, 2),
        single=Tile(1, 8, 1, 1.3),
        size=4,
        row=1.5,
        output=0.5,
        depthwise=0.27,
        number=0.15,
        operation=800,
    ),
    "int8": Kernels(
        # 64 dot products for sixteen channels.
        tile=Tile(4, 16, 4, 8),
        narrow=None,
        single=Tile(1, 16, 4, 2),
        size=1,
        row=1,
        output=0.9,
        depthwise=0.3,
        number=0.25,
        operation=800,
    ),
}


def _in_nanoseconds(kernels, gigahertz, bandwidth):
    """A processor's kernels, given in cycles, at a clock and by a memory.

    Args:
        kernels: Dict from the kind of file to `Kernels`.
        gigahertz: Float: the clock.
        bandwidth: Float: bytes that memory brings in a nanosecond.
    """
    return {kind: _timed(each, gigahertz, bandwidth) for kind, each in kernels.items()}


def _timed(kernels, gigahertz, bandwidth):
    new: dict = {"byte": 1 / bandwidth}
    for name, value in vars(kernels).items():
        if isinstance(value, Tile):
            new[name] = dataclasses.replace(value, step=value.step / gigahertz)
        elif name not in ("size", "byte") and value is not None:
            new[name] = value / gigahertz
    return dataclasses.replace(kernels, **new)


KERNELS = {
    "x86-avx512": _AVX512,
    # Raspberry Pi 3B+; of its memory what STREAM copies on an A53 with as much of it
    # (Texas Instruments, SPRADO9).
    "cortex-a53": _in_nanoseconds(_A53, 1.4, 2.3),
    # Raspberry Pi 4; STREAM (sci-pi.org.uk).
    "cortex-a72": _in_nanoseconds(_A72, 1.5, 5.5),
    # Raspberry Pi 5; half of what LPDDR4X-4267 of 32 bits has at most.
    "cortex-a76": _in_nanoseconds(_A76, 2.4, 8.5),
}

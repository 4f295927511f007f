"""What a file weighs when it travels."""

import os
import zlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CompressedSize:
    """Bytes of a file, as it is and compressed.

    Attributes:
        bytes: Of the file as LiteRT maps it into memory.
        compressed: Of the same file after DEFLATE at its highest level, as in a .zip,
            an .apk or a gzipped download, without their headers.
    """

    bytes: int
    compressed: int

    @property
    def ratio(self):
        """Compressed bytes over bytes."""
        return self.compressed / self.bytes

    def __str__(self):
        return (
            f"{self.bytes:,} bytes, {self.compressed:,} compressed ({self.ratio:.0%})"
        )


def compressed_size(path):
    """Return what a file takes when it is downloaded, beside what it takes in use.

    Only the way to the device gets shorter: there the file is unpacked, and neither
    storage, memory nor latency gain. Compare with the compressed size of the file
    before pruning or clustering, as any file compresses a little.

    Args:
        path: A .tflite file, or any other.

    Returns:
        A `CompressedSize`.

    Raises:
        TypeError: If `path` is no path.
        ValueError: If there is no file, or it is empty.

    Example:
    >>> print(tflite_export.tfmot.compressed_size("model.tflite"))
    230,112 bytes, 29,870 compressed (13%)
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            "`path` must be a str or a path object. "
            f"Received: {path!r} (of type {type(path).__name__})"
        )
    if not os.path.isfile(path):
        raise ValueError(f"There must be a file at `path`. Received: '{path}'")
    content = Path(path).read_bytes()
    if not content:
        raise ValueError(f"The file at `path` must not be empty. Received: '{path}'")
    # Raw DEFLATE, as in archives.
    packer = zlib.compressobj(level=9, wbits=-zlib.MAX_WBITS)
    return CompressedSize(len(content), len(packer.compress(content) + packer.flush()))

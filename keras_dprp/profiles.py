"""Profiles: how long a device takes for the operations of a network.

`python -m tflite_export --profile` measures one: a JSON file with the milliseconds of
each operation that a network can have, dense or at some ranks. The name of a processor
stands for times that nobody measured (`processors.py`).
"""

import dataclasses
import importlib.metadata
import json
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keras_dprp.arguments import number, whole_number
from keras_dprp.operations import Operation
from keras_dprp.processors import NAMES, Processor

FORMAT = 1
_HINT = "make one by `python -m tflite_export --profile model.keras -o profile.json`"
# Shares are of the network's time, so that it cannot be nothing.
_SHORTEST = sys.float_info.min


@dataclass(frozen=True)
class Profile:
    """How long a device takes for a dense network and for operations in it.

    Attributes:
        path: Of the file it was read from.
        dense: Float: milliseconds of the dense network.
        device: Dict that describes the device.
        quantization: None (float32) or "int8": the kind of the files that were timed.
    """

    path: str
    dense: float
    device: dict
    quantization: str | None
    _times: dict = field(repr=False)

    @property
    def source(self):
        """Where the times come from, as text."""
        name, threads = (self.device.get(key, "?") for key in ("name", "threads"))
        plural = "" if threads == 1 else "s"
        return f"by the profile of {name}, {threads} thread{plural}"

    def milliseconds(self, operation):
        """Of an operation: those of the fastest one measured that is as large.

        Kernels work in steps of channels, so a rank takes as long as the next larger
        one that was measured, and noise makes none faster than a smaller one.

        Raises:
            ValueError: If none was measured.
        """
        times = [
            milliseconds
            for channels, filters, milliseconds in self._times.get(_kind(operation), [])
            if channels >= operation.channels and filters >= operation.filters
        ]
        if not times:
            raise ValueError(
                f"The profile '{self.path}' must be of this network: {_HINT}. "
                f"Received: none of its operations is like {operation}"
            )
        return min(times)

    def rest(self, factorised, calls):  # noqa: D417
        """Milliseconds of all that is not factorised: what is left of the network's.

        Args:
            factorised: Float: milliseconds of what is, dense.
        """
        return max(self.dense - factorised, 0.0)


def read(profile, quantization=None):
    """The times that a name or a path stands for.

    Args:
        profile: The name of a processor, or the path of a JSON file.
        quantization: None, or the kind of file that the times are to be of. By a
            processor's name None is float32; a profile in a file is of one kind itself.

    Returns:
        A `Processor` or a `Profile`.

    Raises:
        ValueError: If the name is not known and there is no such file, if the file is
            damaged, of another version or another kind, or if nothing was timed yet.
    """
    if str(profile) in NAMES:
        return Processor(str(profile), quantization)
    found = _read_file(profile)
    if quantization not in (None, found.quantization):
        raise ValueError(
            f"The `quantization` must be that of the profile '{profile}', "
            f"{found.quantization!r}, or None. Received: quantization={quantization!r}"
        )
    _warn_of_another_version(found)
    return found


def _read_file(path):
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(
            f"A `profile` must be the name of a processor, one of {NAMES}, or the path "
            f"of a file: {_HINT}. Received: '{path}', which is neither"
        ) from None
    except (OSError, ValueError) as error:
        raise ValueError(
            f"A `profile` must be a JSON file: {_HINT}. Received: '{path}' ({error})"
        ) from error
    version = content.get("format") if isinstance(content, dict) else None
    if version != FORMAT:
        raise ValueError(
            f"A `profile` must be of format {FORMAT}: {_HINT}. Received: '{path}' of "
            f"format {version!r}"
        )
    try:
        return _profile(path, content)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"A `profile` must be whole: {_HINT}. Received: '{path}', which is damaged "
            f"({type(error).__name__}: {error})"
        ) from error


def _profile(path, content):
    network, operations = content["network"], content["operations"]
    missing = sum(each["milliseconds"] is None for each in [network, *operations])
    if missing:
        raise ValueError(
            "A `profile` must have been timed on the device: `python -m tflite_export "
            f"--profile {path}` goes on with that. Received: '{path}', in which "
            f"{missing} of {len(operations) + 1} times are missing"
        )
    times: dict = {}
    for each in operations:
        operation = operation_from(each)
        whole_number(operation.channels, "channels", 1)
        whole_number(operation.filters, "filters", 1)
        entry = operation.channels, operation.filters, _milliseconds(path, each)
        times.setdefault(_kind(operation), []).append(entry)
    device, quantization = content["device"], content["quantization"]
    if not isinstance(device, dict) or quantization not in (None, "int8"):
        raise TypeError(f"of {device!r} and {quantization!r}")
    dense = _milliseconds(path, network, least=_SHORTEST)
    return Profile(str(path), dense, device, quantization, times)


def _warn_of_another_version(profile):
    """Warn if LiteRT is installed here, and the device had another version of it."""
    measured = profile.device.get("ai_edge_litert")
    try:
        installed = importlib.metadata.version("ai-edge-litert")
    except importlib.metadata.PackageNotFoundError:
        return
    if measured not in (None, installed):
        warnings.warn(
            f"The times of a `profile` hold for one version of LiteRT. Received: "
            f"'{profile.path}' of version {measured}, where {installed} is installed. "
            "Profile the device anew once it has that version, too.",
            stacklevel=2,
        )


def _milliseconds(path, entry, least=0.0):
    value = entry["milliseconds"]
    number(value, "milliseconds")
    if not least <= value < float("inf"):  # It may be NaN.
        raise ValueError(
            "A `profile` must have finite times, of operations of at least 0 ms and "
            f"of the network of more: {_HINT}. Received: '{path}' with {value} ms"
        )
    return float(value)


def operation_from(entry):
    """The `Operation` that an entry of a profile is about."""
    names = [each.name for each in dataclasses.fields(Operation)]
    values = {name: entry[name] for name in names}
    sizes: Any = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
    return Operation(**sizes)


def _kind(operation):
    """An operation, whatever its channels and filters."""
    return dataclasses.replace(operation, channels=0, filters=0)

"""What an export found."""

import dataclasses
from dataclasses import dataclass

from tflite_export.tables import text_table


@dataclass(frozen=True)
class OutputCheck:
    """LiteRT's outputs against Keras's, for one output of the model.

    Attributes:
        name: Name of the output in the file.
        largest_difference: In standard deviations of Keras's outputs; in thousandths
            of their largest magnitude where those are more, as outputs that hardly
            vary carry the rounding error of their magnitude.
        mean_difference: In the same unit.
        agreement: Share of samples with the same top class along the last axis; None
            for outputs that have no two classes.
    """

    name: str
    largest_difference: float
    mean_difference: float
    agreement: float | None


@dataclass(frozen=True)
class ExportReport:
    """What was written, how far it is from the Keras model, and how fast it runs.

    `str(report)` is a table.

    Attributes:
        path: Where the file is.
        quantization: None (float32), "float16", "dynamic" or "int8".
        bytes: Size of the file.
        operations: Counts of the file's operations by name.
        outputs: One `OutputCheck` an output.
        samples: Number of samples that were compared.
        latency_ms: Median latency of one sample in milliseconds, on this machine, with
            one thread.
        runs: Number of timed runs.
    """

    path: str
    quantization: str | None
    bytes: int
    operations: dict[str, int]
    outputs: tuple[OutputCheck, ...]
    samples: int
    latency_ms: float
    runs: int

    @property
    def largest_difference(self):
        """Largest of all outputs, in the unit of `OutputCheck`."""
        return max(output.largest_difference for output in self.outputs)

    @property
    def mean_difference(self):
        """Mean of all outputs, in the unit of `OutputCheck`."""
        return sum(out.mean_difference for out in self.outputs) / len(self.outputs)

    @property
    def agreement(self):
        """Lowest share of samples with the same top class; None without classes."""
        shares = [out.agreement for out in self.outputs if out.agreement is not None]
        return min(shares, default=None)

    def to_dict(self):
        """Return the report as a dict that JSON can hold."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values):
        """Return the report that `to_dict` wrote."""
        outputs = tuple(OutputCheck(**output) for output in values["outputs"])
        return cls(**{**values, "outputs": outputs})

    def __str__(self):
        return "\n".join([self.path, text_table(self._rows(), flexible=1)])

    def _rows(self):
        yield "quantization", self.quantization or "none (float32)"
        yield "size", f"{self.bytes:,} bytes"
        latency = duration_text(self.latency_ms)
        yield "latency", f"{latency} (median of {self.runs}, 1 thread)"
        yield (
            "operations",
            ", ".join(f"{count} {name}" for name, count in self.operations.items()),
        )
        yield "compared with", f"Keras, on {self.samples} samples"
        for output in self.outputs:
            prefix = f"{output.name}: " if len(self.outputs) > 1 else ""
            yield (
                f"{prefix}difference / std",
                f"largest {output.largest_difference:.1e}, "
                f"mean {output.mean_difference:.1e}",
            )
            if output.agreement is not None:
                yield f"{prefix}same top class", f"{output.agreement:.1%}"


def duration_text(milliseconds):
    """Return a duration in milliseconds, or below one in microseconds."""
    if milliseconds < 1:
        return f"{1e3 * milliseconds:.1f} µs"
    return f"{milliseconds:.3f} ms"

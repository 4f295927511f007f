"""What an export found."""

import dataclasses
import warnings
from dataclasses import dataclass

from tflite_export.quiet import audible
from tflite_export.tables import text_table

# Mean difference of quantized outputs, in the unit of `OutputCheck`. Outputs that have
# nothing to do with Keras's are about 1 off, those of a good file some hundredths.
MUCH = 0.25


@dataclass(frozen=True)
class OutputCheck:
    """LiteRT's outputs against Keras's, for one output of the model.

    Differences are in standard deviations of Keras's outputs; in thousandths of their
    largest magnitude where those are more, as outputs that hardly vary carry the
    rounding error of their magnitude.

    Attributes:
        name: Name of the output in the file.
        largest_difference: Of all channels (of the last axis).
        mean_difference: Likewise.
        channel_difference: Largest, for each channel in its own deviation; 0 for class
            scores.
        coarse_channels: Numbers of the channels that have a few values in the file and
            many in Keras.
        agreement: Share of samples with the same top class; None for outputs that are
            no class scores.
        classes: How many classes are a top class of Keras's; likewise.
    """

    name: str
    largest_difference: float
    mean_difference: float
    channel_difference: float = 0.0
    coarse_channels: tuple[int, ...] = ()
    agreement: float | None = None
    classes: int | None = None


@dataclass(frozen=True)
class Evaluation:
    """A metric of the file beside Keras's, on the whole of `evaluation_data`.

    Attributes:
        metric: Its name in Keras.
        keras: Keras's value.
        file: The file's.
        drop: By how much the file is worse, in the metric's unit, negative if it is
            better; None if Keras does not say whether more or less is better.
        samples: Number of samples.
    """

    metric: str
    keras: float
    file: float
    drop: float | None
    samples: int


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
        float32_bytes: Size of the model as a float32 file, without labels; None if
            this is one, or none was made.
        on_noise: Whether noise was compared, for want of data.
        evaluation: An `Evaluation`; None without `evaluation_data`.
    """

    path: str
    quantization: str | None
    bytes: int
    operations: dict[str, int]
    outputs: tuple[OutputCheck, ...]
    samples: int
    latency_ms: float
    runs: int
    float32_bytes: int | None = None
    on_noise: bool = False
    evaluation: Evaluation | None = None

    @property
    def largest_difference(self):
        """Largest of all outputs, in the unit of `OutputCheck`."""
        return max(output.largest_difference for output in self.outputs)

    @property
    def mean_difference(self):
        """Mean of the output that is furthest off, in the unit of `OutputCheck`."""
        return max(output.mean_difference for output in self.outputs)

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
        outputs = tuple(
            OutputCheck(**{**each, "coarse_channels": tuple(each["coarse_channels"])})
            for each in values["outputs"]
        )
        evaluation = values["evaluation"] and Evaluation(**values["evaluation"])
        return cls(**{**values, "outputs": outputs, "evaluation": evaluation})

    def __str__(self):
        return "\n".join([self.path, text_table(self._rows(), flexible=1)])

    def _rows(self):
        yield "quantization", self.quantization or "none (float32)"
        yield "size", f"{self.bytes:,} bytes{self._share()}"
        latency = duration_text(self.latency_ms)
        yield "latency", f"{latency} (median of {self.runs}, 1 thread)"
        yield (
            "operations",
            ", ".join(f"{count} {name}" for name, count in self.operations.items()),
        )
        yield (
            "compared with",
            f"Keras, on {self.samples} samples"
            + (" of noise: pass representative_data" if self.on_noise else ""),
        )
        for output in self.outputs:
            prefix = f"{output.name}: " if len(self.outputs) > 1 else ""
            yield (
                f"{prefix}difference / std",
                f"largest {output.largest_difference:.1e}, "
                f"mean {output.mean_difference:.1e}",
            )
            if output.coarse_channels:
                yield (
                    f"{prefix}a few values",
                    f"in channels {places(output.coarse_channels)}",
                )
            if output.agreement is not None:
                alone = ", but of one class alone" if output.classes == 1 else ""
                yield f"{prefix}same top class", f"{output.agreement:.1%}{alone}"
        if self.evaluation is not None:
            found = self.evaluation
            yield (
                found.metric,
                f"file {found.file:.4g}, Keras {found.keras:.4g}, "
                f"on {found.samples:,} samples",
            )

    def _share(self):
        if self.float32_bytes is None:
            return ""
        if self.bytes >= self.float32_bytes:
            return f", not smaller than float32's {self.float32_bytes:,}"
        return f", {self.bytes / self.float32_bytes:.0%} of float32's"


def announce(report, verbose, advice):
    """Print a report, and warn, with advice, of a quantized file that is far off."""
    problems = []
    if report.quantization and report.mean_difference > MUCH:
        problems.append(
            f"The outputs of the {report.quantization} file differ from the model's by "
            f"{report.mean_difference:.2f} of their standard deviation in the mean, by "
            f"{report.largest_difference:.2f} at most. {advice}"
        )
    problems += [
        f"Of output '{output.name}', channels {places(output.coarse_channels)} have "
        f"only a few values in the {report.quantization} file, as all channels share "
        "one scale. Make what is of another magnitude an output of its own, or choose "
        "another quantization."
        for output in report.outputs
        if output.coarse_channels
    ]
    with audible():
        if verbose:
            print(report)
        for problem in problems:
            warnings.warn(problem, stacklevel=3)


def places(channels):
    """Numbers of channels as text, the first of them where there are many."""
    return ", ".join([*map(str, channels[:8]), *["..."] * (len(channels) > 8)])


def duration_text(milliseconds):
    """Return a duration in milliseconds, or below one in microseconds."""
    if milliseconds < 1:
        return f"{1e3 * milliseconds:.1f} µs"
    return f"{milliseconds:.3f} ms"

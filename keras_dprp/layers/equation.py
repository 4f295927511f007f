"""Equations of einsum layers: which axes are summed over, and what a pair has."""

import string
from dataclasses import dataclass


@dataclass(frozen=True)
class Equation:
    """An equation of one input and a kernel, such as "...ab,bc->...ac".

    Attributes:
        inputs, kernel, outputs: Strings of axes; those of inputs and outputs may have
            an ellipsis.
    """

    inputs: str
    kernel: str
    outputs: str

    @classmethod
    def of(cls, text):
        """That of a `keras.layers.EinsumDense`."""
        operands, outputs = text.split("->")
        inputs, kernel = operands.split(",")
        return cls(inputs, kernel, outputs)

    @property
    def rows(self):
        """Axes of the kernel that are summed over."""
        return "".join(axis for axis in self.kernel if axis not in self.outputs)

    @property
    def columns(self):
        """Axes of the kernel that the inputs do not have."""
        return "".join(axis for axis in self.kernel if axis not in self.inputs)

    @property
    def is_product(self):
        """Whether it multiplies vectors by a matrix, and does nothing else."""
        terms = [term.strip(".") for term in (self.inputs, self.kernel, self.outputs)]
        rest = [axis for axis in self.inputs if axis not in self.kernel]
        return (
            all((self.rows, self.columns))
            and all(len(set(term)) == len(term) for term in terms)
            # No axis of the kernel is in both of the others, or in neither.
            and sorted(self.rows + self.columns) == sorted(self.kernel)
            and sorted([*rest, *self.columns]) == sorted(self.outputs)
            # The first of all axes is that of the samples.
            and self.inputs[0] == self.outputs[0]
        )

    def pair(self):
        """The equations of two layers that do what it does, of any rank."""
        rank = next(x for x in string.ascii_letters if x not in f"{self}")
        middle = self.inputs.replace(self.rows[0], rank)
        middle = "".join(axis for axis in middle if axis not in self.rows)
        return (
            Equation(self.inputs, self.rows + rank, middle),
            Equation(middle, rank + self.columns, self.outputs),
        )

    def sizes(self, term, shape):
        """Dict from the axes of inputs or outputs to sizes, without an ellipsis'."""
        axes = term.strip(".")
        shape = shape[-len(axes) :] if term.startswith(".") else shape[: len(axes)]
        return dict(zip(axes, shape, strict=True))

    def __str__(self):
        return f"{self.inputs},{self.kernel}->{self.outputs}"

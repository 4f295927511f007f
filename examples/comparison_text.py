"""Files side by side, in words: a table in 80 columns, and what it means."""

import math

from tflite_export.report import duration_text
from tflite_export.tables import text_table

DENSE, NARROWER, DPRP = "dense", "narrower", "DPRP"
# Of two latencies: below it they may be the other way round at the next measurement.
NOTICEABLE = 1.05


def table(rows):
    """Costs and accuracy of files as text; shares are of the dense file of a form.

    Args:
        rows: What `measured_files.measure` returns, one network of which is "dense".
    """
    headings = ["network", "file", "MACs", "bytes", "latency", "validation", "test"]
    lines = [
        [
            row["network"],
            row["form"],
            f"{share(row, rows, 'macs'):.0%}",
            f"{row['bytes']:,} {share(row, rows, 'bytes'):4.0%}",
            f"{duration_text(row['latency_ms'])} {share(row, rows, 'latency_ms'):4.0%}",
            f"{row['validation_accuracy']:.2%}",
            f"{row['test_accuracy']:.2%}",
        ]
        for row in rows
    ]
    return text_table(lines, headings)


def find(rows, network, form):
    """The row of one file."""
    return next(x for x in rows if (x["network"], x["form"]) == (network, form))


def share(row, rows, key):
    """A figure of a file over that of the dense file of the same form."""
    return row[key] / find(rows, DENSE, row["form"])[key]


def sentences(rows, test_images):
    """What the files of the three networks of `digits.py` say about each other.

    Args:
        rows: As for `table`, with the networks "dense", "narrower" and "DPRP".
        test_images: Int: how many the accuracies are of.

    Returns:
        A string of four sentences.
    """
    gains = {form: gain(rows, form, test_images) for form in ("float32", "int8")}
    said = [
        f"As {form} files, DPRP is {points(gains[form])} than the narrower network, "
        f"at {over_narrower(rows, form, 'latency_ms'):.0%} of its time and "
        f"{over_narrower(rows, form, 'bytes'):.0%} of its bytes."
        for form in gains
    ]
    return " ".join([*said, advice(rows, gains)])


def gain(rows, form, test_images):
    """Points of accuracy that DPRP is ahead of the narrower network.

    What is less than two standard errors is 0: other images could say the opposite.
    """
    both = [find(rows, name, form)["test_accuracy"] for name in (DPRP, NARROWER)]
    error = math.sqrt(sum(share * (1 - share) for share in both) / test_images)
    difference = both[0] - both[1]
    return 100 * difference if abs(difference) > 2 * error else 0.0


def points(gained):
    """A gain as it is read in "DPRP is ... than"."""
    if not gained:
        return "neither better nor worse, beyond what chance does,"
    return f"{abs(gained):.1f} points {'better' if gained > 0 else 'worse'}"


def over_narrower(rows, form, key):
    """A figure of DPRP's file over that of the narrower network's."""
    return find(rows, DPRP, form)[key] / find(rows, NARROWER, form)[key]


def advice(rows, gains):
    """Which of the two to take, and the accuracies."""
    dense, narrower, small = (
        f"{find(rows, name, 'float32')['test_accuracy']:.1%}"
        for name in (DENSE, NARROWER, DPRP)
    )
    accuracies = (
        f"In float32 the dense network has {dense} of the test images right, DPRP "
        f"{small}, the narrower one {narrower}."
    )
    if max(gains.values()) <= 0:
        return (
            f"So take the narrower network here: what DPRP gains on a harder task is "
            f"in the table of CIFAR-10. {accuracies}"
        )
    faster = [
        form for form in gains if over_narrower(rows, form, "latency_ms") > NOTICEABLE
    ]
    unless = (
        f", and the narrower network where the {' or '.join(faster)} file has to be "
        "the faster"
        if faster
        else ""
    )
    return f"So take DPRP for its accuracy{unless}. {accuracies}"

"""The tables of `docs/results.md`, in Markdown."""

import collections
import statistics

from cells import (
    FORMATS,
    NOTHING,
    change_cell,
    events,
    file_size,
    kept,
    latency,
    method_name,
    network_name,
    or_nothing,
    seeds,
    spread,
    training_accuracy,
)
from report_parts import compiler_flags, machine, software, table
from summaries import dense_of, place, time_ratio


def accuracy_table(experiments, pool):
    """Accuracy, its change against dense, and what is kept of the network.

    Args:
        experiments: `Experiment`s: the rows.
        pool: `Experiment`s that have the dense ones.
    """
    headings = ["experiment", "network", "seeds", "epochs", "test accuracy"]
    headings += ["change, points", "parameters", "MACs", "training, s"]
    return table(
        headings,
        [
            [
                f"`{each.name}`",
                network_name(*each.network),
                seeds(each),
                epochs_cell(each),
                spread(each, "accuracy"),
                change_cell(each, pool),
                kept(each, "parameters"),
                kept(each, "macs"),
                or_nothing("{:,.0f}".format, each.mean("seconds")),
            ]
            for each in experiments
        ],
    )


def epochs_cell(experiment):
    """Epochs of the training, and of its teacher's."""
    teacher = experiment["teacher_epochs"]
    return f"{experiment['epochs']}" + (f" (teacher: {teacher})" if teacher else "")


def export_table(experiments, pool):
    """Accuracy and size of the exported files."""
    headings = ["experiment", "files"]
    for form in FORMATS:
        headings += [f"{form}: accuracy", f"{form}: bytes"]
    lines = []
    for each in experiments:
        dense = dense_of(each, pool)
        cells = [f"`{each.name}`", str(len(each.values("tflite")))]
        for form in FORMATS:
            cells += [spread(each, "tflite", form, "accuracy")]
            cells += [file_size(each, dense, form)]
        lines.append(cells)
    return table(headings, lines)


def published_table(ours, pool, published):
    """Changes against each one's own dense network, ours before the published ones.

    Args:
        ours: `Experiment`s: the rows.
        pool: `Experiment`s that have the dense ones.
        published: What `published.json` holds.
    """
    entries = [
        {
            "model": each["model"],
            "dataset": each["dataset"],
            "method": f"this package, `{each.name}`",
            "accuracy_change": 100 * each.change(dense_of(each, pool), "accuracy"),
            "parameters_change": 100 * (each.mean("parameters_kept") - 1),
            "macs_change": 100 * (each.mean("macs_kept") - 1),
            "remark": f"mean of {len(each.seeds)} seeds" if len(each.seeds) > 1 else "",
        }
        for each in ours
        if dense_of(each, pool)
    ]
    measured = list(dict.fromkeys((each["model"], each["dataset"]) for each in entries))
    entries += published["figures"]
    # Python's sort is stable: what was measured here stays in front.
    entries.sort(key=lambda each: place((each["model"], each["dataset"]), measured))
    headings = ["network", "method", "accuracy, points", "parameters", "MACs"]
    headings += ["remark", "reference"]
    return table(
        headings,
        [published_cells(each, published["references"]) for each in entries],
    )


def published_cells(entry, references):
    """One line of `published_table`."""
    reference = references.get(entry.get("reference"))
    return [
        network_name(entry["model"], entry["dataset"]),
        entry["method"],
        or_nothing("{:+.2f}".format, entry["accuracy_change"]),
        or_nothing("{:+.1f}%".format, entry["parameters_change"]),
        or_nothing("{:+.1f}%".format, entry["macs_change"]),
        entry["remark"],
        f"[{reference['name']}]({reference['url']})" if reference else "",
    ]


def trade_off_table(pool):
    """MACs, latency and accuracy of every way to a smaller network."""
    headings = ["experiment", "method", "seeds", "epochs", "test accuracy"]
    headings += [
        "change, points",
        "MACs kept",
        *(f"{form} latency" for form in FORMATS),
    ]
    lines = []
    for each in pool:
        dense = dense_of(each, pool)
        lines.append(
            [
                f"`{each.name}`",
                method_name(each),
                seeds(each),
                str(each["epochs"]),
                spread(each, "accuracy"),
                change_cell(each, pool),
                f"{each.mean('macs_kept'):.1%}",
                *(latency(each, dense, form) for form in FORMATS),
            ]
        )
    return table(headings, lines)


def settings_table(experiments, pool):
    """Experiments whose settings are compared: accuracy beside what is kept."""
    headings = ["experiment", "network", "seeds", "epochs", "accuracy", "images"]
    headings += ["change, points", "training accuracy", "parameters kept", "MACs kept"]
    return table(
        headings,
        [
            [
                f"`{each.name}`",
                network_name(*each.network),
                seeds(each),
                str(each["epochs"]),
                spread(each, each.measured),
                "held out" if each["validate"] else "test",
                change_cell(each, pool),
                training_accuracy(each),
                f"{each.mean('parameters_kept'):.1%}",
                f"{each.mean('macs_kept'):.1%}",
            ]
            for each in experiments
        ],
    )


def limited_table(experiments):
    """Accuracy by share of the training images."""
    headings = ["experiment", "share of the images", "images", "epochs", "seeds"]
    headings += ["test accuracy", "change, points", "parameters kept", "MACs kept"]
    return table(
        headings,
        [
            [
                f"`{each.name}`",
                f"{each['fraction']:.0%}",
                or_nothing("{:,}".format, each["images"]),
                str(each["epochs"]),
                seeds(each),
                spread(each, "accuracy"),
                change_cell(each, experiments),
                f"{each.mean('parameters_kept'):.1%}",
                f"{each.mean('macs_kept'):.1%}",
            ]
            for each in sorted(experiments, key=lambda each: each["fraction"])
        ],
    )


def held_out_table(experiments):
    """Trials of the defaults: what was asked for, and what came of it."""
    headings = ["experiment", "teacher", "events at epochs", "MACs", "parameters"]
    headings += ["held-out accuracy", "seeds"]
    return table(
        headings,
        [
            [
                f"`{each.name}`",
                each["teacher"],
                events(each),
                kept(each, "macs"),
                kept(each, "parameters"),
                spread(each, each.measured),
                seeds(each),
            ]
            for each in experiments
        ],
    )


def time_table(experiments, pool):
    """Epochs and seconds of every training against the dense one of as many epochs."""
    headings = ["experiment", "rows", "epochs", "seconds", "seconds, ratio to dense"]
    headings += ["median epoch, s", "peak memory"]
    lines = []
    for each in experiments:
        epochs = [second for run in each.values("epoch_seconds") for second in run]
        memory = each.mean("peak_memory_bytes")
        lines.append(
            [
                f"`{each.name}`",
                str(len(each.values("seconds"))),
                str(each["epochs"]),
                or_nothing("{:,.0f}".format, each.mean("seconds")),
                or_nothing("{:.2f}".format, time_ratio(each, dense_of(each, pool))),
                f"{statistics.median(epochs):.2f}" if epochs else NOTHING,
                or_nothing(lambda size: f"{size / 2**20:,.0f} MiB", memory),
            ]
        )
    return table(headings, lines)


def machine_table(experiments):
    """Hardware and versions, and how many networks were measured with them."""
    counts = collections.Counter(
        (
            what,
            machine(environment),
            backend,
            compiler_flags(environment),
            software(environment),
        )
        for each in experiments
        for what, backend, environment in environments(each)
    )
    return table(
        ("what", "hardware", "backend", "`XLA_FLAGS`", "versions", "networks"),
        [[*what, str(count)] for what, count in sorted(counts.items(), reverse=True)],
    )


def environments(experiment):
    """What was measured where: task, backend and environment, one for each network."""
    for row in experiment.rows:
        yield "training", row["backend"], row
        if row.get("tflite_environment"):
            yield "export", "", row["tflite_environment"]
    if experiment.latency:
        yield "latency", "", experiment.latency["environment"]

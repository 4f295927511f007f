"""What pages say with numbers, in Markdown: the tables."""

import collections
import functools
import json

from experiments import FORMATS, HERE
from report_parts import compiler_flags, machine, software, table
from summaries import NO_TEACHER, dense_of, kept, latency_share

MODEL_NAMES = {f"resnet{n}": f"ResNet-{n}" for n in (8, 18, 20, 32, 50, 56)}
METHOD_NAMES = {
    "dprp": "DPRP",
    "truncated": "truncated, not trained on",
    "finetuned": "dense for half of the epochs, truncated, trained on",
}
RANK_LOSSES = {"sum": "ranks by the lost shares added up"}
NOTHING = "—"
NOT_MEASURED = "This has not been measured yet."


def model_name(each):
    """As it is written in a text."""
    return MODEL_NAMES.get(each["model"], each["model"])


def kind(each):
    """How a network was trained, without its size."""
    name, teacher = METHOD_NAMES.get(each["method"], each["method"]), each["teacher"]
    if each["width"]:
        name = f"narrower {name}"
    if each["weights"]:
        alone = ", no teacher" if teacher in NO_TEACHER else ""
        return f"{name}, from a trained network{alone}"
    taught = "its own teacher" if teacher == "self" else "a dense teacher"
    return name if teacher in NO_TEACHER else f"{name}, {taught}"


def described(each):
    """How it was trained, and what is not as it usually is."""
    words = [kind(each), each["penalties"]]
    if each["width"]:
        words.append(f"{each['width']} filters at first")
    if each["method"] == "dprp" and "target" not in each["pruning"]:
        words.append("no target")
    if each.by_time:
        share = each["pruning"]["target"]
        words.append(f"by a budget of {share:.0%} of the {each.by_time} latency")
    words.append(RANK_LOSSES.get(each["rank_loss"], each["rank_loss"]))
    words.append("orthonormal factors" if each["orthonormal"] else None)
    words.append("cut where weights are averaged" if each["averaged"] else None)
    options = each["factorize"] or {}
    first = each["factors"] or options.get("rank")
    words.append("factors from the first step on" if first else None)
    words.append(f"mode {options['mode']}" if "mode" in options else None)
    for term in ("structure", "compression"):
        for name, weight in options.get(term, {}).items():
            words.append(name if weight is None else f"{name} of weight {weight}")
    if each["restart"] not in (None, 1):
        anew = (
            f"starts anew at {each['restart']:.0%}" if each["restart"] else "falls once"
        )
        words.append(f"learning rate {anew}")
    if each["fraction"] < 1:
        words.append(f"{each['images']:,} images")
    return ", ".join(filter(None, words))


def images(each):
    """What accuracy was measured on."""
    return "held-out training images" if each["validate"] else "test images"


def written(form, value):
    """What a format string makes of a value, a dash of None."""
    return NOTHING if value is None else form.format(value)


def spread(each, *keys):
    """An accuracy in per cent: the mean, and the deviation where there is one."""
    cell, deviation = written("{:.2%}", each.mean(*keys)), each.deviation(*keys)
    return cell if deviation is None else f"{cell} ± {100 * deviation:.2f}"


def change(each, pool):
    """In points of accuracy against dense."""
    dense = dense_of(each, pool)
    difference = None if dense is each else each.change(dense)
    return NOTHING if difference is None else f"{100 * difference:+.2f}"


def events(each):
    """At the beginning of which epochs ranks fell, counted from 0."""
    epochs = {tuple(every) for every in each.values("event_epochs")}
    return " or ".join(", ".join(map(str, e)) for e in sorted(epochs)) or NOTHING


def latency(each, form, pool):
    """Of an exported file, over that of the dense network's."""
    return written("{:.0%}", latency_share(each, form, pool))


def results_table(experiments, pool, named=True):
    """What is kept of every network, and what that costs; no column without a figure.

    Args:
        experiments: `Experiment`s, the lines; all on the same images.
        pool: `Experiment`s that have the dense ones.
        named: Whether the names of experiments and the epochs of events are of use.
    """
    if not experiments:
        return NOT_MEASURED
    columns = {
        "network": model_name,
        "trained as": described,
        "MACs": lambda each: written("{:.1%}", kept(each, "macs", pool)),
        "parameters": lambda each: written("{:.1%}", kept(each, "parameters", pool)),
        f"accuracy on {images(experiments[0])}": lambda e: spread(e, e.measured),
        "change, points": lambda each: change(each, pool),
        "int8 accuracy": lambda each: spread(each, "tflite", "int8", "accuracy"),
    }
    for form in FORMATS:
        columns[f"{form} latency"] = functools.partial(latency, form=form, pool=pool)
    columns["seeds"] = lambda each: str(len(each.seeds))
    if named:
        names = {"experiment": lambda each: f"`{each.name}`"}
        columns = {**names, **columns, "events at epochs": events}
    cells = {name: [cell(e) for e in experiments] for name, cell in columns.items()}
    full = {name: column for name, column in cells.items() if set(column) != {NOTHING}}
    return table(list(full), zip(*full.values(), strict=True))


def former_table(experiments):
    """What the former package reached, a column a size; latency of one network each."""
    if not experiments:
        return NOT_MEASURED
    lines: dict[tuple, dict] = {}
    for each in experiments:
        cells = {described(each): spread(each, "accuracy")}
        for form in FORMATS:
            cells[f"*latency of the {form} file*"] = latency(each, form, experiments)
        for words, cell in cells.items():
            if cell != NOTHING:
                line = lines.setdefault((model_name(each), words), {})
                line.setdefault(f"{each.mean('macs_kept'):.0%}", cell)
    sizes = list(dict.fromkeys(size for line in lines.values() for size in line))
    headings = ["network", "trained as", *(f"{size} of the MACs" for size in sizes)]
    models = [model_name(each) for each in experiments]
    lines_of = sorted(lines, key=lambda of: (models.index(of[0]), "*" in of[1]))
    return table(
        headings,
        [[*of, *(lines[of].get(size, NOTHING) for size in sizes)] for of in lines_of],
    )


def published_table():
    """What others published for CIFAR-10, against each one's own dense network."""
    published = json.loads((HERE / "published.json").read_text())
    links = {
        name: f"[{each['name']}]({each['url']})"
        for name, each in published["references"].items()
    }
    lines = [
        [
            model_name(each),
            f"{each['method']} ({links[each['reference']]})",
            f"{100 + each['macs_change']:.0f}%",
            f"{each['accuracy_change']:+.2f}",
            each["remark"],
        ]
        for each in published["figures"]
    ]
    claims = "; ".join(
        f"{each['claim']} ([{each['name']}]({each['url']}))"
        for each in published["claims"]
    )
    headings = ["network", "method", "MACs", "change, points", "remark"]
    return f"{table(headings, lines)}\n\nThe method's own papers report {claims}."


def machine_table(experiments):
    """Hardware, versions and seeds, and how many networks were measured with them."""
    if not experiments:
        return NOT_MEASURED
    where = [("training", row) for each in experiments for row in each.rows]
    found = [e for each in experiments for e in each.values("tflite_environment")]
    where += [("export", environment) for environment in found]
    where += [("latency", e.latency["environment"]) for e in experiments if e.latency]
    counts = collections.Counter(
        (what, machine(each), each["backend"], compiler_flags(each), software(each))
        for what, each in where
    )
    lines = [[*what, str(count)] for what, count in sorted(counts.items())[::-1]]
    headings = ["what", "hardware", "backend", "`XLA_FLAGS`", "versions", "networks"]
    seeds = sorted({seed for each in experiments for seed in each.seeds})
    return f"{table(headings, lines)}\n\nSeeds: {', '.join(map(str, seeds))}."

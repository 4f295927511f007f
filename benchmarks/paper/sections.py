"""The sections of `docs/results.md`.

Each is a function of the page and of experiments by section (`summaries.split`), and
returns whether there was anything to say.
"""

import json

import figures
import layer_figures
import tables
from experiments import HERE
from summaries import (
    ALONE,
    TAUGHT,
    ablation_group,
    ablation_order,
    by_network,
    by_penalty,
    dense_of,
    every_of,
    of_methods,
)


def remake(page, experiments):
    """How every figure of the page comes about."""
    page.add(
        "Tables, figures and the measured numbers in the text are made out of "
        "[`benchmarks/paper/results.jsonl`](../benchmarks/paper/results.jsonl) (one "
        "row a training), and `latency.json` and `published.json` beside it. This "
        "makes the page anew, and `--check` only compares:"
    )
    page.add("    .venv/bin/python benchmarks/paper/report.py")
    former = sum(each.former for each in every_of(experiments))
    page.add(
        "The settings of experiments are in "
        "[`benchmarks/paper/settings`](../benchmarks/paper/settings). Those of "
        "`defaults.json` and `main.json` (names that begin with `held-out-` and "
        "`cifar10-`) are for the package as it is. All others, "
        f"{former} experiments here, are of a former version, whose layers always "
        "held factors and had penalties by default: they are kept as a record. This "
        "trains one network, one seed, and leaves its row and its network in `again`:"
    )
    page.add(
        "    KERAS_BACKEND=jax .venv/bin/python benchmarks/paper/run.py \\\n"
        "        benchmarks/paper/settings/main.json --data cifar10.npz \\\n"
        "        --only cifar10-resnet20-dense-seed0 --out again"
    )
    page.add(
        "One network of each kind is in "
        "[`benchmarks/paper/models`](../benchmarks/paper/models), folded and without "
        "its optimizer; ResNet-32 and -18, for their size, as float16 files, of the "
        "latter only the pruned one. This measures their accuracy on the test images "
        "again, on a CPU:"
    )
    page.add("    .venv/bin/python benchmarks/paper/evaluate.py --data cifar10.npz")
    page.add(
        "An accuracy with a ± is the mean and the sample standard deviation over the "
        "seeds, one without is of one seed; every other cell is a mean over the "
        "seeds. Accuracy is that of the last epoch. *Kept* is the share of the dense "
        "network's parameters (by the former version, of the trainable ones), or of "
        "its multiply-accumulates (MACs) for one image, the whole network counted, "
        "every layer in the cheaper of its dense and its factorised form. A *change* "
        "is in points of accuracy, against the dense network of as many epochs or, "
        "where there is none, of the most, with the same weight decay and learning "
        "rate and by the same version, over the seeds that both have."
    )
    return True


def machines(page, experiments):
    """Hardware, versions and seeds."""
    every = every_of(experiments)
    rows = [row for each in every for row in each.rows]
    if not rows:
        return False
    page.add(tables.machine_table(every))
    seeds = ", ".join(map(str, sorted({row["seed"] for row in rows})))
    page.add(
        f"Seeds in all: {seeds}; the tables say which of them an experiment has. A "
        "seed fixes the initial weights and, unless the training was interrupted, the "
        "order and augmentation of the images."
    )
    return True


def main_results(page, experiments):
    """Dense and DPRP, with and without a teacher, and their exported files."""
    pool = experiments["main"]
    shown, taught = of_methods(pool, *ALONE), of_methods(pool, *TAUGHT)
    if shown:
        page.add(tables.accuracy_table(shown, pool))
    if taught:
        page.add(
            "With a dense network as teacher, which had to be trained first; its "
            "epochs stand in brackets and are not in the seconds:"
        )
        page.add(tables.accuracy_table(taught, pool))
    exported = [each for each in shown + taught if each.values("tflite")]
    if exported:
        page.add(
            "The exported files, with the accuracy that LiteRT reaches with them on "
            "all test images, and their size against the dense network's:"
        )
        page.add(tables.export_table(exported, pool))
    return bool(shown + taught)


def published(page, experiments):
    """What others published, and what is not the same there."""
    pool = experiments["main"]
    ours = [
        each for each in of_methods(pool, "dprp", "own-teacher") if dense_of(each, pool)
    ]
    if not ours:
        return False
    theirs = json.loads((HERE / "published.json").read_text())
    page.add(
        "Each line is a change against that paper's own dense network, in points of "
        "accuracy and in per cent of the parameters and MACs. A bar in the figures is "
        "the standard deviation over our seeds:"
    )
    page.add(tables.published_table(ours, pool, theirs))
    drawn = [entry for entry in theirs["figures"] if entry["macs_change"] is not None]
    known = {(entry["model"], entry["dataset"]) for entry in drawn}
    page.figures_of(
        "published",
        "Change of accuracy against change of the MACs",
        figures.change_by_macs,
        by_network([each for each in ours if each.network in known]),
        pool,
        drawn,
    )
    page.add(
        "The paper of the method itself reports, over its networks and data sets, "
        + "; ".join(
            f"{each['claim']} ([{each['name']}]({each['url']}))"
            for each in theirs["claims"]
        )
        + "."
    )
    page.add("What differs:")
    page.add("\n".join(f"- {point}" for point in differing(ours)))
    return True


def differing(ours):
    """Why a line of ours and a published one are not measured alike."""
    lengths = " or ".join(map(str, sorted({each["epochs"] for each in ours})))
    counts = " or ".join(map(str, sorted({len(each.seeds) for each in ours})))
    return (
        "The losses of the method are reconstructed from a summary of the paper; its "
        "equations, weights, thresholds and the cells of its tables were not at hand.",
        f"Here an experiment has {lengths} epochs and {counts} seeds (the tables say "
        "which), a line is their mean, and the accuracy that of the last epoch. The "
        "published figures are as their papers state them: with numbers of epochs and "
        "runs of their own, and of the last epoch or of the best.",
        "*Kept* is counted here over the whole network, as the first section says. "
        "Which layers the papers count is theirs to say.",
        "Every paper has its own dense network, and a loss against a weak one says "
        "less.",
    )


def ablation(page, experiments):
    """Frontiers of the compression penalties, and what else was switched."""
    every = experiments["ablation"]
    if not every:
        return False
    page.add(tables.settings_table(sorted(every, key=ablation_order), every))
    dense = [each for each in every if ablation_group(each) == "dense"]
    penalties = by_penalty(every)
    switched = [
        each
        for each in sorted(every, key=ablation_order)
        if ablation_group(each) not in ("dense", "compression", "decay")
    ]
    if penalties:
        page.add(
            "The frontier of every compression penalty, one point a strength: what "
            "lies further up and to the left is better. What falls far below dense is "
            "in the table only."
        )
        page.figure(
            "ablation-compression",
            "Accuracy against MACs kept, one curve a compression penalty",
            figures.frontiers,
            penalties,
            dense,
        )
    if switched:
        page.add(
            "Everything else that was switched, with the share of the MACs kept; a bar "
            "is the standard deviation over the seeds:"
        )
        page.figure(
            "ablation-others",
            "Accuracy of everything that was switched, one line each",
            figures.switches,
            switched,
            dense,
        )
    return True


def held_out(page, experiments):
    """Trials of the defaults, on images held out of the training images."""
    every = experiments["held_out"]
    if not every:
        return False
    page.add(
        "Trained on nine tenths of the training images and judged on the tenth; the "
        "test images take no part. `events1` and `events3` have one event and three, "
        "`macs30` keeps 30 % of the MACs; `sum` chooses ranks by the lost shares of "
        "s², added up, in place of the logarithms of what is kept; `bare` tells the "
        "callback nothing: its rule then took half of what was left at every event, "
        "and today's stops at half of the network. The teacher `self` is the network "
        "before its first event:"
    )
    page.add(tables.held_out_table(every))
    return True


def trade_off(page, experiments):
    """Speed against accuracy."""
    pool = experiments["main"]
    smaller = {each.network for each in pool if each["method"] != "dense"}
    if not smaller:
        return False
    page.add(tables.trade_off_table(pool))
    page.add(
        "Latency is LiteRT's on one thread, of one seed's file: the median of ten "
        "medians, as every file is loaded ten times. In brackets stands the ratio to "
        "the dense network's file of the same number type; all files took turns in "
        "one run of [`latency.py`](../benchmarks/paper/latency.py). In the "
        "figures a curve connects what was trained for as many epochs, and a bar is "
        "the standard deviation over the seeds; what falls far below dense is in the "
        "table only."
    )
    drawn = [each for each in pool if each.network in smaller]
    page.figures_of(
        "accuracy-by-macs",
        "Test accuracy against MACs kept",
        figures.accuracy_by_macs,
        by_network(drawn),
    )
    page.figures_of(
        "accuracy-by-latency",
        "Test accuracy against latency",
        figures.accuracy_by_latency,
        by_network([each for each in drawn if each.latency]),
        pool,
    )
    return True


def rank_analysis(page, experiments):
    """Ranks and singular values of every layer."""
    shown = of_methods(experiments["main"], *ALONE)
    ranked = [each for each in shown if any(each.values("ranks"))]
    if not ranked:
        return False
    page.add(
        "The rank of every factorised layer at the start and at the end of the "
        "training, mean and range over the seeds:"
    )
    page.figures_of(
        "ranks", "Ranks of every layer", layer_figures.ranks, by_network(ranked)
    )
    networks = {each.network for each in ranked if each.values("spectra")}
    known = [each for each in shown if each.values("spectra")]
    if networks:
        page.add(
            "The singular values of the same layers at the end of the training, dense "
            "and factorised, of the first seed and over the largest of their layer. A "
            "curve ends at the rank:"
        )
    page.figures_of(
        "spectra",
        "Singular values of every layer",
        layer_figures.spectra,
        by_network([each for each in known if each.network in networks]),
    )
    return True


def limited(page, experiments):
    """Few training images."""
    every = experiments["limited"]
    if not every:
        return False
    page.add(tables.limited_table(every))
    page.figures_of(
        "limited",
        "Test accuracy against training images",
        figures.accuracy_by_images,
        by_network(every),
    )
    return True


def training_time(page, experiments):
    """What a training takes."""
    pool = experiments["main"]
    shown = of_methods(pool, *ALONE)
    shown = [each for each in shown if each.values("seconds")]
    if not shown:
        return False
    page.add(tables.time_table(shown, pool))
    page.add(
        "Seconds are those of `fit`: compilation, events and validation included. The "
        "ratio is to dense trainings of as many epochs on the same hardware and "
        "versions; rows of trainings that were interrupted are left out."
    )
    return True


def other(page, experiments):
    """What is in the rows and in no section above."""
    if experiments["other"]:
        # A trial is compared with the dense network of the section it would be in.
        page.add(tables.settings_table(experiments["other"], every_of(experiments)))
    else:
        page.add("Every row is in one of the sections above.")
    return True


SECTIONS = {
    "How this page is made": remake,
    "Machines, versions and seeds": machines,
    "Main results": main_results,
    "Beside published figures": published,
    "Held-out trials of the defaults": held_out,
    "Ablation": ablation,
    "Speed against accuracy": trade_off,
    "Ranks and singular values": rank_analysis,
    "Limited data": limited,
    "Training time": training_time,
    "Other experiments": other,
}

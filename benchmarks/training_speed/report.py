"""Writes `docs/training_time.md` out of committed results; `--check` only compares."""

import itertools
import json
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from report_parts import (  # noqa: E402
    compiler_flags,
    machine,
    software,
    table,
    write_or_check,
)

# Epochs of the main results. The default schedule has as many events in them.
LONG = 200
PAGE = ROOT / "docs" / "training_time.md"


def total_line(name, results, method):
    """How long the dense training took, and that of another method."""
    dense, other = results["runs"][0], run_of(results, method)
    return [
        f"`{name}`",
        method_name(method),
        machine(results),
        results["backend"],
        "yes" if dense["jit_compile"] else "no",
        compiler_flags(results),
        f"{results['images']:,}",
        str(results["epochs"]),
        f"{dense['seconds']:,.0f}",
        f"{other['seconds']:,.0f}",
        f"{other['seconds'] / dense['seconds']:.2f}",
        f"{stretched(dense, other, LONG):.2f}",
        f"{stretched(dense, other, LONG, min):.2f}",
    ]


def methods(results):
    """What was trained beside the dense network."""
    return [run["method"] for run in results["runs"][1:]]


def run_of(results, method):
    """The run of one method."""
    return next(run for run in results["runs"] if run["method"] == method)


def method_name(method):
    """As it is written in a text."""
    return method.replace("dprp", "DPRP")


def step_count(results):
    """Steps of an epoch."""
    return -(-results["images"] // results["batch"])


def stretched(dense, other, epochs, typical=statistics.fmean):
    """The ratio that two runs would have with more epochs, out of their parts.

    `typical` makes one number of the epochs of a phase: before, between or after the
    events. An event is in the place of an epoch.
    """

    def seconds(run):
        events, times = run["event_epochs"], run["epoch_seconds"]
        ends = [0, *events, len(times)]
        phases = [times[a + 1 : b] for a, b in itertools.pairwise(ends)]
        rest = (epochs - 1 - len(events)) / sum(map(len, phases))
        plain = sum(len(phase) * rest * typical(phase) for phase in phases)
        return times[0] + sum(times[e] for e in events) + plain

    return seconds(other) / seconds(dense)


def parts_line(name, results, method):
    """What an epoch takes before and after the events, and what an event adds."""
    dense, other = results["runs"][0], run_of(results, method)
    seconds, events = other["epoch_seconds"], other["event_epochs"]
    # The first epoch compiles.
    before, after = seconds[1 : events[0]], seconds[events[-1] + 1 :]
    added = statistics.median(
        seconds[e] - min(seconds[e - 1], seconds[e + 1]) for e in events
    )
    typical = statistics.median(dense["epoch_seconds"][1:])
    step = typical / step_count(results)
    return [
        f"`{name}`",
        method_name(method),
        f"{step_count(results):,}",
        f"{typical:.2f}",
        f"{statistics.median(before):.2f}",
        f"{statistics.median(after):.2f}",
        str(len(events)),
        f"{added:.1f}",
        f"{added / step:,.0f}",
        f"{len(events) * added / other['seconds']:.0%}",
    ]


def pair_lines(results):
    """Both ways to apply the factors of a layer, rank by rank, against dense."""
    return [
        [
            f"{row['size']} x {row['size']}",
            str(row["channels"]),
            f"{row['dense_ms']:.2f}",
            str(row["rank"]),
            f"{row['macs_share']:.1%}",
            f"{row['merged']:.2f}",
            f"{row['pair']:.2f}",
        ]
        for row in results["rows"]
    ]


def pair_section(results):
    """Which layers train faster with two convolutions, in Markdown."""
    headings = ["maps", "channels", "dense step, ms", "rank", "MACs of the pair"]
    headings += ["merged kernel, ratio to dense", "pair, ratio to dense"]
    return (
        "## Two convolutions, or one with the merged kernel\n\n"
        f"Training steps of {results['depth']} equal 3 x 3 layers with ReLU between "
        f"them, batches of {results['batch']}, float32, without penalties, by "
        "[`pairs.py`](../benchmarks/training_speed/pairs.py):\n\n"
        + table(headings, pair_lines(results))
        + "\n\n"
        "With 16 channels, or 64 on small maps, the merged kernel is faster; with 64 "
        "on large maps the pair is slightly. From 128 channels on the pair is as fast "
        "or faster at every rank, and at an eighth of the MACs it beats the dense "
        "layer too. So on an accelerator a layer trains as a pair if its dense kernel "
        "has the numbers of 3 x 3 with 128 channels or more, and the pair at most half "
        "of the MACs. All of this is of one run, with JAX and 3 x 3 only, and ratios "
        "of the smallest layers scatter. What it is worth in a whole training is not "
        "measured; `jax-gpu` above has no such layer.\n\n"
        f"Machine: {machine(results)}; `XLA_FLAGS` {compiler_flags(results)}; "
        f"{software(results)}.\n" + former_pairs(results)
    )


def former_pairs(results):
    """That these were not the layers of today, where they were not."""
    if not results.get("former"):
        return ""
    return "\nThe layers were those of a former version of the package.\n"


def page():
    """The whole page."""
    pairs = json.loads((HERE / "results" / "pairs" / "jax-gpu.json").read_text())
    paths = sorted((HERE / "results").glob("*.json"))
    every = {path.stem: json.loads(path.read_text()) for path in paths}
    lines = [(*each, m) for each in every.items() for m in methods(each[1])]
    totals = ["run", "trained as", "machine", "backend", "jit"]
    totals += ["`XLA_FLAGS`", "images", "epochs", "dense, s", "so trained, s"]
    totals += ["ratio", f"ratio over {LONG} epochs", "of the quickest epochs"]
    parts = ["run", "trained as", "steps an epoch", "dense epoch, s"]
    parts += ["epoch before the first event, s", "epoch after the last event, s"]
    parts += ["events", "an event adds, s", "in dense steps", "all events"]
    first = next(iter(every.values()))
    versions = "; ".join(f"`{name}`: {software(each)}" for name, each in every.items())
    return (
        "<!-- Written by benchmarks/training_speed/report.py: change that, not this. "
        "-->\n\n# Training time, measured\n\n"
        "ResNet-20 of the CIFAR-10 example, dense and then with DPRP at "
        f"{first['macs_kept']:.0%} of the MACs and the same as its own teacher, in one "
        "process; "
        f"batches of {first['batch']}, everything else as by default. "
        "Compilation and events are included. This measures it on another machine "
        "(with `--images 50000` on a GPU):\n\n"
        "    KERAS_BACKEND=jax .venv/bin/python benchmarks/training_speed/run.py NAME\n"
        "    .venv/bin/python benchmarks/training_speed/report.py\n\n"
        + table(totals, [total_line(*each) for each in lines])
        + "\n\nWhere the time goes, medians over epochs and events:\n\n"
        + table(parts, [parts_line(*each) for each in lines])
        + "\n\n*All events* is their share of the training. An event compiles (with "
        "jit) or traces the training step anew, which takes as long however many steps "
        f"an epoch has and however many epochs the training; the ratio over {LONG} "
        "epochs is computed from the same parts. On a CPU an event costs a few "
        "steps, and steps get faster or stay as they are as ranks fall. On a GPU a "
        "network as small as this one has quick steps and many kernels to compile, "
        "so that an event costs as much as a dozen epochs, and a step takes longer "
        "than a dense one even after the last event: there the factors of so small "
        "layers are always merged into the dense kernel.\n\n"
        "Beside `jax-gpu`, another GPU of the same host trained other networks; "
        "`jax-gpu-alone` had the host for itself, and its epochs are as uneven, dense "
        "ones too. The quickest epochs of each phase say what a quiet machine would "
        "give. Of `XLA_FLAGS`, see "
        "[Troubleshooting](troubleshooting.md#training-got-slower).\n\n"
        f"Versions: {versions}.\n\n" + pair_section(pairs)
    )


if __name__ == "__main__":
    write_or_check(PAGE, page(), __doc__.partition("\n")[0])

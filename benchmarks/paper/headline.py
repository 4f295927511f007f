"""The main results for the README."""

from cells import FORMATS, latency_ratio, method_name, model_name, spread
from report_parts import table
from summaries import ALONE, TAUGHT, dense_of, of_methods
from tables import epochs_cell

DATASET = "cifar10"


def headline(experiments):
    """A table and what its figures are of, in Markdown.

    Args:
        experiments: `Experiment`s by section.
    """
    pool = experiments["main"]
    shown = of_methods(pool, *ALONE, *TAUGHT)
    shown = [each for each in shown if each["dataset"] == DATASET]
    return headline_table(shown, pool) + (
        "\n\nMeans over the seeds, and their sample standard deviation. Every network "
        "is the last epoch of one `fit`; *its own teacher* is what it was halfway "
        "there, at full rank; *with a teacher*, a dense network had been trained "
        "before. Latency of the files is LiteRT's on one thread of an x86 "
        "processor, against the dense network's file of the same number type.\n"
        + few_images(experiments["limited"])
    )


def few_images(experiments):
    """A sentence on a tenth of the training images; nothing if there are no rows."""
    by_name = {each.name: each for each in experiments}
    dense, dprp = (by_name.get(f"limited-10-{each}") for each in ("dense", "dprp"))
    if dense is None or dprp is None:
        return ""
    return (
        f"\nTrained on {dprp['images']:,} images, a tenth, DPRP at "
        f"{dprp.mean('macs_kept'):.0%} of the MACs reaches "
        f"{spread(dprp, 'accuracy')}, the dense network {spread(dense, 'accuracy')} "
        f"({len(dprp.seeds)} seeds, {dprp['epochs']} epochs).\n"
    )


def headline_table(experiments, pool):
    """What a reader wants to know first."""
    headings = ["network", "trained as", "seeds", "epochs", "test accuracy"]
    headings += ["int8 accuracy", "parameters", "MACs"]
    headings += [f"{form} latency" for form in FORMATS]
    return table(
        headings,
        [
            [
                model_name(each["model"]),
                method_name(each),
                str(len(each.seeds)),
                epochs_cell(each),
                spread(each, "accuracy"),
                spread(each, "tflite", "int8", "accuracy"),
                f"{each.mean('parameters_kept'):.0%}",
                f"{each.mean('macs_kept'):.0%}",
                *(latency_ratio(each, dense_of(each, pool), f) for f in FORMATS),
            ]
            for each in experiments
        ],
    )

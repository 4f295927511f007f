"""How the figures of `docs/results.md` are written."""

import statistics

from summaries import METHOD_NAMES, dense_of, latency_share, penalty

MODEL_NAMES = {
    "resnet18": "ResNet-18",
    "resnet20": "ResNet-20",
    "resnet32": "ResNet-32",
    "resnet50": "ResNet-50",
    "resnet56": "ResNet-56",
    "vgg16": "VGG-16",
}
DATASET_NAMES = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "imagenet": "ImageNet",
}
# Methods whose objective has a compression term.
PRUNED = ("dprp", "distilled", "own-teacher")
FORMATS = ("float32", "int8")
NOTHING = "—"


def model_name(model):
    """As it is written in a text."""
    return MODEL_NAMES.get(model, model)


def network_name(model, dataset):
    """As it is written in a text."""
    return f"{model_name(model)}, {DATASET_NAMES.get(dataset, dataset)}"


def method_name(experiment):
    """As it is written in a text."""
    name = METHOD_NAMES.get(experiment["method"], experiment["method"])
    if experiment["width"]:
        return f"{name}, {experiment['width']} filters at first"
    # Penalties were the default once.
    default = not experiment.former or penalty(experiment) != "none"
    if experiment["method"] not in PRUNED or default:
        return name
    structure = experiment["factorize"].get("structure", "default")
    return f"{name}, no compression term" if structure else f"{name}, no penalties"


def or_nothing(form, value):
    """What `form` makes of a value, a dash of None."""
    return NOTHING if value is None else form(value)


def spread(experiment, *keys):
    """A share as per cent: the mean, and the deviation where there is one."""
    return with_deviation(experiment.mean(*keys), experiment.deviation(*keys))


def with_deviation(mean, deviation):
    """Both as per cent; the deviation may be None, and the mean where it is."""
    cell = or_nothing("{:.2%}".format, mean)
    return cell if deviation is None else f"{cell} ± {100 * deviation:.2f}"


def training_accuracy(experiment):
    """Of the last epoch, on augmented images and while the weights still change."""
    last = [every[-1] for every in experiment.values("history", "accuracy")]
    return or_nothing("{:.2%}".format, statistics.fmean(last) if last else None)


def points(change):
    """A difference of two shares."""
    return or_nothing(lambda value: f"{100 * value:+.2f}", change)


def seeds(experiment):
    """How many, and which."""
    return f"{len(experiment.seeds)} ({', '.join(map(str, experiment.seeds))})"


def count_and_share(count, share):
    """For example "97,100 (36.0%)"."""
    return NOTHING if count is None else f"{count:,.0f} ({share:.1%})"


def events(experiment):
    """At the beginning of which epochs ranks fell, counted from 0."""
    epochs = {tuple(each) for each in experiment.values("event_epochs")}
    return " or ".join(", ".join(map(str, each)) for each in sorted(epochs)) or NOTHING


def kept(experiment, key):
    """Parameters or MACs, and the share of the dense network's."""
    return count_and_share(experiment.mean(key), experiment.mean(f"{key}_kept"))


def file_size(experiment, dense, form):
    """Bytes of an exported file, and the share of the dense network's."""
    size = experiment.mean("tflite", form, "bytes")
    beside = dense and dense.mean("tflite", form, "bytes")
    if size is None or beside is None:
        return or_nothing("{:,.0f}".format, size)
    return count_and_share(size, size / beside)


def latency(experiment, dense, form):
    """Of an exported file: microseconds, and the ratio to the dense network's."""
    times = experiment.latency.get(form)
    cell = or_nothing(lambda times: f"{1e3 * times['median_ms']:,.0f} µs", times)
    share = latency_share(experiment, dense, form)
    return cell if share is None else f"{cell} ({share:.0%})"


def latency_ratio(experiment, dense, form):
    """Of an exported file, to the dense network's."""
    return or_nothing("{:.0%}".format, latency_share(experiment, dense, form))


def change_cell(experiment, pool):
    """In points of accuracy against dense."""
    if experiment["method"] == "dense" and not experiment["width"]:
        return NOTHING
    return points(experiment.change(dense_of(experiment, pool), experiment.measured))

"""Rows by experiment: all seeds in one, and which experiments are compared."""

import statistics

# What makes rows seeds of one experiment.
SHARED = (
    "model",
    "dataset",
    "method",
    "epochs",
    "fraction",
    "validate",
    "factorize",
    "pruning",
    "variant",
    "rank_loss",
    "width",
    "source",
    "weights",
    "teacher",
    "teacher_seed",
    "own_teacher",
    "own_teacher_rate",
    "teacher_share",
    "weight_decay",
    "learning_rate",
)
# Of rows that are older than the setting.
FORMER = {
    "weight_decay": 5e-4,
    "learning_rate": 0.1,
    "own_teacher_rate": 0.1,
    "teacher_share": 0.5,
}
# In the order of tables and legends.
MODELS = ("resnet20", "resnet32", "resnet56", "resnet18")
METHOD_NAMES = {
    "dense": "dense",
    "dprp": "DPRP",
    "dense-own-teacher": "dense, its own teacher",
    "own-teacher": "DPRP, its own teacher",
    "dense-distilled": "dense with a teacher",
    "distilled": "DPRP with a teacher",
    "finetuned": "truncated SVD, fine-tuned",
    "truncated": "truncated SVD",
    "magnitude": "magnitude pruning",
}
# What had no other network than itself.
ALONE = ("dense", "dprp", "dense-own-teacher", "own-teacher")
TAUGHT = ("dense-distilled", "distilled")
# What a network is called that had a teacher: another one, or itself.
TAUGHT_NAMES = {
    "dense": {False: "dense-distilled", True: "dense-own-teacher"},
    "dprp": {False: "distilled", True: "own-teacher"},
}
NO_TEACHER = (None, "", "none")
# How the names of trials of the defaults begin.
HELD_OUT = "held-out-"


class Experiment:
    """All seeds of one setting; `experiment["epochs"]` is what they share.

    Args:
        name: String.
        rows: A list of dicts, at least one.
        latency: A dict with the times of its files, by format, and "environment".

    Raises:
        ValueError: If a seed comes twice, or rows differ in more than their seed.
    """

    def __init__(self, name, rows, latency=None):
        self.name = name
        self.latency = latency or {}
        self.rows = sorted(rows, key=lambda row: row["seed"])
        self.seeds = [row["seed"] for row in self.rows]
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(
                f"{name} must have one row for every seed. Received: {self.seeds}"
            )
        for key in SHARED:
            # Absent, None and "" all say that there is none.
            received = [row.get(key) or None for row in self.rows]
            if any(value != received[0] for value in received):
                raise ValueError(
                    f"Every row of {name} must have the same `{key}`. "
                    f"Received: {received}"
                )

    def __getitem__(self, key):
        return self.rows[0].get(key)

    @property
    def network(self):
        """Model and data set."""
        return self["model"], self["dataset"]

    @property
    def former(self):
        """Whether a former version of the package trained it, without a `width`."""
        return "width" not in self.rows[0]

    @property
    def measured(self):
        """The accuracy that its rows have."""
        return "validation_accuracy" if self["validate"] else "accuracy"

    def values(self, *keys):
        """What the rows hold under nested keys, without those that hold nothing."""
        return [value for row in self.rows if (value := look_up(row, keys)) is not None]

    def mean(self, *keys):
        """Over the seeds; None if no row has it."""
        values = self.values(*keys)
        return statistics.fmean(values) if values else None

    def deviation(self, *keys):
        """Sample standard deviation over the seeds; None for fewer than two."""
        values = self.values(*keys)
        return statistics.stdev(values) if len(values) > 1 else None

    def change(self, baseline, *keys):
        """The mean less the mean of another experiment, None if either has none.

        Of the seeds that both have, if there are any: what was made of one seed's
        network is compared with that network.
        """
        if baseline is None:
            return None
        shared = set(self.seeds) & set(baseline.seeds)
        ours, theirs = (each.only(shared).mean(*keys) for each in (self, baseline))
        return None if ours is None or theirs is None else ours - theirs

    def only(self, seeds):
        """The experiment with some of its seeds; with all of them for none."""
        rows = [row for row in self.rows if row["seed"] in seeds or not seeds]
        return Experiment(self.name, rows, self.latency)


def look_up(row, keys):
    """`row[key][key]...`, None where one is missing."""
    for key in keys:
        row = (row or {}).get(key)
    return row


def experiments_of(rows, latency):
    """A list of `Experiment`, by network, method, epochs and name.

    Args:
        rows: A list of dicts.
        latency: A dict from the name of an experiment to its `latency`.
    """
    groups: dict[str, list] = {}
    for row in rows:
        row = {**FORMER, **timed(row), "method": known_as(row)}
        groups.setdefault(row["experiment"], []).append(row)
    experiments = [
        Experiment(name, group, latency.get(name)) for name, group in groups.items()
    ]
    return sorted(experiments, key=order)


def timed(row):
    """The row, without its times if they are those of a part of the training."""
    if not row.get("resumed"):
        return row
    return {**row, "seconds": None, "epoch_seconds": None}


def known_as(row):
    """The method of a row, its teacher included; rows may say both apart."""
    teacher, method = row.get("teacher"), row["method"]
    if teacher in NO_TEACHER or method not in TAUGHT_NAMES:
        return method
    return TAUGHT_NAMES[method][teacher == "self"]


def order(experiment):
    """A key to sort by: known models and methods first, more MACs before fewer."""
    return (
        place(experiment["model"], MODELS),
        experiment["dataset"],
        place(experiment["method"], tuple(METHOD_NAMES)),
        experiment["epochs"],
        -experiment.mean("macs_kept"),
        experiment.name,
    )


def place(name, known):
    """Where a name stands in an order that may not have it."""
    return known.index(name) if name in known else len(known), name


def split(experiments):
    """Experiments by the section they belong to: a dict of lists.

    Names that begin with "ablation-", "limited-" or "held-out-" say so. Of the others,
    "main" has those that trained on all images and were tested, "other" the rest,
    trials of a variant, and what was only trained for others to go on from.
    """
    keys = ("main", "ablation", "limited", "held_out", "other")
    sections: dict[str, list] = {key: [] for key in keys}
    for experiment in experiments:
        prefix = experiment.name.partition("-")[0]
        if experiment.name.startswith(HELD_OUT):
            sections["held_out"].append(experiment)
        elif prefix in ("ablation", "limited"):
            sections[prefix].append(experiment)
        elif (
            experiment["validate"]
            or experiment["fraction"] < 1
            or experiment["variant"]
        ):
            sections["other"].append(experiment)
        else:
            sections["main"].append(experiment)
    halves = [each for each in sections["main"] if only_a_source(each, sections)]
    sections["main"] = [each for each in sections["main"] if each not in halves]
    sections["other"] += halves
    return sections


def every_of(sections):
    """A list of all experiments that `split` has parted."""
    return [each for section in sections.values() for each in section]


def only_a_source(experiment, sections):
    """Whether others went on from it, and its network was trained longer as well."""
    beside = by_network(sections["main"])[experiment.network]
    longest = max((each["epochs"] for each in of_methods(beside, "dense")), default=0)
    sources = {each["source"] for each in beside}
    return experiment.name in sources and experiment["epochs"] < longest


def of_methods(experiments, *methods):
    """Those of some methods."""
    return [each for each in experiments if each["method"] in methods]


def by_network(experiments):
    """A dict from (model, dataset) to its experiments."""
    networks: dict[tuple, list] = {}
    for experiment in experiments:
        networks.setdefault(experiment.network, []).append(experiment)
    return networks


def ablation_group(experiment):
    """The second part of "ablation-<group>-<variant>"."""
    return experiment.name.split("-")[1]


def ablation_order(experiment):
    """A key to sort by: dense, then group by group, every penalty from weak to strong.

    What is kept stands for the strength.
    """
    group = ablation_group(experiment)
    terms = penalty(experiment) if group == "compression" else ""
    return group != "dense", group, terms, -experiment.mean("macs_kept")


def by_penalty(experiments):
    """A dict from a compression penalty to the experiments that compare it."""
    penalties: dict[str, list] = {}
    for each in sorted(experiments, key=ablation_order):
        if each["method"] != "dense" and ablation_group(each) == "compression":
            penalties.setdefault(penalty(each), []).append(each)
    return penalties


def initial_ranks(experiments):
    """A dict from every layer that was factorised to its rank at the start.

    An interrupted training only knows its ranks since it went on, hence the largest.
    """
    initial: dict[str, int] = {}
    for ranks in (ranks for each in experiments for ranks in each.values("ranks")):
        for layer, rank in ranks[0].items() if ranks else ():
            initial[layer] = max(rank, initial.get(layer, 0))
    return initial


def final_ranks(experiment):
    """A list of dicts from layer to rank at the end, one a row that has them."""
    return [ranks[-1] for ranks in experiment.values("ranks") if ranks]


def penalty(experiment):
    """Names of the compression terms."""
    default = "default" if experiment.former else None
    terms = experiment["factorize"].get("compression", default)
    return " and ".join(terms) if isinstance(terms, dict) else str(terms or "none")


def dense_of(experiment, experiments):
    """The dense training to compare with: of as many epochs, or else the longest.

    None if the network was not trained dense on as many of the same images, with
    the same weight decay and learning rate, and by the same version of the package.
    """
    data = ("model", "dataset", "fraction", "validate")
    shared = (*data, "weight_decay", "learning_rate")
    alike = [
        each
        for each in of_methods(experiments, "dense")
        if all(each[key] == experiment[key] for key in shared)
        and each.former == experiment.former
        and not each["width"]
    ]
    as_long = [each for each in alike if each["epochs"] == experiment["epochs"]]
    return max(as_long or alike, key=lambda each: each["epochs"], default=None)


def time_ratio(experiment, dense):
    """Mean ratio of training seconds to those of dense rows of the same machine.

    None if no machine trained both, for as many epochs.
    """
    ratios = []
    for row in experiment.rows if dense else ():
        alike = [
            each
            for each in dense.rows
            if trained_on(each) == trained_on(row) and each["epochs"] == row["epochs"]
        ]
        beside = [each["seconds"] for each in alike if each["seconds"] is not None]
        if beside and row["seconds"] is not None:
            ratios.append(row["seconds"] / statistics.fmean(beside))
    return statistics.fmean(ratios) if ratios else None


def trained_on(row):
    """The machine of a training, and the software that its speed depends on."""
    versions = row["versions"]
    packages = ("keras", "jax") if row["backend"] == "jax" else ("keras", "tensorflow")
    return (
        row["hardware"],
        row["backend"],
        row.get("xla_flags"),
        [versions.get(name) for name in packages],
    )


def latency_share(experiment, dense, form):
    """Latency of a file over that of the dense network's; None if either is unknown."""
    if dense is None or form not in experiment.latency or form not in dense.latency:
        return None
    return experiment.latency[form]["median_ms"] / dense.latency[form]["median_ms"]

"""Rows by experiment: all seeds in one, what it is, and what it is compared with."""

import statistics

from experiments import NO_OTHER, VARIANTS

# What makes rows seeds of one experiment, whatever its name says.
SHARED = (
    *("model", "dataset", "width", "method", "epochs", "fraction", "validate"),
    *("weights", "teacher", "teacher_share", "weight_decay", "learning_rate"),
    *("restart", "factorize", "pruning", "penalties", *VARIANTS),
)
# In the order of tables.
MODELS = ("resnet20", "resnet32", "resnet56", "resnet18")
NO_TEACHER = tuple(each for each in NO_OTHER if each != "self")
MOST = 8  # lines of the table that comes first


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
            # Rows that are older than a setting do not say it.
            said = self.values(key)
            if any(value != said[0] for value in said):
                raise ValueError(
                    f"Every row of {name} must have the same `{key}`. Received: {said}"
                )

    def __getitem__(self, key):
        return next(iter(self.values(key)), None)

    @property
    def network(self):
        """Model and data set."""
        return self["model"], self["dataset"]

    @property
    def measured(self):
        """The key of the accuracy that its rows have."""
        return "validation_accuracy" if self["validate"] else "accuracy"

    @property
    def dense(self):
        """Whether it is a dense network that nobody taught, of any width."""
        return self["method"] == "dense" and self["teacher"] in NO_TEACHER

    @property
    def by_time(self):
        """The kind of file whose time the budget shares; None for other budgets."""
        if self["pruning"].get("metric") != "latency":
            return None
        return self["pruning"]["profile"].removesuffix(".json").rpartition("-")[2]

    @property
    def plain(self):
        """Whether it is dense, or DPRP with a target and one event as by default."""
        usual = self["fraction"] == 1 and self["restart"] in (None, 1)
        usual = usual and not any(self[key] for key in ("factorize", *VARIANTS))
        if self.dense or not usual:
            return usual
        pruning, start = self["pruning"], 0 if self["weights"] else self["epochs"] // 2
        return (
            self["method"] == "dprp"
            and "target" in pruning
            and pruning.get("start", start) == start
            and pruning.get("events", 1) == 1
            and self["teacher"] == (self["weights"] or "self")
        )

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

    def change(self, other):
        """Mean accuracy less another experiment's, over the seeds that both have."""
        differences = self._differences(other)
        return statistics.fmean(differences) if differences else None

    def common_seeds(self, other):
        """How many seeds both have."""
        return len(self._differences(other))

    def _differences(self, other):
        ours, theirs = (
            {row["seed"]: row[each.measured] for row in each.rows} if each else {}
            for each in (self, other)
        )
        return [ours[seed] - theirs[seed] for seed in ours.keys() & theirs.keys()]


def look_up(row, keys):
    """`row[key][key]...`, None where one is missing."""
    for key in keys:
        row = (row or {}).get(key)
    return row


def experiments_of(rows, latency):
    """A list of `Experiment`: by network, dense first, narrower networks last.

    Args:
        rows: A list of dicts.
        latency: A dict from the name of an experiment to its `latency`.
    """
    groups: dict[str, list] = {}
    for row in rows:
        groups.setdefault(row["experiment"], []).append(row)
    every = [
        Experiment(name, group, latency.get(name)) for name, group in groups.items()
    ]
    return sorted(every, key=order)


def order(each):
    """A key to sort by; more MACs before fewer, but narrow networks by their width."""
    place = MODELS.index(each["model"]) if each["model"] in MODELS else len(MODELS)
    data = each["dataset"], -each["fraction"], bool(each["factors"])
    kind = each["width"] or 0, not each.dense, each["method"], each["weights"] or ""
    size = each["teacher"] or "", -each.mean("macs"), each.name
    return place, each["model"], *data, *kind, *size


def first_shown(every):
    """The experiments that answer the first question, at most `MOST`.

    Those of the first network, trained as long as most: on the test images, once DPRP
    has been measured there. Budgets of time have a table of their own.
    """
    plain = [each for each in every if each.plain and not each.by_time]
    tested = [each for each in plain if not each["validate"]]
    if all(each.dense for each in tested):
        tested = [each for each in plain if each["validate"]] or tested
    alike = [each for each in tested if each.network == tested[0].network]
    usual = statistics.mode([each["epochs"] for each in alike] or [0])
    return [each for each in alike if each["epochs"] == usual][:MOST]


def timed(shown, every):
    """The experiments by a budget of time that are like those of the first table."""
    like = {(*each.network, each["epochs"], each["validate"]) for each in shown}
    return [
        each
        for each in every
        if each.by_time and (*each.network, each["epochs"], each["validate"]) in like
    ]


def dense_of(each, pool):
    """The dense network to compare with: full width, on the same images, as long.

    None if there is none.
    """
    shared = ["model", "dataset", "fraction", "validate", "epochs"]
    shared += ["weight_decay", "learning_rate"]
    dense = (other for other in pool if other.dense and not other["width"])
    return next((d for d in dense if all(d[key] == each[key] for key in shared)), None)


def kept(each, key, pool):
    """Share of the parameters or MACs of the same network, dense and of full width.

    A row of a narrow network is about itself. None if nothing is there to compare with.
    """
    if not each["width"]:
        return each.mean(f"{key}_kept")
    dense = (other for other in pool if other.dense and not other["width"])
    whole = next((d.mean(key) for d in dense if d.network == each.network), None)
    return whole and each.mean(key) / whole


def latency_share(each, form, pool):
    """Latency of a file over that of the dense network's; None if either is unknown."""
    dense = dense_of(each, pool)
    if dense is None or form not in each.latency or form not in dense.latency:
        return None
    return each.latency[form]["median_ms"] / dense.latency[form]["median_ms"]

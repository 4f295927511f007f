"""What pages say with numbers, in Markdown: the first table in a few sentences."""

from experiments import FORMATS
from summaries import dense_of, kept, latency_share
from tables import NOT_MEASURED, change, images, kind, model_name, spread

# By the words of `kind`: whom the answer is about.
SUBJECTS = {
    "DPRP, from a trained network": "Cut when it is trained, and taught by what it was "
    "for as many epochs again",
    "DPRP, its own teacher": "Cut halfway through one `fit`, and its own teacher from "
    "there on",
    "narrower dense": "Dense, narrower from the start, and not taught",
}


def answer(shown, pool):
    """The first table in a few sentences."""
    dense = next((each for each in shown if each.dense and not each["width"]), None)
    if dense is None:
        return NOT_MEASURED
    lines = [
        f"The dense {model_name(dense)} reaches {spread(dense, dense.measured)} on "
        f"{images(dense)} in {dense['epochs']} epochs. What changes, in points of "
        "accuracy:\n"
    ]
    tested = [
        each
        for each in pool
        if each.plain
        and not each.by_time
        and not each["validate"]
        and (each.network, each["epochs"]) == (dense.network, dense["epochs"])
    ]
    for words, subject in SUBJECTS.items():
        groups = ([e for e in each if kind(e) == words] for each in (shown, tested))
        group = next(filter(None, groups), None)
        if group:
            changes = "; ".join(change_at(each, pool) for each in group)
            where = f", on {images(group[0])}" if group[0] not in shown else ""
            lines.append(f"- {subject}{where}: {changes}.")
    lines += [f"- {each}" for each in comparisons(shown, pool)]
    if dense["validate"]:
        lines.append(
            "\n**Held-out training images are not the test images**: on them settings "
            "are chosen."
        )
    return "\n".join(lines)


def change_at(each, pool):
    """The change of a network, at which size, and of how many seeds."""
    seeds = each.common_seeds(dense_of(each, pool))
    shares = [f"{kept(each, 'macs', pool):.0%} of the MACs"]
    shares += [
        f"{share:.0%} of the latency in {form}"
        for form in FORMATS
        if (share := latency_share(each, form, pool)) is not None
    ]
    return (
        f"**{change(each, pool)}** with {', '.join(shares)} "
        f"({seeds} seed{'' if seeds == 1 else 's'})"
    )


def comparisons(shown, pool):
    """Every narrower network beside the one with DPRP of the next fewer MACs."""
    taught = [each for each in shown if kind(each) == "DPRP, its own teacher"]
    for narrow in (each for each in shown if each["width"]):
        fewer = [each for each in taught if each.mean("macs") <= narrow.mean("macs")]
        best = max(fewer, key=lambda each: each.mean("macs"), default=None)
        if best and (difference := best.change(narrow)) is not None:
            yield (
                f"DPRP with {kept(best, 'macs', pool):.0%} of the MACs is "
                f"{100 * abs(difference):.2f} points "
                f"{'above' if difference > 0 else 'below'} the network that begins "
                f"with {narrow['width']} filters and has "
                f"{kept(narrow, 'macs', pool):.0%}."
            )

"""What the examples say about files follows from what was measured."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NETWORKS = ("dense", "narrower", "DPRP")
FORMS = ("float32", "int8")
IMAGES = 4500

pytestmark = pytest.mark.usefixtures("examples")
quickly = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
shares = st.floats(0.5, 1)


def files_of(networks):
    """A strategy of rows, as `measured_files.measure` returns them."""

    def row(network, form):
        return st.fixed_dictionaries(
            {
                "network": st.just(network),
                "form": st.just(form),
                "file": st.just(f"{network}-{form}.tflite"),
                "macs": st.integers(10_000, 10_000_000_000),
                "bytes": st.integers(1000, 100_000_000),
                "latency_ms": st.floats(0.001, 1000),
                "validation_accuracy": shares,
                "test_accuracy": shares,
            }
        )

    return st.tuples(*(row(name, form) for form in FORMS for name in networks))


@quickly
@given(rows=files_of(NETWORKS))
def test_every_sentence_agrees_with_the_accuracies(rows):
    from comparison_text import sentences

    said = sentences(rows, IMAGES)
    gains = []
    for form in FORMS:
        small, narrower = (
            next(x for x in rows if (x["network"], x["form"]) == (name, form))
            for name in ("DPRP", "narrower")
        )
        gains.append(small["test_accuracy"] - narrower["test_accuracy"])
        # More than chance can do among so many images.
        if abs(gains[-1]) > 0.03:
            word = "better" if gains[-1] > 0 else "worse"
            assert (
                f"As {form} files, DPRP is {100 * abs(gains[-1]):.1f} points " in said
            )
            assert word in said.partition(f"As {form}")[2].partition(". ")[0]
    if max(gains) > 0.03:
        assert "take DPRP" in said
    elif max(gains) <= 0:
        assert "take the narrower network" in said


@quickly
@given(rows=files_of(NETWORKS), by=st.floats(0, 0.001))
def test_what_chance_can_do_is_no_gain(rows, by):
    from comparison_text import sentences

    for row in rows:
        row["test_accuracy"] = 0.95 + (by if row["network"] == "DPRP" else 0)
    said = sentences(rows, IMAGES)
    assert said.count("neither better nor worse") == 2
    assert "take the narrower network" in said


@quickly
@given(rows=files_of(("dense", "DPRP 15%")))
def test_a_table_has_a_line_a_file_and_80_columns(rows):
    from comparison_text import table

    for row in rows:
        dense = next(
            x for x in rows if (x["network"], x["form"]) == ("dense", row["form"])
        )
        for key in ("macs", "bytes", "latency_ms"):
            row[key] = min(row[key], dense[key])
    lines = table(rows).splitlines()
    assert len(lines) == 2 + len(rows)
    assert max(map(len, lines)) <= 80


@quickly
@given(rows=files_of(NETWORKS), max_drop=st.floats(0, 0.2))
def test_the_choice_within_the_drop_is_chosen(rows, max_drop):
    from choice import answer, choose

    chosen = choose(rows, max_drop)
    least = rows[0]["validation_accuracy"] - max_drop
    assert chosen["validation_accuracy"] >= least
    for row in rows:
        assert row["bytes"] >= chosen["bytes"] or row["validation_accuracy"] < least
    said = answer(rows, max_drop)
    assert chosen["file"] in said and f"{chosen['test_accuracy']:.2%}" in said


@quickly
@given(rows=files_of(NETWORKS), cost=st.sampled_from(("latency_ms", "bytes")))
def test_what_is_unbeaten_beats_the_rest(rows, cost):
    from choice import unbeaten

    def beats(one, other):
        return (
            one[cost] <= other[cost]
            and one["validation_accuracy"] >= other["validation_accuracy"]
            and one is not other
        )

    edge = unbeaten(rows, cost)
    for row in rows:
        assert row in edge or any(beats(each, row) for each in edge)
    assert not any(beats(one, other) for one in edge for other in edge)


def test_a_negative_drop_is_refused():
    from choice import choose

    with pytest.raises(ValueError, match="0 or more. Received: -0.1"):
        choose([], -0.1)

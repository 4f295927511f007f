"""The report of the paper's experiments: what its fragments say of made-up rows."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "paper" / "report.py"
MACHINE = {
    "backend": "jax",
    "versions": {"python": "3.11.7", "keras": "3.15.1"},
    "hardware": {"processor": "Some CPU", "cores": 4, "gpu": "Some GPU"},
}
NOT_MEASURED = "This has not been measured yet."
README = """Before.
<!-- cifar10: written by benchmarks/paper/report.py -->
Old.
<!-- end of cifar10 -->
After.
"""

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="Needs no Keras: once is enough."
)


def dense(accuracy=0.92, seed=0, **changes):
    """A row of a dense network, judged on the test images."""
    row = {
        **{"experiment": "big", "model": "resnet20", "dataset": "cifar10"},
        **{"width": None, "method": "dense", "weights": "", "teacher": "none"},
        **{"seed": seed, "epochs": 200, "fraction": 1.0, "validate": False},
        **{"weight_decay": 5e-4, "learning_rate": 0.1, "images": 50_000},
        **{"factorize": {}, "pruning": {}, "restart": 1.0},
        **{"accuracy": accuracy, "validation_accuracy": None},
        **{"parameters": 200_000, "macs": 40_000_000},
        **{"parameters_kept": 1.0, "macs_kept": 1.0},
        **{"tflite": {"int8": {"bytes": 9, "accuracy": accuracy - 0.01}}, **MACHINE},
    }
    return {**row, **changes}


def narrow(width, accuracy=0.9, seed=0, **changes):
    """A row of a narrower one, which is about itself."""
    size = {"parameters": 200_000 * width // 16, "macs": 40_000_000 * width // 16}
    name = {"experiment": f"narrow{width}", "width": width}
    return dense(accuracy, seed, **{**name, **size, **changes})


def pruned(kept, accuracy=0.91, seed=0, **changes):
    """A row of DPRP with one event and the network as its own teacher."""
    row = {
        "experiment": f"own{100 * kept:.0f}",
        "method": "dprp",
        "teacher": "self",
        "pruning": {"target": kept, "start": 100, "events": 1},
        "event_epochs": [100],
        **{f"{key}_kept": kept for key in ("parameters", "macs")},
        **{"parameters": round(200_000 * kept), "macs": round(40_000_000 * kept)},
    }
    return dense(accuracy, seed, **{**row, **changes})


def trained(kept, accuracy=0.92, seed=0, **changes):
    """A row of DPRP from a trained network, which teaches."""
    at_once = {"pruning": {"target": kept, "start": 0}, "event_epochs": [0]}
    other = {"experiment": f"tuned{kept}", "weights": "big", "teacher": "big"}
    return pruned(kept, accuracy, seed, **{**at_once, **other, **changes})


def held_out(row):
    """The row as of a trial on held-out training images."""
    said = {"validate": True, "accuracy": None, "tflite": None}
    name = f"trial-{row['experiment']}"
    judged = {"experiment": name, "validation_accuracy": row["accuracy"]}
    links = {key: f"trial-{row[key]}" for key in ("weights",) if row[key]}
    links |= {"teacher": links["weights"]} if links else {}
    return {**row, **said, **judged, **links}


class Report:
    """The script, on rows and into docs of a temporary folder."""

    def __init__(self, folder):
        self.folder, self.docs = folder, folder / "docs"
        self.readme = folder / "README.md"
        self.readme.write_text(README)
        self.figure = self.docs / "figures" / "accuracy.png"

    def rows(self, rows, file="results"):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (self.folder / f"{file}.jsonl").write_text(text)

    def time(self, **milliseconds):
        latency = {
            name: {
                "environment": MACHINE,
                "float32": {"median_ms": value},
                "int8": {"median_ms": value / 2},
            }
            for name, value in milliseconds.items()
        }
        (self.folder / "latency.json").write_text(json.dumps({"latency": latency}))

    def run(self, *arguments):
        command = [sys.executable, SCRIPT, *arguments, "--docs", self.docs]
        for name in ("results", "history"):
            command += [f"--{name}", self.folder / f"{name}.jsonl"]
        command += ["--latency", self.folder / "latency.json"]
        command += ["--readme", self.readme]
        return subprocess.run(list(map(str, command)), capture_output=True, text=True)

    def write(self, rows=()):
        """Report of the rows: a dict from the name of a fragment to its text."""
        self.rows(rows)
        done = self.run()
        assert done.returncode == 0, done.stderr
        folder = self.docs / "fragments"
        return {path.stem: path.read_text() for path in folder.iterdir()}


def lines(text):
    """The lines of a table: dicts from heading to cell."""
    found = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    return [dict(zip(found[0], cells, strict=True)) for cells in found[2:]]


@pytest.fixture
def report(tmp_path):
    return Report(tmp_path)


def test_every_seed_counts(report):
    rows = [dense(accuracy, seed) for seed, accuracy in enumerate((0.92, 0.922, 0.924))]
    rows += [pruned(0.5, accuracy, s) for s, accuracy in enumerate((0.915, 0.917))]
    text = report.write(rows)
    big, small = lines(text["main"])
    assert big["accuracy on test images"] == "92.20% ± 0.20"
    assert (big["seeds"], small["seeds"]) == ("3", "2")
    assert small["accuracy on test images"] == "91.60% ± 0.14"
    assert small["int8 accuracy"] == "90.60% ± 0.14"
    assert (small["MACs"], small["parameters"]) == ("50.0%", "50.0%")
    # Of the two seeds that both have.
    assert (big["change, points"], small["change, points"]) == ("—", "-0.50")
    assert "**-0.50** with 50% of the MACs (2 seeds)" in text["answer"]
    machine = next(each for each in lines(text["machines"]))
    assert (machine["networks"], machine["what"]) == ("5", "training")
    assert "Seeds: 0, 1, 2." in text["machines"]


def test_one_seed_has_no_deviation(report):
    (big,) = lines(report.write([dense()])["main"])
    assert big["accuracy on test images"] == "92.00%"


def test_a_narrow_network_is_compared_with_the_one_of_full_width(report):
    rows = [dense(), narrow(8, 0.9), pruned(0.4, 0.91)]
    # The dense network of another model has other MACs.
    deep = {"model": "resnet32", "macs": 80_000_000}
    rows += [dense(experiment="deep", **deep)]
    rows += [narrow(8, experiment="thin", **{**deep, "macs": 40_000_000})]
    text = report.write(rows)
    *_, line = lines(text["main"])
    assert line["trained as"] == "narrower dense, 8 filters at first"
    assert (line["MACs"], line["parameters"]) == ("50.0%", "50.0%")
    assert line["change, points"] == "-2.00"
    assert "1.00 points above the network that begins with 8" in text["answer"]
    *_, thin = lines(text["others"])
    assert (thin["network"], thin["MACs"]) == ("ResNet-32", "50.0%")


def test_a_narrow_network_alone_has_no_share(report):
    (line,) = lines(report.write([narrow(8)])["main"])
    assert "MACs" not in line


def test_the_first_table_is_of_eight_networks_at_most(report):
    rows = [dense(), *(narrow(width) for width in (8, 10, 12, 14))]
    rows += [*map(pruned, (0.48, 0.3, 0.2)), *map(trained, (0.48, 0.3))]
    rows += [dense(model="resnet32", experiment="deep")]
    rows += [dense(experiment="short", epochs=100)]
    text = report.write(rows)
    shown = [(line["trained as"], line["MACs"]) for line in lines(text["main"])]
    own, tuned = "DPRP, its own teacher", "DPRP, from a trained network"
    assert shown == [
        *[("dense", "100.0%"), (own, "48.0%"), (own, "30.0%"), (own, "20.0%")],
        *[(tuned, "48.0%"), (tuned, "30.0%")],
        ("narrower dense, 8 filters at first", "50.0%"),
        ("narrower dense, 10 filters at first", "62.5%"),
    ]
    others = {line["experiment"].strip("`") for line in lines(text["others"])}
    assert others == {"narrow12", "narrow14", "deep", "short"}


def test_held_out_rows_stand_in_until_dprp_meets_the_test_images(report):
    trials = [held_out(row) for row in (dense(0.93), pruned(0.3), trained(0.3))]
    text = report.write([*trials, dense(), narrow(8)])
    kinds = [line["trained as"] for line in lines(text["main"])]
    expected = ["dense", "DPRP, its own teacher", "DPRP, from a trained network"]
    assert kinds == expected
    assert all("accuracy on held-out training images" in e for e in lines(text["main"]))
    assert "are not the test images" in text["answer"]
    assert "not taught, on test images: **-2.00** with 50%" in text["answer"]
    assert [line["experiment"] for line in lines(text["others"])] == [
        "`big`",
        "`narrow8`",
    ]
    text = report.write([*trials, dense(), narrow(8), pruned(0.3)])
    assert "accuracy on test images" in lines(text["main"])[0]
    assert "held" not in text["main"] + text["answer"]
    # Not even a heading.
    assert text["others"].strip().endswith("-->")


def test_trials_say_what_is_otherwise_and_names_do_not_matter(report):
    three = {"target": 0.3, "start": 100, "stop": 140, "events": 3}
    otherwise = {
        "events": {"pruning": three, "event_epochs": [100, 120, 140]},
        "rule": {"rank_loss": "sum"},
        "rate": {"restart": 0.33},
        "bare": {"pruning": {}},
        "factors": {"orthonormal": True},
        "terms": {"factorize": {"mode": "channel", "compression": {"Hoyer": 0.1}}},
    }
    rows = [dense(), pruned(0.3, experiment="narrow-dense")]
    rows += [pruned(0.3, experiment=name, **each) for name, each in otherwise.items()]
    text = report.write(list(map(held_out, rows)))
    # Only what is as by default comes first.
    assert len(lines(text["main"])) == 2
    found = {line["experiment"].strip("`"): line for line in lines(text["held_out"])}
    assert found["trial-events"]["events at epochs"] == "100, 120, 140"
    words = {name: found[f"trial-{name}"]["trained as"] for name in otherwise}
    assert words["rule"] == "DPRP, its own teacher, ranks by the lost shares added up"
    assert words["rate"].endswith("learning rate starts anew at 33%")
    assert words["bare"].endswith("no target")
    assert words["factors"].endswith("orthonormal factors")
    assert words["terms"].endswith("mode channel, Hoyer of weight 0.1")
    assert found["trial-narrow-dense"]["trained as"] == "DPRP, its own teacher"


def test_a_change_is_against_the_dense_network_of_the_same_settings(report):
    decay = {"weight_decay": 1e-3}
    rows = [dense(0.92), dense(0.95, experiment="decay", **decay)]
    rows += [dense(0.97, experiment="long", epochs=400)]
    rows += [dense(0.99, experiment="taught", teacher="self")]
    rows += [pruned(0.5, 0.91), pruned(0.5, 0.93, experiment="own-decay", **decay)]
    text = report.write(rows)
    found = lines(text["main"]) + lines(text["others"])
    changes = {
        line["accuracy on test images"]: line["change, points"] for line in found
    }
    assert (changes["91.00%"], changes["93.00%"]) == ("-1.00", "-2.00")
    assert (changes["97.00%"], changes["99.00%"]) == ("—", "+7.00")


def test_latency_stands_where_it_was_measured(report):
    rows = [dense(), pruned(0.5), narrow(8)]
    assert "latency" not in report.write(rows)["main"]
    with Image.open(report.figure) as image:
        width = image.width
    report.time(big=1.0, own50=0.6)
    big, own, thin = lines(report.write(rows)["main"])
    cells = [line["float32 latency"] for line in (big, own, thin)]
    assert cells == ["100%", "60%", "—"]
    # A panel more for every type of file.
    with Image.open(report.figure) as image:
        assert image.width > width


def test_budgets_of_time_have_a_table_of_their_own(report):
    pruning = {"start": 100, "metric": "latency", "profile": "resnet20-int8.json"}
    by_time = {"experiment": "fast", "pruning": {"target": 0.8, **pruning}}
    rows = [dense(), pruned(0.5), pruned(0.6, **by_time)]
    rows += [pruned(0.6, **{**by_time, "experiment": "short", "epochs": 100})]
    report.time(big=1.0, own50=0.6, fast=0.8)
    text = report.write(rows)
    assert [line["MACs"] for line in lines(text["main"])] == ["100.0%", "50.0%"]
    (fast,) = lines(text["by_time"])
    words = "DPRP, its own teacher, by a budget of 80% of the int8 latency"
    assert (fast["trained as"], fast["int8 latency"]) == (words, "80%")
    assert [line["experiment"] for line in lines(text["others"])] == ["`short`"]
    assert "80%" not in text["answer"]
    with Image.open(report.figure) as image:
        drawn = image.tobytes()
    report.write(rows[:2])
    with Image.open(report.figure) as image:
        assert image.tobytes() != drawn


def test_the_former_package_has_a_column_a_size(report):
    own = {"penalties": "no penalties", "teacher": "none"}
    rows = [dense(0.92), pruned(0.48, 0.915, **own), pruned(0.3, 0.91, **own)]
    report.rows(rows, "history")
    report.time(big=1.0, own48=0.6)
    big, small, latency, _ = lines(report.write()["history"])
    assert big["100% of the MACs"] == "92.00%"
    assert small["trained as"] == "DPRP, no penalties"
    assert small["48% of the MACs"] == "91.50%"
    assert small["30% of the MACs"] == "91.00%"
    assert latency["48% of the MACs"] == "60%"


def test_the_readme_has_the_first_table(report):
    text = report.write([dense(), pruned(0.5)])
    readme = report.readme.read_text()
    assert readme.startswith("Before.\n<!-- cifar10")
    assert readme.endswith("<!-- end of cifar10 -->\nAfter.\n")
    assert "Old." not in readme
    assert text["main"].partition("\n\n")[2].strip() in readme


def test_no_rows_at_all(report):
    text = report.write()
    for name in ("main", "answer", "held_out", "machines", "history"):
        assert text[name].strip().endswith(NOT_MEASURED)
    assert not report.figure.exists()
    assert report.run("--check").returncode == 0


def test_rows_without_a_dense_network(report):
    text = report.write([pruned(0.5), narrow(8), narrow(10)])
    assert len(lines(text["main"])) == 3
    assert "change, points" not in text["main"]
    assert text["answer"].strip().endswith(NOT_MEASURED)


@pytest.mark.parametrize(
    "stale", ["fragments/main.md", "figures/accuracy.png", "../README.md"]
)
def test_check_tells_of_what_is_stale_or_missing(report, stale, tmp_path_factory):
    report.write([dense(), pruned(0.5)])
    assert report.run("--check").returncode == 0
    other = Report(tmp_path_factory.mktemp("other"))
    other.write([dense(), pruned(0.5, 0.5)])
    path = report.docs / stale
    shutil.copy(other.docs / stale, path)
    before = path.read_bytes()
    done = report.run("--check")
    assert done.returncode == 1
    assert path.name in done.stderr
    assert path.read_bytes() == before
    if path != report.docs / "../README.md":
        path.unlink()
        assert path.name in report.run("--check").stderr
    # It is made again.
    assert report.run().returncode == 0 and report.run("--check").returncode == 0


def test_check_tells_of_new_rows(report):
    rows = [dense(), pruned(0.5)]
    report.write(rows)
    report.rows([*rows, pruned(0.5, seed=1)])
    done = report.run("--check")
    assert done.returncode == 1
    assert "main.md" in done.stderr


@pytest.mark.parametrize("changes", ({"seed": 0}, {"seed": 1, "epochs": 100}))
def test_rows_that_are_not_seeds_of_one_experiment(report, changes):
    report.rows([dense(), dense(**changes)])
    done = report.run()
    assert done.returncode == 1
    assert "big" in done.stderr
    assert not report.docs.exists()


def test_the_docs_say_what_the_committed_rows_give():
    subprocess.run([sys.executable, str(SCRIPT), "--check"], check=True)


def test_every_committed_network_has_a_row(paper):
    from experiments import HISTORY, MODELS, RESULTS, rows, run_name

    known = {run_name(row) for path in (HISTORY, RESULTS) for row in rows(path)}
    assert {path.stem for path in MODELS.iterdir()} <= known

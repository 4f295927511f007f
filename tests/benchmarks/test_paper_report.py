"""The report of the paper's experiments: what the page says of made-up rows."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parent.parent.parent
SCRIPT = ROOT / "benchmarks" / "paper" / "report.py"
MACHINE = {
    "backend": "jax",
    "versions": {"python": "3.11.7", "keras": "3.15.1", "ai-edge-litert": "2.3.0"},
    "hardware": {"processor": "Some CPU", "cores": 4, "gpu": "Some GPU"},
}
NOT_MEASURED = "This has not been measured yet."

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="Needs no Keras: once is enough."
)


def make_row(experiment, seed=0, kept=1.0, **changes):
    """A row of ResNet-20; of DPRP if anything was cut off."""
    dense = kept == 1.0
    full = {"stage1_block1_a": 48, "stage1_block1_b": 48}
    small = {"stage1_block1_a": 20, "stage1_block1_b": 30}
    row = {
        "experiment": experiment,
        "model": "resnet20",
        "dataset": "cifar10",
        "method": "dense" if dense else "dprp",
        "seed": seed,
        "epochs": 200,
        "fraction": 1.0,
        "validate": False,
        "accuracy": 0.92,
        "validation_accuracy": None,
        "images": 50000,
        "parameters": round(200_000 * kept),
        "macs": round(40_000_000 * kept),
        "parameters_kept": kept,
        "macs_kept": kept,
        "factorize": {},
        "pruning": {},
        "variant": None,
        "ranks": [] if dense else [full, small],
        "spectra": {name: [2.0, 1.0, 0.5, 1e-8] for name in full},
        "resumed": False,
        "epoch_seconds": [1.0] * 4,
        "seconds": 400.0,
        "peak_memory_bytes": 2**30,
        "tflite": {
            "float32": {"bytes": 800_000, "accuracy": 0.92},
            "int8": {"bytes": 200_000, "accuracy": 0.91},
        },
        "tflite_environment": MACHINE,
        **MACHINE,
    }
    return {**row, **changes}


def held_out(experiment, accuracy, kept=1.0, **changes):
    """A row of the ablation."""
    changes = {"epochs": 60, "tflite": None, **changes}
    return make_row(
        experiment,
        kept=kept,
        validate=True,
        accuracy=None,
        validation_accuracy=accuracy,
        **changes,
    )


def today(experiment, seed=0, kept=1.0, **changes):
    """A row as the package of today writes it; methods and teachers stand apart."""
    row = make_row(experiment, seed, kept, tflite=None, width=None, teacher="none")
    for former in ("variant", "spectra"):
        del row[former]
    events = {} if kept == 1.0 else {"event_epochs": [100]}
    return {**row, **events, **changes}


def trial(experiment, accuracy, seed=0, kept=1.0, **changes):
    """A row of today about held-out images."""
    measured = {"accuracy": None, "validation_accuracy": accuracy, "validate": True}
    return today(experiment, seed, kept, **measured, **changes)


# Something for every section.
EVERYTHING = [
    *(make_row("r20-dense", s, accuracy=a) for s, a in enumerate((0.92, 0.922, 0.924))),
    *(make_row("r20-half", s, 0.5, accuracy=a) for s, a in enumerate((0.915, 0.917))),
    make_row("r20-cut", kept=0.5, method="truncated", accuracy=0.3),
    make_row("r20-taught", kept=0.5, method="distilled"),
    make_row("r20-dense-taught", method="dense-distilled"),
    make_row("r20-own", kept=0.5, method="own-teacher", own_teacher=2),
    held_out("ablation-dense", 0.91),
    *(
        held_out(
            f"ablation-compression-hoyer-{weight}",
            0.9 - weight,
            kept=0.5 - 10 * weight,
            factorize={"compression": {"Hoyer": weight}},
        )
        for weight in (0.005, 0.01)
    ),
    held_out(
        "ablation-structure-off",
        0.88,
        0.45,
        factorize={"structure": None},
        history={"accuracy": [0.6, 0.93]},
    ),
    make_row("limited-1-dense", fraction=0.01, accuracy=0.4),
    make_row("limited-1-dprp", kept=0.5, fraction=0.01, accuracy=0.45),
    held_out("trial", 0.9, 0.5),
    trial("held-out-dense", 0.92),
    trial("held-out-half", 0.91, 0, 0.5, teacher="self"),
    trial("held-out-half", 0.912, 1, 0.5, teacher="self"),
]


README = """Before.
<!-- cifar10: written by benchmarks/paper/report.py -->
Old.
<!-- end of cifar10 -->
After.
"""


class Report:
    """The script, on rows and into docs of a temporary folder."""

    def __init__(self, folder):
        self.folder = folder
        self.docs = folder / "docs"
        self.readme = folder / "README.md"
        self.readme.write_text(README)

    def append(self, rows):
        with (self.folder / "results.jsonl").open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)

    def time(self, **milliseconds):
        latency = {
            name: {
                "environment": MACHINE,
                "float32": {"median_ms": value, "p95_ms": 2 * value},
                "int8": {"median_ms": value / 2, "p95_ms": value},
            }
            for name, value in milliseconds.items()
        }
        text = json.dumps({"latency": latency})
        (self.folder / "latency.json").write_text(text)

    def run(self, *arguments):
        command = [sys.executable, SCRIPT, *arguments, "--docs", self.docs]
        command += ["--results", self.folder / "results.jsonl"]
        command += ["--latency", self.folder / "latency.json"]
        command += ["--texts", self.folder, "--readme", self.readme]
        return subprocess.run(list(map(str, command)), capture_output=True, text=True)

    def write(self, rows=()):
        self.append(rows)
        done = self.run()
        assert done.returncode == 0, done.stderr
        return self.docs.joinpath("results.md").read_text()

    def figures(self):
        return {path.name for path in (self.docs / "figures").iterdir()}


def sections(page):
    """A dict from heading to text."""
    parts = ("\n" + page).split("\n## ")[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}


def cells(text, experiment):
    """A list of dicts from heading to cell: the lines about one experiment."""
    found, headings = [], []
    for line in text.splitlines():
        parts = [part.strip() for part in line.strip("|").split("|")]
        if not line.startswith("|"):
            headings = []
        elif not headings:
            headings = parts
        elif any(part.endswith(f"`{experiment}`") for part in parts):
            found.append(dict(zip(headings, parts, strict=True)))
    return found


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """A report of rows for every section, and its page by section."""
    report = Report(tmp_path_factory.mktemp("everything"))
    report.time(**{"r20-dense": 1.0, "r20-half": 0.6, "r20-cut": 0.5})
    return report, sections(report.write(EVERYTHING))


@pytest.fixture
def report(tmp_path):
    return Report(tmp_path)


def test_mean_and_sample_deviation_over_seeds(everything):
    dense, _ = cells(everything[1]["Main results"], "r20-dense")
    assert dense["test accuracy"] == "92.20% ± 0.20"
    assert dense["seeds"] == "3 (0, 1, 2)"
    half, files = cells(everything[1]["Main results"], "r20-half")
    assert half["test accuracy"] == "91.60% ± 0.14"
    assert half["change, points"] == "-0.50"
    assert half["parameters"] == "100,000 (50.0%)"
    assert half["MACs"] == "20,000,000 (50.0%)"
    assert files["int8: accuracy"] == "91.00% ± 0.00"
    assert files["float32: bytes"] == "800,000 (100.0%)"


def test_the_readme_has_the_main_results(everything):
    text = everything[0].readme.read_text()
    assert text.startswith("Before.\n<!-- cifar10")
    assert text.endswith("<!-- end of cifar10 -->\nAfter.\n")
    assert "Old." not in text
    half = "| DPRP | 2 | 200 | 91.60% ± 0.14 | 91.00% ± 0.00 | 50% | 50% | 60% | 60% |"
    assert half in text
    assert "| DPRP with a teacher | 1 | " in text
    assert "truncated" not in text


def test_the_readme_has_cifar10_alone(report):
    report.write([make_row("r20-dense"), make_row("r20-100", dataset="cifar100")])
    assert report.readme.read_text().count("| dense |") == 1


def test_the_readme_tells_of_few_images(report):
    few = {"fraction": 0.1, "images": 5000}
    rows = [
        make_row("limited-10-dense", accuracy=0.76, **few),
        make_row("limited-10-dprp", kept=0.3, accuracy=0.78, **few),
    ]
    report.write(rows)
    sentence = "5,000 images, a tenth, DPRP at 30% of the MACs reaches 78.00%, the"
    assert sentence in report.readme.read_text()


def test_every_section_has_its_rows(everything):
    page = everything[1]
    assert NOT_MEASURED not in "".join(page.values())
    (ours,) = (
        line
        for line in page["Beside published figures"].splitlines()
        if "half`" in line
    )
    assert "-0.50 | -50.0% | -50.0%" in ours
    (cut,) = cells(page["Speed against accuracy"], "r20-cut")
    assert cut["change, points"] == "-62.00"
    assert cut["float32 latency"] == "500 µs (50%)"
    (off,) = cells(page["Ablation"], "ablation-structure-off")
    assert (off["accuracy"], off["images"]) == ("88.00%", "held out")
    assert off["training accuracy"] == "93.00%"
    (few,) = cells(page["Limited data"], "limited-1-dprp")
    assert (few["change, points"], few["share of the images"]) == ("+5.00", "1%")
    (time,) = cells(page["Training time"], "r20-half")
    assert time["seconds, ratio to dense"] == "1.00"
    (other,) = cells(page["Other experiments"], "trial")
    assert other["accuracy"] == "90.00%"
    assert "Some GPU" in page["Machines, versions and seeds"]


def test_every_figure_of_the_page_is_drawn(everything):
    report, page = everything
    names = report.figures()
    assert names == {
        "published-resnet20-cifar10.png",
        "ablation-compression.png",
        "ablation-others.png",
        "accuracy-by-macs-resnet20-cifar10.png",
        "accuracy-by-latency-resnet20-cifar10.png",
        "ranks-resnet20-cifar10.png",
        "spectra-resnet20-cifar10.png",
        "limited-resnet20-cifar10.png",
    }
    assert all(f"(figures/{name})" in "".join(page.values()) for name in names)


def test_an_own_table_for_what_had_a_teacher(everything):
    text = everything[1]["Main results"]
    without, _, apart = text.partition("as teacher")
    for name in ("r20-taught", "r20-dense-taught"):
        assert not cells(without, name)
        assert cells(apart, name)
    # No other network's epochs are to be counted.
    assert cells(without, "r20-own")


def test_a_change_is_over_the_seeds_that_both_have(report):
    dense = [make_row("dense", seed, accuracy=0.9 + seed / 100) for seed in range(3)]
    cut = make_row("cut", 2, kept=0.5, method="truncated", accuracy=0.9)
    page = sections(report.write([*dense, cut]))
    (line,) = cells(page["Speed against accuracy"], "cut")
    assert line["change, points"] == "-2.00"


def test_a_change_is_against_the_dense_network_of_the_same_weight_decay(report):
    rows = [
        held_out("ablation-dense", 0.91),
        held_out("ablation-decay-dense-0.001", 0.9, weight_decay=1e-3),
        held_out("ablation-decay-half-0.001", 0.88, 0.5, weight_decay=1e-3),
        held_out("ablation-half", 0.88, 0.5),
    ]
    text = sections(report.write(rows))["Ablation"]
    for name, change in (("decay-half-0.001", "-2.00"), ("half", "-3.00")):
        (line,) = cells(text, f"ablation-{name}")
        assert line["change, points"] == change


def test_a_network_that_is_only_a_source_is_no_main_result(report):
    rows = [
        make_row("dense"),
        make_row("dense-100", epochs=100),
        make_row("tuned", kept=0.5, method="finetuned", source="dense-100"),
        make_row("cut", kept=0.5, method="truncated", source="dense"),
    ]
    page = sections(report.write(rows))
    assert cells(page["Main results"], "dense")
    assert not cells(page["Main results"], "dense-100")
    assert cells(page["Other experiments"], "dense-100")


def test_a_trial_is_compared_with_the_dense_network_of_the_main_results(report):
    rows = [
        make_row("dense"),
        make_row("dense-100", epochs=100, accuracy=0.5),
        make_row("tuned", kept=0.5, method="finetuned", source="dense-100"),
        make_row("trial", kept=0.5, accuracy=0.91, variant="plain-factors"),
    ]
    page = sections(report.write(rows))
    (line,) = cells(page["Other experiments"], "trial")
    assert line["change, points"] == "-1.00"
    assert not cells(page["Main results"], "trial")


@pytest.mark.parametrize(
    ("without", "method"),
    [
        (["compression"], "DPRP, no compression term"),
        (["structure", "compression"], "DPRP, no penalties"),
        (["structure"], "DPRP"),
    ],
)
def test_what_has_no_penalty_says_so(report, without, method):
    rows = [
        make_row("dense"),
        make_row("other", kept=0.5, factorize=dict.fromkeys(without)),
    ]
    page = sections(report.write(rows))
    (line,) = cells(page["Speed against accuracy"], "other")
    assert line["method"] == method


def test_trials_of_the_defaults_have_a_table_of_their_own(everything):
    page = everything[1]
    text = page["Held-out trials of the defaults"]
    (half,) = cells(text, "held-out-half")
    assert (half["teacher"], half["events at epochs"]) == ("self", "100")
    assert half["MACs"] == "20,000,000 (50.0%)"
    assert half["parameters"] == "100,000 (50.0%)"
    assert half["held-out accuracy"] == "91.10% ± 0.14"
    assert half["seeds"] == "2 (0, 1)"
    (dense,) = cells(text, "held-out-dense")
    assert (dense["teacher"], dense["events at epochs"]) == ("none", "—")
    assert not cells(page["Other experiments"], "held-out-half")


def test_a_row_of_today_is_compared_with_one_of_today(report):
    rows = [
        make_row("former-dense", accuracy=0.95),
        make_row("former-half", kept=0.5, accuracy=0.91),
        today("dense", accuracy=0.92),
        today("dense-self", accuracy=0.96, teacher="self"),
        today("narrow", accuracy=0.9, width=8),
        today("half", kept=0.5, accuracy=0.91, teacher="self"),
    ]
    page = sections(report.write(rows))
    changes = {"former-half": "-4.00", "half": "-1.00", "narrow": "-2.00"}
    for name, change in changes.items():
        (line,) = cells(page["Speed against accuracy"], name)
        assert line["change, points"] == change
    # No penalty is the default now, which needs no word.
    assert line["method"] == "dense, 8 filters at first"
    (line,) = cells(page["Speed against accuracy"], "half")
    assert line["method"] == "DPRP, its own teacher"
    (line,) = cells(page["Speed against accuracy"], "dense-self")
    assert line["method"] == "dense, its own teacher"


def test_what_has_no_rows_is_not_measured(report):
    page = sections(report.write([make_row("r20-dense")]))
    for heading in ("Ablation", "Limited data", "Beside published figures"):
        assert page[heading].strip() == NOT_MEASURED
    assert "100.0%" in page["Main results"]
    assert not report.figures()


def test_no_rows_at_all(report):
    page = sections(report.write())
    assert page["Main results"].strip() == NOT_MEASURED


def test_check_tells_of_new_rows_and_missing_figures(everything, tmp_path):
    written, _ = everything
    report = Report(tmp_path)
    report.docs = written.docs
    for name in ("latency.json", "README.md"):
        shutil.copy(written.folder / name, tmp_path)
    report.append(EVERYTHING)
    assert report.run("--check").returncode == 0
    report.append([make_row("r20-half", 2, 0.5)])
    before = written.docs.joinpath("results.md").read_text()
    done = report.run("--check")
    assert done.returncode == 1
    assert "results.md" in done.stderr
    assert written.docs.joinpath("results.md").read_text() == before


@pytest.mark.parametrize("case", ("missing", "of other rows"))
def test_check_tells_of_a_wrong_figure(report, case, tmp_path_factory):
    report.write([make_row("limited-1-dense", fraction=0.01)])
    path = report.docs / "figures" / "limited-resnet20-cifar10.png"
    assert report.run("--check").returncode == 0
    if case == "missing":
        path.unlink()
    else:
        other = Report(tmp_path_factory.mktemp("other"))
        other.write([make_row("limited-1-dense", fraction=0.01, accuracy=0.5)])
        shutil.copy(other.docs / "figures" / path.name, path)
    done = report.run("--check")
    assert done.returncode == 1
    assert path.name in done.stderr


def test_notes_stand_in_their_section(report):
    notes = report.folder / "notes.md"
    notes.write_text("For those who write.\n\n## Ablation\n\nHoyer it is.\n")
    page = sections(report.write([held_out("ablation-dense", 0.9)]))
    assert page["Ablation"].rstrip().endswith("Hoyer it is.")
    assert "who write" not in "".join(page.values())
    notes.write_text("## Ablations\n\nHoyer it is.\n")
    assert "Ablations" in report.run().stderr


def test_figures_in_texts_come_from_the_rows(report):
    method, notes = report.folder / "method.md", report.folder / "notes.md"
    method.write_text("# Method\n\nIt keeps {{macs_kept r20-half}}.\n")
    notes.write_text("## Main results\n\nIt loses {{change r20-half}} points.\n")
    rows = [make_row("r20-dense"), make_row("r20-half", kept=0.5, accuracy=0.915)]
    page = sections(report.write(rows))
    assert "It loses -0.50 points." in page["Main results"]
    written = report.docs / "method.md"
    assert "It keeps 50.0%." in written.read_text()
    written.write_text("# Method\n\nIt keeps 40.0%.\n")
    assert "method.md" in report.run("--check").stderr
    for unknown in ("{{change r20-third}}", "{{loss r20-half}}"):
        method.write_text(unknown)
        assert unknown in report.run().stderr


def test_an_interrupted_training_counts_from_the_ranks_of_the_others(report):
    whole = make_row("r20-half", kept=0.5)
    resumed = make_row("r20-half", 1, 0.5, ranks=whole["ranks"][1:], resumed=True)
    words = ("ranks_stage1", "weak_values", "events")
    text = "; ".join(f"{word} {{{{{word} r20-half}}}}" for word in words)
    (report.folder / "notes.md").write_text(f"## Main results\n\n{text}\n")
    page = sections(report.write([make_row("r20-dense"), whole, resumed]))
    # Of 2 layers with ranks 20 and 30 of 48, each with one value near zero.
    assert "ranks_stage1 52%; weak_values 4%; events 1" in page["Main results"]


def test_an_interrupted_training_has_no_seconds(report):
    rows = [
        make_row("r20-dense"),
        make_row("r20-half", kept=0.5, seconds=200.0),
        make_row("r20-half", 1, 0.5, seconds=9.0, resumed=True),
    ]
    (time,) = cells(sections(report.write(rows))["Training time"], "r20-half")
    assert (time["seconds"], time["rows"]) == ("200", "1")


@pytest.mark.parametrize(
    "difference",
    (
        {"hardware": {**MACHINE["hardware"], "processor": "Another"}},
        {"xla_flags": "--xla_gpu_enable_triton_gemm=false"},
    ),
    ids=("processor", "flags"),
)
def test_no_ratio_between_two_machines(report, difference):
    other = {**MACHINE, **difference}
    rows = [make_row("r20-dense"), make_row("r20-half", kept=0.5, **other)]
    report.time(**{"r20-half": 0.5})
    page = sections(report.write(rows))
    (half,) = cells(page["Speed against accuracy"], "r20-half")
    assert half["float32 latency"] == "500 µs"
    (time,) = cells(page["Training time"], "r20-half")
    assert time["seconds, ratio to dense"] == "—"


@pytest.mark.parametrize("changes", ({"seed": 0}, {"seed": 1, "epochs": 100}))
def test_rows_that_are_not_seeds_of_one_experiment(report, changes):
    report.append([make_row("r20-dense"), make_row("r20-dense", **changes)])
    done = report.run()
    assert done.returncode == 1
    assert "r20-dense" in done.stderr
    assert not report.docs.exists()


def test_the_docs_say_what_the_committed_rows_give():
    subprocess.run([sys.executable, str(SCRIPT), "--check"], check=True)


def test_halfway_every_row_had_been_validated(paper):
    from prose import fill
    from summaries import experiments_of, split

    def validated(seed, *accuracies):
        return make_row("half", seed, history={"val_accuracy": list(accuracies)})

    for rows, expected in (
        ([validated(0, 0.8, 0.9)], "80.00%"),
        ([validated(0, 0.8, 0.9), validated(1, 0.82, 0.9)], "81.00% ± 1.41"),
        ([validated(0, 0.8, 0.9), validated(1, 0.9)], "—"),
    ):
        experiments = split(experiments_of(rows, {}))
        assert fill("{{halfway_accuracy half}}", experiments) == expected

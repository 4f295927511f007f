"""A training that is killed without warning and started again."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent

# Epochs of the two events.
START, STOP = 2, 4

SCRIPT = f"""
import json
import os
import signal
import sys

import keras
import numpy as np
from small_models import deep_perceptron, factorized, ranks, train

import keras_dprp as dprp

order, killed, folder = sys.argv[1:]


class KillAt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == int(killed) and batch == 1:
            os.kill(os.getpid(), signal.SIGKILL)


keras.utils.set_random_seed(0)
model = factorized(deep_perceptron(), "adam", {{"teacher": "self"}})
pruning = dprp.RankPruningCallback(
    target=0.45, start={START}, stop={STOP}, events=2, verbose=0
)
backup = keras.callbacks.BackupAndRestore(folder + "/backup", save_freq="epoch")
callbacks = [pruning, backup] if order == "pruning_first" else [backup, pruning]
train(model, callbacks + [KillAt()] * (killed != "never"), epochs=6)
np.savez(
    folder + "/weights.npz",
    *model.get_weights(),
    *[keras.ops.convert_to_numpy(v) for v in model.optimizer.variables],
)
events = [entry["epoch"] for entry in pruning.history]
starts = list(pruning.history[0]["ranks"].values())
with open(folder + "/report.json", "w") as file:
    json.dump({{"events": events, "starts": starts, "ends": ranks(model)}}, file)
"""


def run(folder, order, killed="never"):
    """Runs the training in a process of its own; returns its exit status."""
    folder.mkdir(exist_ok=True)
    script = folder / "train.py"
    script.write_text(SCRIPT)
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, str(script), order, str(killed), str(folder)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def results(folder):
    with np.load(folder / "weights.npz") as file:
        weights = [file[name] for name in file.files]
    return weights, json.loads((folder / "report.json").read_text())


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert run(folder, "pruning_first") == 0
    return results(folder)


@pytest.mark.parametrize(
    ("killed", "order"),
    [
        # While the network is dense, in the epoch of the first event, and between
        # events, with the teacher that the network was at the first of them.
        (1, "pruning_first"),
        (START, "pruning_last"),
        (3, "pruning_first"),
        (3, "pruning_last"),
    ],
)
def test_a_killed_training_resumes_as_if_nothing_had_happened(
    killed, order, uninterrupted, tmp_path
):
    folder = tmp_path / "interrupted"
    assert run(folder, order, killed) == -signal.SIGKILL
    assert (folder / "backup").exists()
    assert run(folder, order) == 0
    weights, report = results(folder)
    expected, whole = uninterrupted
    assert whole["events"] == [0, START, STOP]
    assert report["events"] == [killed, *(e for e in (START, STOP) if e >= killed)]
    after_first_event = sum(report["starts"]) < sum(whole["starts"])
    assert after_first_event == (killed > START)
    assert sum(whole["ends"]) < sum(report["starts"])
    assert report["ends"] == whole["ends"]
    for one, other in zip(weights, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)

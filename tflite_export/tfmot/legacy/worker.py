"""The process of tf_keras: `python -m tflite_export.tfmot.legacy.worker FOLDER`."""

import json
import sys
from pathlib import Path

import numpy as np

from tflite_export.process import answer
from tflite_export.tfmot.bridge import check_alike, read_weights, write_weights
from tflite_export.tfmot.legacy.job import Job
from tflite_export.tfmot.steps import Step


def work(folder):
    """Do the task that is asked for in a folder; leave weights if some go back."""
    from tflite_export.tfmot.legacy import tasks
    from tflite_export.tfmot.legacy.replay import (
        layer_names,
        outputs_of,
        replay,
        trained_weights,
    )

    request = json.loads((folder / "request.json").read_text())
    job = _read_job(folder, request)
    expected = np.load(folder / "expected.npy")
    samples = job.x[: len(expected)]
    model = replay(job.steps, job.weights, job.input["shape"])
    check_alike(expected, outputs_of(model, samples), "in tf_keras")
    arguments = request["arguments"]
    if "layers" in arguments:
        names = layer_names(job.steps)
        arguments["layers"] = [names[name] for name in arguments["layers"]]
    trained, result = getattr(tasks, request["task"])(job, model, **arguments)
    if trained is not None:
        weights = trained_weights(trained, job.steps, job.weights)
        write_weights(folder / "trained.npz", weights)
        np.save(folder / "outputs.npy", outputs_of(trained, samples))
    return result


def _read_job(folder, request):
    labels = folder / "y.npy"
    return Job(
        steps=[Step(**step) for step in request["steps"]],
        weights=read_weights(folder / "weights.npz"),
        input=request["input"],
        output=request["output"],
        x=np.load(folder / "x.npy", mmap_mode="r"),
        y=np.load(labels) if labels.exists() else None,
        from_logits=request["from_logits"],
        **(request["training"] or {}),
    )


if __name__ == "__main__":
    answer(Path(sys.argv[1]), work)

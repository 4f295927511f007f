"""Work in a process of its own: the end that asks, and the end that answers."""

import builtins
import json
import os
import subprocess
import sys


def ask(purpose, module, folder, show=None, **variables):
    """Run a module on a folder that holds a request; return what it answers.

    An error of one of Python's own types is raised here as it was there.

    Args:
        purpose: What the process does, for an error: "converting", say.
        module: Name of the module, which calls `answer`.
        folder: A `Path`.
        show: A function that gets each line the process prints; None drops them.
        variables: Environment variables beside this process's.
    """
    command = [sys.executable, "-P", "-m", module, str(folder)]
    with (folder / "log").open("w+", encoding="utf-8", errors="replace") as log:
        code = _run(command, _environment(variables), log, show)
        reply = folder / "reply.json"
        if not reply.exists():
            log.seek(0)
            raise RuntimeError(
                f"The {purpose} process ended with code {code}: "
                + " ".join(log.read().split())[-500:]
            )
    answer = json.loads(reply.read_text())
    if "error" in answer:
        raise getattr(builtins, answer["error"], RuntimeError)(answer["message"])
    return answer["result"]


def answer(folder, work):
    """Write what `work(folder)` returns, or the error it raises, for who asked."""
    try:
        reply = {"result": work(folder)}
    except Exception as error:
        reply = {"error": type(error).__name__, "message": str(error)}
    # Whole or not at all: a process that is killed while it writes has not answered.
    unfinished = folder / "reply.tmp"
    unfinished.write_text(json.dumps(reply))
    unfinished.rename(folder / "reply.json")


def _run(command, environment, log, show):
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if show is None else subprocess.PIPE,
        stderr=log,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            for line in process.stdout or ():
                show(line.rstrip("\n"))
            return process.wait()
        except BaseException:
            process.kill()
            raise


def _environment(variables):
    """This process's, with its module path; no GPU, which another backend may hold."""
    return {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": "-1",
        "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path),
        **variables,
    }

"""Runs the notebooks from top to bottom and keeps their outputs in them.

.venv/bin/python docs/tools/make_notebooks.py              # minutes on two cores
.venv/bin/python docs/tools/make_notebooks.py quickstart   # one of them
"""

import argparse
import os
import re
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
NOTEBOOKS = EXAMPLES / "notebooks"


def paths():
    """Every notebook."""
    return sorted(NOTEBOOKS.glob("*.ipynb"))


def run(path, folder, **parameters):
    """Run a notebook in a fresh kernel; what it writes stays in `folder`.

    Args:
        path: The notebook's file, which stays as it is.
        folder: An empty folder to run in.
        parameters: New values for names of the cell with the tag "parameters".

    Returns:
        The notebook with its outputs.
    """
    notebook = nbformat.read(path, as_version=4)
    set_parameters(notebook, parameters)
    client = NotebookClient(
        notebook,
        timeout=None,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=[
            # What C++ logs is for the console; as output it would name this machine.
            "--IPKernelApp.capture_fd_output=False",
            # Else it warns that it listens, if only on this machine.
            "--IPKernelApp.log_level=ERROR",
        ],
    )
    with tempfile.TemporaryDirectory() as profile:
        client.execute(env=environment(profile))
    return notebook


def set_parameters(notebook, parameters):
    """Add a cell with new values behind the one that has the usual ones."""
    tagged = [
        number
        for number, cell in enumerate(notebook.cells)
        if "parameters" in cell.metadata.get("tags", [])
    ]
    (number,) = tagged
    known = re.findall(r"^(\w+) = ", notebook.cells[number].source, re.MULTILINE)
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise ValueError(f"Parameters must be of {known}. Received: {unknown}")
    lines = [f"{name} = {value!r}" for name, value in parameters.items()]
    cell = nbformat.v4.new_code_cell("\n".join(lines))
    if lines:
        notebook.cells.insert(number + 1, cell)


def environment(profile):
    """Variables of the kernel: the examples to import, nobody's own settings."""
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    variables = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(EXAMPLES), *filter(None, others)]),
        "IPYTHONDIR": profile,
    }
    # The kernel draws into the notebook.
    variables.pop("MPLBACKEND", None)
    return variables


def prepare_data():
    """Load what the notebook of CIFAR-10 loads by TFDS, which tells where to."""
    import tensorflow_datasets as tfds

    tfds.builder("cifar10").download_and_prepare()


def main():
    """Run notebooks as they are and write them with their outputs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = [path.stem for path in paths()]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {names}")
    chosen = parser.parse_args().names or names
    if "cifar10_to_edge" in chosen:
        prepare_data()
    for name in chosen:
        path = NOTEBOOKS / f"{name}.ipynb"
        with tempfile.TemporaryDirectory() as folder:
            notebook = run(path, folder)
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main()

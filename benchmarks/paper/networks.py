"""The committed networks, their rows and their images."""

import functools
from pathlib import Path

from experiments import HISTORY, MODELS, RESULTS, rows, run_name, settings_of


def add_arguments(parser):
    """Which networks a script is about, and where what belongs to them is."""
    parser.add_argument("networks", nargs="*", type=Path, help="default: all committed")
    parser.add_argument("--data", required=True, help='"tfds" or FILE.npz')
    parser.add_argument("--results", type=Path, default=RESULTS, help="their rows")


def chosen(parser, options, suffixes=(".keras",)):
    """A dict from the path of each network to its row; exits if one has none.

    Args:
        parser: The `ArgumentParser` of the script.
        options: What it read.
        suffixes: Of the committed files that are meant.
    """
    committed = sorted(path for path in MODELS.iterdir() if path.suffix in suffixes)
    known = rows(HISTORY) + rows(options.results)
    by_name = {run_name(row): row for row in known}
    paths = options.networks or committed
    unknown = [str(path) for path in paths if path.stem not in by_name]
    if unknown or not paths:
        parser.error(f"networks must be named as a row of the results. Got: {unknown}")
    return {path: by_name[path.stem] for path in paths}


def images_of(row, data):
    """All images and labels, to train and to test, of the data set of a row."""
    return _load(settings_of(row, data).dataset, data)


@functools.cache
def _load(dataset, data):
    from cifar10 import Settings, load

    return load(Settings(data, dataset))

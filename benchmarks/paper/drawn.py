"""Figures whose files tell what was drawn: `--check` notices one of older rows."""

import hashlib
import json

import numpy as np
from matplotlib.collections import Collection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from PIL import Image

DPI = 120
# The field of a PNG file in which it stands.
FIELD = "Comment"


def save(figure, path):
    """Write a figure as a PNG file."""
    # Before it is rendered, which moves and adds things as fonts will have it.
    metadata = {FIELD: digest(figure)}
    figure.savefig(path, dpi=DPI, metadata=metadata)


def is_up_to_date(figure, path):
    """Whether this figure is the one in the file."""
    if not path.exists():
        return False
    with Image.open(path) as image:
        return image.info.get(FIELD) == digest(figure)


def digest(figure):
    """A short text that changes with every point, bar and word of a figure."""
    content = [shown(artist) for artist in figure.findobj()]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def shown(artist):
    """What an artist shows, for JSON."""
    if isinstance(artist, Text):
        return artist.get_text()
    if isinstance(artist, Line2D):
        arrays = [artist.get_xydata()]
    elif isinstance(artist, Collection):
        arrays = [artist.get_offsets(), *(p.vertices for p in artist.get_paths())]
    elif isinstance(artist, Patch):
        transform = artist.get_patch_transform()
        arrays = [transform.transform(artist.get_path().vertices)]
    else:
        arrays = []
    return [np.round(np.asarray(array, float), 6).tolist() for array in arrays]

"""The page of supported layers says what the code has."""

import re
from pathlib import Path

from keras_dprp.kernels import ATTENTION, RECURRENT, TWINS, WITH_KERNEL
from keras_dprp.layers import SVDLayer
from keras_dprp.separable import HALVES

PAGE = Path(__file__).parent.parent.parent / "docs" / "supported_layers.md"
LAYER = re.compile(r"`([A-Z]\w+)`")


def tables():
    """Of each table the names in the first column, and those in the second by these."""
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", PAGE.read_text(), re.MULTILINE):
        rows = [row.split("|")[1:3] for row in table.splitlines()[2:]]
        found.append(
            {name: LAYER.findall(b) for a, b in rows for name in LAYER.findall(a)}
        )
    return found


def names(classes):
    return {each.__name__.replace("Grouped", "Group") for each in classes}


def test_the_page_lists_every_kind_of_layer():
    factorised, taken_apart, left = tables()
    assert factorised == {k.__name__: [v.__name__] for k, v in TWINS.items()}
    assert taken_apart.keys() == names([*HALVES, *ATTENTION])
    for stock, (depthwise, pointwise) in HALVES.items():
        parts = [depthwise.__name__, TWINS[pointwise].__name__]
        assert taken_apart[stock.__name__] == parts
    others = {*WITH_KERNEL, *RECURRENT} - {SVDLayer, *TWINS, *HALVES}
    assert left.keys() == names(others)

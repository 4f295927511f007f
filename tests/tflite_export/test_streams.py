"""Representative data in batches: the same file as from one array."""

import itertools

import keras
import numpy as np
import pytest
from exported_files import same_everywhere
from keras import layers

import tflite_export
from tflite_export.graph import ModelInput
from tflite_export.streams import STREAM_SAMPLES, is_stream, read

IMAGES = np.random.default_rng(0).normal(size=(40, 4, 4, 3)).astype("float32")
LABELS = np.arange(40)
IMAGE = ModelInput("image", (4, 4, 3), "float32", ("picture",))
PAIR = [ModelInput("left", (3,), "float32"), ModelInput("right", (5,), "float32")]
LEFT, RIGHT = np.arange(12.0).reshape(4, 3), np.arange(20.0).reshape(4, 5)


class Batches(keras.utils.PyDataset):
    def __init__(self, endless=False):
        super().__init__()
        self.endless = endless

    @property
    def num_batches(self):
        return None if self.endless else 5

    def __getitem__(self, index):
        rows = slice(8 * (index % 5), 8 * (index % 5) + 8)
        return IMAGES[rows], LABELS[rows]


def generator(repeats=1):
    for index in range(0, 40 * repeats, 8):
        yield IMAGES[index % 40 : index % 40 + 8], LABELS[:8], np.ones(8)


def tf_dataset(batch=None, targets=True):
    import tensorflow as tf

    tensors = (IMAGES, LABELS) if targets else IMAGES
    dataset = tf.data.Dataset.from_tensor_slices(tensors)
    return dataset.batch(batch) if batch else dataset


@pytest.mark.parametrize(
    "make",
    [
        generator,
        lambda: generator,
        Batches,
        lambda: iter(IMAGES),
        lambda: ([image] for image in IMAGES),
        lambda: ({"image": batch} for batch in np.split(IMAGES, 4)),
        lambda: iter([({"picture": IMAGES}, LABELS)]),
        pytest.param(tf_dataset, marks=same_everywhere),
        pytest.param(lambda: tf_dataset(7), marks=same_everywhere),
        pytest.param(lambda: tf_dataset(targets=False), marks=same_everywhere),
    ],
)
def test_every_sample_is_read_in_order(make):
    assert is_stream(make())
    data = read([IMAGE], make(), "data")
    (array,) = data.values() if isinstance(data, dict) else data
    np.testing.assert_array_equal(array, IMAGES)


@pytest.mark.parametrize("make", [lambda: generator(10**9), lambda: Batches(True)])
@pytest.mark.parametrize("limit", [None, 13])
def test_endless_data_are_read_in_part(make, limit):
    (array,) = read([IMAGE], make(), "data", limit)
    assert len(array) == (limit or STREAM_SAMPLES)
    np.testing.assert_array_equal(array[:13], IMAGES[:13])


@pytest.mark.parametrize(
    "element",
    [[LEFT, RIGHT], ((LEFT, RIGHT), LABELS), {"left": LEFT, "right": RIGHT}],
)
def test_two_inputs(element):
    data = read(PAIR, iter([element, element]), "data")
    left, right = data.values() if isinstance(data, dict) else data
    np.testing.assert_array_equal(left, np.concatenate([LEFT, LEFT]))
    np.testing.assert_array_equal(right, np.concatenate([RIGHT, RIGHT]))


@pytest.mark.parametrize("data", [IMAGES, [IMAGES], (IMAGES,), {"a": IMAGES}, "a", 3])
def test_arrays_are_no_stream(data):
    assert not is_stream(data)


@pytest.mark.parametrize(
    ("elements", "error", "match"),
    [
        ([], ValueError, "yield at least one batch. Received: .* that yields none"),
        ([3], TypeError, r"yield arrays, .* type int with \['int'\]"),
        ([()], TypeError, "yield arrays"),
        ([IMAGES, IMAGES[:, 1:]], ValueError, r"\(4, 4, 3\).* and .*\(3, 4, 3\)"),
        ([[IMAGES], {"image": IMAGES}], ValueError, r"\[0\] and \['image'\]"),
    ],
)
def test_bad_elements(elements, error, match):
    with pytest.raises(error, match=f"`data` must .*{match}"):
        read([IMAGE], iter(elements), "data")


@pytest.mark.parametrize(
    ("batch", "match"),
    [
        (np.zeros((5, 4, 4, 1)), r"must have shape \(None, 4, 4, 3\)"),
        (np.full((5, 4, 4, 3), np.nan), "must be finite"),
    ],
)
def test_what_is_read_is_checked_like_arrays(batch, match, tmp_path):
    model = keras.Sequential([keras.Input((4, 4, 3)), layers.Flatten()])
    with pytest.raises(ValueError, match=match):
        tflite_export.export(
            model, tmp_path / "m.tflite", representative_data=iter([batch])
        )
    assert not list(tmp_path.iterdir())


@same_everywhere
def test_file_is_that_of_the_array(tmp_path):
    model = keras.Sequential([keras.Input((4, 4, 3)), layers.Conv2D(4, 3)])
    files = []
    # The last is as TensorFlow's converter takes it.
    for data in (IMAGES, generator(), lambda: ([image[None]] for image in IMAGES)):
        path = tmp_path / f"{len(files)}.tflite"
        tflite_export.export(model, path, "int8", data, verbose=False)
        files.append(tflite_export.predict(path, IMAGES))
    for outputs in files[1:]:
        np.testing.assert_array_equal(outputs, files[0])


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (lambda batch_size: generator(), "take no arguments.*'batch_size'"),
        (lambda: 3, "yield batches.*returns an object of type int"),
    ],
)
def test_bad_function(function, match):
    with pytest.raises(TypeError, match=f"`data`, if it is a function, must {match}"):
        read([IMAGE], function, "data")


def test_generator_is_not_read_to_its_end():
    numbers = itertools.count()
    batches = (IMAGES for _ in numbers)
    read([IMAGE], batches, "data", 80)
    assert next(numbers) == 2

"""What a file weighs in an archive."""

import zipfile

import numpy as np
import pytest

from tflite_export.tfmot import compressed_size


def test_is_what_a_zip_file_takes(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(np.random.default_rng(0).integers(0, 9, 5000, "uint8").tobytes())
    archive = tmp_path / "model.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        packed.write(path)
        (info,) = packed.infolist()
    size = compressed_size(path)
    assert (size.bytes, size.compressed) == (5000, info.compress_size)
    assert size.ratio == info.compress_size / 5000
    assert str(size).startswith("5,000 bytes, ")


@pytest.mark.parametrize(
    ("path", "error", "match"),
    [
        (3, TypeError, "must be a str or a path object. Received: 3"),
        ("missing.tflite", ValueError, "There must be a file .*'missing.tflite'"),
    ],
)
def test_bad_path(path, error, match):
    with pytest.raises(error, match=match):
        compressed_size(path)


def test_empty_file(tmp_path):
    path = tmp_path / "empty.tflite"
    path.touch()
    with pytest.raises(ValueError, match="must not be empty"):
        compressed_size(path)

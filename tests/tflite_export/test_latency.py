"""Timing files."""

import keras
import pytest

from tflite_export.benchmark import Timing, benchmark, timings_table

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="Keras takes no part in it."
)


def test_files_are_timed_in_order(small_file, tmp_path):
    other = tmp_path / "other.tflite"
    other.write_bytes(small_file.read_bytes())
    first, second = benchmark([small_file, other], runs=5)
    assert [first.path, second.path] == [str(small_file), str(other)]
    for timing in (first, second):
        assert 0 < timing.median_ms <= timing.p95_ms
    assert first.ratio == 1
    assert second.ratio == pytest.approx(second.median_ms / first.median_ms)


def test_ratio_is_to_the_first_file_of_as_many_threads(small_file):
    timings = benchmark([small_file] * 2, threads=[2, 1], runs=3)
    assert [timing.threads for timing in timings] == [2, 2, 1, 1]
    for first, second in (timings[:2], timings[2:]):
        assert first.ratio == 1
        assert second.ratio == pytest.approx(second.median_ms / first.median_ms)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"threads": 0}, "`threads` must be an int of 1 or more. Received: 0"),
        ({"threads": [1, 0]}, "`threads` must be an int of 1 or more. Received: 0"),
        ({"threads": []}, r"`threads` must hold a count. Received: \[\]"),
        ({"runs": 2.5}, "`runs` must be an int of 1 or more. Received: 2.5"),
        ({"paths": []}, "list of files"),
        ({"paths": 3}, "list of files. Received: 3"),
        ({"threads": True}, "`threads` must be an int of 1 or more. Received: True"),
        ({"paths": "model.tflite"}, "list of files. Received: 'model.tflite'"),
        ({"paths": ["missing.tflite"]}, "Received: 'missing.tflite'"),
    ],
)
def test_bad_input(arguments, match, small_file):
    with pytest.raises(ValueError, match=match):
        benchmark(**{"paths": [small_file], **arguments})


@pytest.mark.parametrize("path", [None, 3])
def test_path_of_wrong_type(path):
    with pytest.raises(TypeError, match=f"str or a path object. Received: {path}"):
        benchmark([path])


def test_units_in_table():
    text = timings_table(
        [Timing("a.tflite", 0.0123, 1.5, 1.0), Timing("b.tflite", 2.0, 3.0, 162.6)]
    )
    assert [word in text for word in ("12.3 µs", "1.500 ms", "2.000 ms")] == 3 * [True]


def test_long_paths_keep_the_table_in_shape():
    path = "folder/" * 30 + "model.tflite"
    lines = timings_table([Timing(path, 1.0, 2.0, 1.0)]).splitlines()
    assert max(map(len, lines)) <= 88
    assert "".join(line.split()[0] for line in lines[2:]) == path


def test_file_of_another_kind(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_text("not a flatbuffer")
    with pytest.raises(ValueError, match="LiteRT cannot load the file"):
        benchmark([path])


def test_nothing_is_printed(small_file, capfd):
    benchmark([small_file], runs=1)
    assert capfd.readouterr() == ("", "")

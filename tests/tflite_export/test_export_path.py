"""Where the file appears, and that nothing but a checked one ever does."""

import os
import socket
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
from exported_files import same_everywhere
from keras import layers

import tflite_export
from tflite_export.benchmark import benchmark
from tflite_export.quiet import quiet
from tflite_export.staging import staged


def times(scale):
    constant = keras.initializers.Constant(scale)
    dense = layers.Dense(2, kernel_initializer=constant, name="y")
    return keras.Sequential([keras.Input((4,), name="x"), dense])


def make_pipe(path):
    os.mkfifo(path)


def make_socket(path):
    # The names of sockets are short.
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)


def make_link_to_pipe(path):
    os.mkfifo("pipe")
    path.symlink_to("pipe")


@pytest.mark.parametrize("make", [make_pipe, make_socket, make_link_to_pipe])
def test_what_is_no_file_is_refused(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.tflite"
    make(path)
    kinds = {each.name: each.lstat().st_mode for each in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="regular file. Received: .* pipe or socket"):
        tflite_export.export(times(1), path)
    assert {each.name: each.lstat().st_mode for each in tmp_path.iterdir()} == kinds


@same_everywhere
def test_read_only_file_is_refused(tmp_path, monkeypatch):
    """Root, which tests may run as, may write anywhere."""
    path = tmp_path / "model.tflite"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda *arguments: False)
    with pytest.raises(ValueError, match="must be writable. Received: .*read-only"):
        tflite_export.export(times(1), path)
    assert path.read_bytes() == b"old"


@same_everywhere
def test_link_is_followed(tmp_path):
    (tmp_path / "folder").mkdir()
    link, target = tmp_path / "link.tflite", tmp_path / "folder" / "model.tflite"
    link.symlink_to(target)
    for _ in range(2):  # First to nothing, then to a file.
        report = tflite_export.export(times(1), link, verbose=False)
        assert link.is_symlink() and target.stat().st_size == report.bytes
    assert list((tmp_path / "folder").iterdir()) == [target]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_mode_of_new_file_follows_umask(umask, tmp_path):
    path = tmp_path / "model.tflite"
    before = os.umask(umask)
    try:
        tflite_export.export(times(1), path, verbose=False)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


@same_everywhere
def test_mode_of_old_file_survives(tmp_path):
    path = tmp_path / "model.tflite"
    path.touch()
    path.chmod(0o604)
    tflite_export.export(times(1), path, verbose=False)
    assert path.stat().st_mode & 0o777 == 0o604


def test_name_may_be_as_long_as_the_system_allows(tmp_path):
    with staged(tmp_path / f"{'n' * 248}.tflite") as temporary:
        temporary.write_bytes(b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"new"]


def test_writers_to_one_path_do_not_share_a_file(tmp_path):
    path = tmp_path / "model.tflite"
    with staged(path) as first:
        with staged(path) as second:
            first.write_bytes(b"not yet checked")
            second.write_bytes(b"checked")
        assert path.read_bytes() == b"checked"
    assert path.read_bytes() == b"not yet checked"


@same_everywhere
def test_threads_write_and_report_whole_files(tmp_path, capfd):
    path, reports = tmp_path / "model.tflite", []
    models = [times(1), times(3)]
    threads = [
        threading.Thread(
            target=lambda model=model: reports.append(tflite_export.export(model, path))
        )
        for model in models
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out, err = capfd.readouterr()
    assert err == "" and sorted(map(str, reports)) == sorted(_halves(out))
    x = np.ones((1, 4), "float32")
    assert tflite_export.predict(path, x)[0, 0] in (4, 12)
    assert list(tmp_path.iterdir()) == [path]


def _halves(text):
    lines = text.splitlines()
    middle = len(lines) // 2
    return ["\n".join(lines[:middle]), "\n".join(lines[middle:])]


def test_silence_is_for_one_thread_at_a_time():
    """Two that swap the process's streams would leave it without any."""
    entered = threading.Event()

    def enter():
        with quiet():
            entered.set()

    thread = threading.Thread(target=enter)
    with quiet():
        thread.start()
        assert not entered.wait(0.2)
    thread.join()
    assert entered.is_set()


def test_streams_may_be_missing(small_file, monkeypatch):
    """As they are in a Windows program without a console."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert len(benchmark([small_file], runs=1)) == 1


@same_everywhere
def test_streams_may_be_closed(small_file):
    code = f"""
import os, sys
from tflite_export.benchmark import benchmark
os.close(1)
benchmark([{str(small_file)!r}], runs=1)
print("still here", file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    # Python cannot flush a stream that is closed behind its back, and says nothing.
    assert done.stderr == "still here\n"


@same_everywhere
def test_loggers_made_in_silence_speak_later(tmp_path):
    """TensorFlow makes its logger when it first has something to say."""
    code = f"""
import keras, logging, sys, tflite_export
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
tflite_export.export(model, {str(tmp_path / "m.tflite")!r}, verbose=False)
logging.getLogger("tensorflow").warning("a warning")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0
    assert "a warning" in done.stderr and "closed file" not in done.stderr

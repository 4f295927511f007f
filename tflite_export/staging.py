"""Files that appear whole or not at all."""

import contextlib
import os
import secrets
import shutil
import stat
from pathlib import Path


@contextlib.contextmanager
def staged(path):
    """Yield a temporary path beside `path`, renamed to it if the block succeeds.

    The temporary file exists from the start, so that a place which cannot be written
    is refused before any work. Whatever was at `path` survives a failure, and its mode
    survives a success.
    """
    target = check_path(path)
    # Of no other name but the folder's, so that a long name of `path` stays possible.
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        # Only if it is new, and with the mode that the umask leaves.
        temporary.open("xb").close()
    except OSError as error:
        raise _cannot_be_written(path, error) from error
    try:
        yield temporary
        with contextlib.suppress(FileNotFoundError):
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def check_path(path):
    """Return the file that `path` leads to, or raise if none can be written there."""
    if not isinstance(path, str | os.PathLike) or isinstance(os.fspath(path), bytes):
        raise TypeError(
            "`path` must be a str or a path object. "
            f"Received: {path!r} (of type {type(path).__name__})"
        )
    if "\0" in os.fspath(path):
        raise ValueError(f"`path` must not hold a NUL. Received: {path!r}")
    # A link keeps pointing where it did: the file behind it is replaced.
    target = Path(os.path.realpath(path))
    if not os.path.isdir(target.parent):
        raise ValueError(
            f"`path` must be in a folder that exists. Received: '{path}', "
            f"and there is no folder '{target.parent}'"
        )
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return target
    except OSError as error:
        raise _cannot_be_written(path, error) from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a device, pipe or socket"
        raise ValueError(f"`path` must be a regular file. Received: '{path}', {kind}")
    if not os.access(target, os.W_OK):
        raise ValueError(f"`path` must be writable. Received: '{path}', read-only")
    return target


def _cannot_be_written(path, error):
    return ValueError(f"`path` cannot be written: {error.strerror}. Received: '{path}'")

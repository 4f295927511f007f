"""Files that appear whole or not at all."""

import contextlib
import os
from pathlib import Path


@contextlib.contextmanager
def staged(path):
    """Yield a temporary path beside `path`, renamed to it if the block succeeds.

    The temporary file exists from the start, so that a place which cannot be written
    is refused before any work. Whatever was at `path` survives a failure.

    Args:
        path: A str or path object.

    Raises:
        TypeError: If `path` is no path.
        ValueError: If no file can be written there.
    """
    target = _target(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(b"")
    except OSError as error:
        raise ValueError(
            f"`path` cannot be written: {error.strerror}. Received: '{path}'"
        ) from error
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _target(path):
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            "`path` must be a str or a path object. "
            f"Received: {path!r} (of type {type(path).__name__})"
        )
    # A link keeps pointing where it did: the file behind it is replaced.
    target = Path(os.path.realpath(path))
    if not os.path.isdir(target.parent):
        raise ValueError(
            f"`path` must be in a folder that exists. Received: '{path}', "
            f"and there is no folder '{target.parent}'"
        )
    if os.path.isdir(target):
        raise ValueError(f"`path` must be a file. Received: '{path}', a folder")
    if os.path.exists(target) and not os.access(target, os.W_OK):
        raise ValueError(f"`path` must be writable. Received: '{path}', read-only")
    return target

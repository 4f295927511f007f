"""Third-party logs kept from the user's screen."""

import contextlib
import io
import logging
import os
import sys
import tempfile
import threading
import warnings

# The descriptors and the warning filters are the whole process's.
_LOCK = threading.RLock()


@contextlib.contextmanager
def quiet():
    """Drop what is written to stdout and stderr, by Python and by C++, and warnings.

    The converter and the interpreter log hundreds of lines past Python's streams, so
    the file descriptors themselves are redirected. One thread at a time is in here.
    Exceptions pass.
    """
    with _LOCK, contextlib.ExitStack() as stack:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        saved = [(descriptor, _duplicate(descriptor)) for descriptor in (1, 2)]
        sink = stack.enter_context(tempfile.TemporaryFile())
        for descriptor, copy in saved:
            if copy is not None:
                os.dup2(sink.fileno(), descriptor)
                stack.callback(_restore, copy, descriptor)
        # A stream of a notebook or a test does not write to the descriptor.
        stack.enter_context(contextlib.redirect_stdout(_Muted(stack, "stdout")))
        stack.enter_context(contextlib.redirect_stderr(_Muted(stack, "stderr")))
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        # In a notebook TensorFlow's logger keeps hold of the notebook's own stream.
        stack.callback(logging.disable, logging.root.manager.disable)
        logging.disable()
        yield


def audible():
    """A context in which no other thread drops what is printed or warned of."""
    return _LOCK


class _Muted(io.TextIOBase):
    """Drops what is written until a context ends, and hands it on from then on.

    Loggers that are made in the context, such as TensorFlow's, keep hold of this.
    """

    def __init__(self, context, name):
        self.name = name
        self.muted = True
        context.callback(setattr, self, "muted", False)

    def write(self, text):
        stream = None if self.muted else getattr(sys, self.name)
        return len(text) if stream is None else stream.write(text)


def _duplicate(descriptor):
    """A copy of a file descriptor; None if it is closed, as without a console."""
    try:
        return os.dup(descriptor)
    except OSError:
        return None


def _restore(saved, descriptor):
    os.dup2(saved, descriptor)
    os.close(saved)

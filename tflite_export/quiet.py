"""Third-party logs kept from the user's screen."""

import contextlib
import os
import sys
import tempfile
import warnings


@contextlib.contextmanager
def quiet():
    """Drop what is written to stdout and stderr, by Python and by C++, and warnings.

    The converter and the interpreter log hundreds of lines past Python's streams, so
    the file descriptors themselves are redirected. Exceptions pass.
    """
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(tempfile.TemporaryFile("w"))
        for descriptor, stream in ((1, sys.stdout), (2, sys.stderr)):
            stream.flush()
            saved = os.dup(descriptor)
            os.dup2(sink.fileno(), descriptor)
            stack.callback(_restore, saved, descriptor)
        # A stream of a notebook or a test does not write to the descriptor.
        stack.enter_context(contextlib.redirect_stdout(sink))
        stack.enter_context(contextlib.redirect_stderr(sink))
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        yield


def _restore(saved, descriptor):
    os.dup2(saved, descriptor)
    os.close(saved)

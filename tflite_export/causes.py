"""Keras's errors, made short."""

import textwrap


def cause_of(error):
    """Return what an error of Keras's says went wrong, as part of one line.

    Keras gives the cause between dumps of the configuration.
    """
    text = str(error).rpartition("Exception encountered: ")[2]
    sentence = " ".join(text.split()).partition(". ")[0].rstrip(".")
    return textwrap.shorten(sentence, 160, placeholder=" ...")

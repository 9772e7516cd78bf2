"""Print text literally: names and paths may look like rich's markup, or not be valid UTF-8."""

import errno
import os
import sys

from rich.console import Console

console = Console(emoji=False)
if not console.is_terminal and "COLUMNS" not in os.environ:
    console.width = 200  # a file or a pipe has no width that a table must fit

_LOST = (errno.ENOSPC, errno.EPIPE, errno.EIO)


def say(text: str, style: str | None = None) -> None:
    """Print a text to standard output, and leave the wrapping of long lines to the terminal."""
    console.print(printable(text), style=style, soft_wrap=True, markup=False, highlight=False)


def complain(text: str) -> None:
    """Print an error message to standard error, on one line."""
    sentence = f"foolbench: {' '.join(printable(text).split())}"
    Console(stderr=True, soft_wrap=True, emoji=False).print(sentence, style="red", markup=False, highlight=False)


def lost_output(error: OSError) -> bool:
    """Return whether an error means that standard output cannot be written: a full disk, a closed pipe, a lost device.

    If so, the error is reported on standard error, and further output is discarded.
    """
    if error.errno not in _LOST or error.filename is not None:
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # buffers are still flushed at exit
    if error.errno != errno.EPIPE:  # a reader that has closed its pipe, such as `head`, needs no message
        complain(f"Standard output cannot be written: {error.strerror}.")
    return True


def printable(text: str) -> str:
    """Return the text with characters that UTF-8 cannot encode, as file names may hold, replaced."""
    return text.encode("utf-8", "replace").decode()

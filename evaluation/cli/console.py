"""What is printed: text as it is, for names and paths may look like markup, or be no UTF-8."""

import errno
import os
import sys

from rich.console import Console

console = Console(emoji=False)
if not console.is_terminal and "COLUMNS" not in os.environ:
    console.width = 200  # a file or a pipe has no edge at which a table must be cut

_LOST = (errno.ENOSPC, errno.EPIPE, errno.EIO)


def say(text: str, style: str | None = None) -> None:
    """To standard output; long lines are left to the terminal."""
    console.print(printable(text), style=style, soft_wrap=True, markup=False, highlight=False)


def complain(text: str) -> None:
    """To standard error, as one sentence."""
    sentence = f"foolbench: {' '.join(printable(text).split())}"
    Console(stderr=True, soft_wrap=True, emoji=False).print(sentence, style="red", markup=False, highlight=False)


def lost_output(error: OSError) -> bool:
    """Whether standard output takes no more; then this is said, and nothing more is written there."""
    if error.errno not in _LOST or error.filename is not None:
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in buffers must go somewhere
    if error.errno != errno.EPIPE:  # a reader that has seen enough knows it
        complain(f"Standard output cannot be written: {error.strerror}.")
    return True


def printable(text: str) -> str:
    """Names of files may hold what UTF-8 does not."""
    return text.encode("utf-8", "replace").decode()

"""Where the command line prints."""

import os

from rich.console import Console

console = Console()
if not console.is_terminal and "COLUMNS" not in os.environ:
    console.width = 200  # a file or a pipe has no edge at which a table must be cut

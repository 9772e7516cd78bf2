"""`foolbench report --speed`: print the speed leaderboard from a file of pytest-benchmark."""

import sys
from pathlib import Path

from ..report.speed import speed_table
from ..report.text import for_csv


def show(file: Path) -> None:
    """Print the speed table of a file as CSV. Raises OutputError for a file without speeds."""
    sys.stdout.write(for_csv(speed_table(file)).to_csv(index=False))

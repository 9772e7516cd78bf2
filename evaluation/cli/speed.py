"""Print the speed leaderboard, from what pytest-benchmark has measured."""

import sys
from pathlib import Path

from ..report.speed import speed_table
from ..report.text import for_csv


def show(file: Path) -> None:
    """As CSV. Raises OutputError for a file without speeds."""
    sys.stdout.write(for_csv(speed_table(file)).to_csv(index=False))

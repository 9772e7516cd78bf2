"""`foolbench report --speed`: the speed leaderboard from a file of pytest-benchmark."""

import sys
from pathlib import Path

from ...core.files import writable_folder, write_whole, writing
from ..report.speed import speed_table
from ..report.text import for_csv
from .console import say

CSV, PAGE = "speed.csv", "speed.html"


def show(file: Path, out: Path | None) -> None:
    """Print the speed table of a file as CSV, or write it and its page into the folder `out`.

    Raises OutputError for a file without speeds, or a folder that cannot be written to.
    """
    table = speed_table(file)
    csv = for_csv(table).to_csv(index=False)
    if out is None:
        sys.stdout.write(csv)
        return
    from ..board.speeds import speed_page

    page, folder = speed_page(table, file), writable_folder(out)
    for name, content in ((CSV, csv), (PAGE, page)):
        with writing(folder / name):
            write_whole(folder / name, content.encode("utf-8", "replace"))
    say(f"Written to {folder}: {CSV}, {PAGE}", style="dim")

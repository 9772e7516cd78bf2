"""Render the evaluation split again and write it into the package: `python -m foolbench.datasets.scenes`."""

from .sheets import EVALUATION, write_sheets
from .splits import rendered

COUNT = 1020

if __name__ == "__main__":
    write_sheets(EVALUATION, rendered("eval", COUNT))

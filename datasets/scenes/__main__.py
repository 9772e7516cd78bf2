"""`python -m foolbench.datasets.scenes` renders the evaluation split anew and writes it into the package."""

from .sheets import EVALUATION, write_sheets
from .splits import rendered

COUNT = 1020

if __name__ == "__main__":
    write_sheets(EVALUATION, rendered("eval", COUNT))

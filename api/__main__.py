"""Run the command line interface with `python -m foolbench`."""

from importlib import import_module

import_module("foolbench.evaluation.cli.main").main()  # not relative: on disk, evaluation/ is beside api/, not in it

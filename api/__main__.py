"""`python -m foolbench` is the command line."""

from importlib import import_module

import_module("foolbench.evaluation.cli.main").main()  # by its name: on disk it lies beside this package, not in it

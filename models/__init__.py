"""Networks: small ones trained on the data sets that ship with foolbench, and others by address."""

from . import addresses as addresses
from .digits import zoo as digits_zoo
from .load import load_model as load_model
from .scenes import dense as scenes_dense
from .scenes import zoo as scenes_zoo
from .zoo import Entry as Entry

ENTRIES = {entry.name: entry for entry in (*scenes_zoo.ENTRIES, *digits_zoo.ENTRIES)}
"""Classifiers by name, which `foolbench train` can train and `foolbench run` can load."""
DENSE = {entry.name: entry for entry in scenes_dense.ENTRIES}
"""Networks that predict maps, by name: `foolbench train` trains all, `foolbench run` loads those with weights."""

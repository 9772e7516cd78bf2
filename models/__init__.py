"""The networks: small ones trained on the embedded data with the code that trains them, and anybody's, by address."""

from . import addresses as addresses
from .digits import zoo as digits_zoo
from .load import load_model as load_model
from .scenes import dense as scenes_dense
from .scenes import zoo as scenes_zoo
from .zoo import Entry as Entry

ENTRIES = {entry.name: entry for entry in (*scenes_zoo.ENTRIES, *digits_zoo.ENTRIES)}
"""The trained classifiers by name: what `foolbench train` can make and `foolbench run` can load."""
DENSE = {entry.name: entry for entry in scenes_dense.ENTRIES}
"""Those whose answer is a map. `foolbench train` makes them all; `foolbench run` loads those that have weights."""

"""Outcomes made by hand."""

import numpy as np
import pytest
from foolbench.evaluation.ledger.record import Outcomes


def shard(*samples, gfr=1.0, flags=(), **columns):
    count = len(samples)
    images = {"linf": 0.1, "l2": 0.5, "undone": 0.0, "forwards": 3.0, "backwards": 2.0, "seconds": 0.25}
    rates = {"clean": 1.0, "gfr": gfr, "floor": 0.0, "attacked": 0.0} | columns
    return Outcomes(
        samples=np.array(samples, dtype=int),
        images={name: np.full(count, value) for name, value in images.items()},
        metrics={"top1": {name: np.full(count, value) for name, value in rates.items()}},
        flags=frozenset(flags),
    )


@pytest.fixture(name="shard")
def shard_fixture():
    return shard

"""Outcomes made by hand, and a ledger to write them to."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest
from foolbench.evaluation.ledger.ledger import Ledger
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


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path):
    with closing(Ledger(path)) as ledger:
        yield ledger


@pytest.fixture
def change():
    """`change(path, statement, *values)` changes one row behind the ledger's back."""

    def change(path, statement, *values):
        with closing(sqlite3.connect(path)) as connection, connection:
            assert connection.execute(statement, values).rowcount == 1

    return change

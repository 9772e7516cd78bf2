"""A ledger of 50,000 images, simulated: its size, how fast it opens, goes on and becomes a table, per kind of cell.

The peer reads the same numbers from NumPy's compressed files, a file a cell, and takes their means.
"""

from contextlib import closing
from types import SimpleNamespace

import numpy as np
import pytest
from foolbench.evaluation.grid.facts import Facts
from foolbench.evaluation.grid.grid import Grid
from foolbench.evaluation.grid.identity import identity, look
from foolbench.evaluation.leaderboard.source import ScoredRun
from foolbench.evaluation.leaderboard.table import leaderboard
from foolbench.evaluation.ledger.ledger import Doubts, Ledger
from foolbench.evaluation.ledger.record import Outcomes
from foolbench.evaluation.opening.recipes import load_recipe
from foolbench.tasks import Recognition
from torch import nn

IMAGES, ATTACKS, DEFENSES, BATCH, DRAWS = 50_000, 2, 2, 50, 10
CELLS = ATTACKS * (1 + DEFENSES)
OF_A_GRID = 500 / CELLS
"""The design target is 500 cells."""
MOST_BYTES = 2e9
RECIPE = [
    "models=['digits:convnet']",
    "dataset='digits'",
    "attacks=[" + ", ".join(f"{{name='pgd', steps={1 + number}}}" for number in range(ATTACKS)) + "]",
    "defenses=[" + ", ".join(f"{{name='jpeg', quality={50 + number}}}" for number in range(DEFENSES)) + "]",
]


def binary(rng):
    """Of a deterministic system."""
    clean, fooled = rng.random((2, IMAGES)) < [[0.8], [0.3]]
    return {"clean": clean, "gfr": fooled, "floor": np.zeros(IMAGES), "attacked": clean & ~fooled}


def means_over_draws(rng):
    """Of a randomized one."""
    return {name: rng.binomial(DRAWS, rng.random(IMAGES)) / DRAWS for name in ("clean", "gfr", "floor", "attacked")}


def any_value(rng):
    """The worst case: no two images of a dense task agree in any of their 64 bits."""
    return {name: rng.random(IMAGES) for name in ("clean", "gfr", "floor", "attacked")}


def outcomes(kind, samples, rng):
    batches = np.repeat(rng.random(IMAGES // BATCH), BATCH)
    images = {
        "linf": np.full(IMAGES, np.float32(8 / 255)),
        "l2": 1 + rng.random(IMAGES, dtype=np.float32),
        "undone": np.zeros(IMAGES, dtype=bool),
        "forwards": np.full(IMAGES, 41.0),
        "backwards": np.full(IMAGES, 40.0),
        "seconds": batches,
        "queries": rng.integers(1, 10_000, IMAGES),
    }
    return Outcomes(samples=samples, images=images, metrics={"top1": kind(rng)})


@pytest.fixture(params=[binary, means_over_draws, any_value], ids=lambda kind: kind.__name__)
def simulated(request, tmp_path):
    """The ledger's file, NumPy's files, and what a table needs: recipe, facts and the keys of the cells."""
    recipe, rng = load_recipe("quickstart", RECIPE), np.random.default_rng(0)
    model, samples = recipe.model_labels[0], rng.permutation(IMAGES)
    known = identity(
        recipe, "data", SimpleNamespace(sha="0" * 16, feature_names=(), task=Recognition(classes=10), net=nn.Identity())
    )
    facts = Facts(task=Recognition(classes=10), samples=tuple(samples.tolist()), identities={model: known})
    keys = list(Grid(recipe, facts.identities).cells)
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        ledger.write_doubts(look(model, facts.identities, facts.samples), Doubts(), "simulated")
        for key in keys:
            found = outcomes(request.param, samples, rng)
            ledger.write(key, found)
            np.savez_compressed(tmp_path / f"{key}.npz", samples=samples, **found.images, **found.metrics["top1"])
    return SimpleNamespace(folder=tmp_path, recipe=recipe, facts=facts, keys=keys)


def test_table_against_means_of_numpys_files(ratio, benchmark, simulated):
    path = simulated.folder / "ledger.sqlite"
    size, peers = path.stat().st_size, sum(file.stat().st_size for file in simulated.folder.glob("*.npz"))
    benchmark.extra_info.update(bytes=size, bytes_of_peer=peers)
    assert size * OF_A_GRID < MOST_BYTES

    def ours():
        with closing(Ledger(path, read_only=True)) as ledger:
            table = leaderboard(ScoredRun(recipe=simulated.recipe, facts=simulated.facts, ledger=ledger))
        assert table.status.tolist() == ["ok"] * CELLS

    def theirs():
        for key in simulated.keys:
            with np.load(simulated.folder / f"{key}.npz") as columns:
                assert all(np.isfinite(columns[name].mean()) for name in columns)

    ratio(ours, theirs, limit=3.0, rounds=3)


def test_going_on_against_reading_numpys_files(ratio, simulated):
    """What a run does that finds all of its cells finished."""

    def ours():
        with closing(Ledger(simulated.folder / "ledger.sqlite")) as ledger:
            for key in simulated.keys:
                ledger.mend(key)
                assert len(ledger.finished(key)) == IMAGES

    def theirs():
        for key in simulated.keys:
            with np.load(simulated.folder / f"{key}.npz") as columns:
                assert all(len(columns[name]) == IMAGES for name in columns)

    ratio(ours, theirs, limit=3.0, rounds=3)

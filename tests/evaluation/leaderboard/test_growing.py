"""Rows that are made one by one while the ledger grows are those of the table, and read what they share once."""

from collections import Counter
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from foolbench.evaluation.grid.facts import Facts
from foolbench.evaluation.grid.identity import identity, look
from foolbench.evaluation.grid.planned import planned
from foolbench.evaluation.leaderboard.findings import Findings
from foolbench.evaluation.leaderboard.growing import GrowingRows
from foolbench.evaluation.leaderboard.source import ScoredRun
from foolbench.evaluation.leaderboard.table import leaderboard_rows
from foolbench.evaluation.ledger.ledger import Doubts, Ledger
from foolbench.evaluation.ledger.record import Outcomes
from foolbench.evaluation.opening.recipes import load_recipe
from foolbench.tasks import Recognition
from torch import nn

MODEL, ATTACKS, IMAGES = "digits:convnet", 6, 80
LENGTHS = ", ".join(f"{{name='pgd', steps={2 + number}, group='all'}}" for number in range(ATTACKS))
OVERRIDES = (f"samples={IMAGES}", f"attacks=[{LENGTHS}]", "defenses=[{name='median'}]", "threat={eps=0.6}")


@pytest.fixture
def begun(recipe_file, tmp_path):
    """A recipe whose attacks flag each other, its facts, and an empty ledger."""
    recipe = load_recipe(str(recipe_file), OVERRIDES)
    network = SimpleNamespace(sha="0" * 16, feature_names=(), task=Recognition(classes=10), net=nn.Identity())
    facts = Facts(
        task=Recognition(classes=10),
        samples=tuple(range(IMAGES)),
        identities={MODEL: identity(recipe, "data", network)},
    )
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        ledger.write_doubts(look(MODEL, facts.identities, facts.samples), Doubts(), "judged")
        yield ScoredRun(recipe=recipe, facts=facts, ledger=ledger)


def scores(fooled):
    """So many images are fooled."""
    place = np.arange(IMAGES)
    images = {"linf": 0.1, "l2": 0.5, "undone": 0.0, "forwards": 3.0, "backwards": 2.0, "seconds": fooled / 100}
    rates = {"clean": place < 70, "gfr": place < fooled, "floor": 0.0, "attacked": place >= max(fooled, 70)}
    return Outcomes(
        samples=place,
        images={name: np.full(IMAGES, value) for name, value in images.items()},
        metrics={"top1": {name: np.broadcast_to(value, IMAGES) for name, value in rates.items()}},
    )


def test_rows_made_one_by_one_are_those_of_the_table_and_read_no_cell_often(begun, monkeypatch):
    growing, read, made = GrowingRows(begun), Counter(), {}
    outcomes = Ledger.outcomes

    def counted(self, cell):
        found = outcomes(self, cell)
        read[cell] += found is not None
        return found

    monkeypatch.setattr(Ledger, "outcomes", counted)
    plans = planned(begun.recipe)
    for number, plan in enumerate(plans):
        if plan.bundle is None:
            begun.ledger.write(begun.grid.key(plan.cells[0]), scores(fooled=70 - 5 * number))
        (row,) = growing.made(plan)
        made[plan.name] = row.row
    first, *others = read.values()
    assert max(others) <= 3  # for its row, for what others say of it, for the worst case
    assert first <= 4  # it also says what the bare network comes to
    again = [next(iter(growing.made(plan))).row for plan in plans]
    table = {row["cell"]: row for row in leaderboard_rows(begun)}
    assert len(table) == len(again) == 2 * (ATTACKS + 1)
    comparing = {"gfr_gap", "gfr_over_pgd10", "successes", "recovered", "recovered_low", "recovered_high"}
    for row in again:
        assert row == {name: value for name, value in table[row["cell"]].items() if name not in comparing}
    assert all("shorter-run-wins" in row["flagged"] for row in again)
    assert not made[plans[0].name]["flagged"].count("shorter"), "of the first nothing could be said yet"


@pytest.mark.parametrize("of_error", [False, True])
def test_of_an_error_no_budget_fools_almost_all(begun, of_error):
    """Its fooling rate is a share of the largest error there can be, which nothing comes near."""
    (source,) = begun.sources
    cell = planned(begun.recipe)[0].cells[0]
    begun.ledger.write(source.key(cell), scores(fooled=20))
    findings = Findings(replace(source, metric=replace(source.metric, error=of_error)))
    findings.add(source.key(cell), cell, source.scores(cell))
    assert findings.flags(source.key(cell)) == (set() if of_error else {"resists-any-eps"})

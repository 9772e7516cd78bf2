"""A board as large as that of all defenses, with pictures of photographs in every row, stays below 3 MB."""

from dataclasses import replace
from pathlib import Path

import foolbench.evaluation.board.shots as shots
import numpy as np
import pandas as pd
import pytest
from foolbench.evaluation.board.board import make_board
from foolbench.evaluation.board.page import page
from foolbench.evaluation.board.runs import read_run
from foolbench.evaluation.engine.scoring.example import Answer, Example
from foolbench.evaluation.opening.recipes import load_recipe
from skimage import data

DEFENSES = Path(__file__).parents[3] / "leaderboards" / "results" / "defenses.csv"
ROWS = 420
"""Somewhat more than all sixteen defenses have on both networks; the published table holds a part of them."""


def example(_folder, cell):
    """Attacked and changed pictures of no two rows are alike."""
    rng = np.random.default_rng(list(cell.encode()))
    clean = data.coffee()[100:228, 150:278]
    change = rng.choice([-4, 4], clean.shape)
    attacked = np.clip(clean + change, 0, 255).astype(np.uint8)
    return Example(
        sample=0,
        truth="cup",
        amplified=31,
        answers={name: Answer("cup", 0.9) for name in ("clean", "attacked", "bare clean", "bare attacked")},
        pictures={
            "clean": clean,
            "attacked": attacked,
            "change": (128 + 31 * change).astype(np.uint8),
            "clean defended": clean,
            "attacked defended": np.roll(attacked, 1, axis=0),
        },
    )


@pytest.mark.slow
def test_the_board_of_all_defenses_with_pictures(monkeypatch, tmp_path):
    monkeypatch.setattr(shots, "read_example", example)
    published = read_run(DEFENSES)
    copies = range(-(-ROWS // len(published.table)))
    networks = [published.table.assign(model=f"network {n}", cell=published.table.cell + str(n)) for n in copies]
    table = pd.concat(networks, ignore_index=True).head(ROWS)
    known = {"path": tmp_path, "recipe": load_recipe("defenses"), "command": ["foolbench", "run", "defenses"]}
    run = replace(published, table=table, **known)
    board = make_board([run])
    assert len(board.rows) == len(table)
    text = page(board)
    assert len(text.encode()) < 3_000_000
    assert text.count("background-image:url(data:") > 1000
    assert text.count('class="shot p') == 5 * len(table)

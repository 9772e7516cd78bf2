"""A system that rejects images in a table: what its columns say, against its answers to what the attack made."""

from dataclasses import dataclass

import pytest
import torch
from foolbench.core import NetworkDefense, register_defense
from foolbench.datasets import Digits
from foolbench.evaluation.report.images import image_scores
from foolbench.evaluation.report.tables import markdown

ATTACK = "attacks=[{name='pgd', steps=5}, {name='uniform-noise'}]"
DEFENSES = "defenses=[{name='median'}, {name='sure'}]"
SETTINGS = (ATTACK, DEFENSES, "samples=40", "sampling='first'", "knowledge=['oblivious', 'adaptive']")


@pytest.fixture
def sure():
    @register_defense("sure")
    @dataclass(frozen=True, kw_only=True)
    class Sure(NetworkDefense):
        """Rejects where the network gives its class less than 98%."""

        differentiable = True
        randomized = False
        abstains = True

        def answer(self, inside, x, *, rng):
            scores = inside(x).log_softmax(dim=1)
            best = scores.amax(dim=1, keepdim=True)
            return torch.cat([scores, best + 100 * (0.98 - best.exp())], dim=1)

    return Sure()


def test_the_columns_of_one_that_rejects(sure, execute, tmp_path, digits_model):
    table = execute("out", *SETTINGS)
    assert set(table.status) == {"ok"}, table.error.tolist()
    others = table[table.defense != "sure"]
    assert others[["rejected_clean", "detected", "corrected", "detected_high"]].isna().all(axis=None)
    system, (x, y) = sure.defend(digits_model), Digits().load(range(40))
    clean = system.predict(x)
    for number, row in table[table.defense == "sure"].iterrows():
        scores = image_scores(tmp_path / "out", int(number) + 1)
        assert row.clean == pytest.approx(100 * float((clean == y).float().mean()), abs=0.01)
        assert row.rejected_clean == pytest.approx(100 * float((clean == 10).float().mean()), abs=0.01)
        assert row.rejected_clean_low < row.rejected_clean < row.rejected_clean_high
        assert scores.rejected_clean.tolist() == (clean == 10).tolist()
        assert row.detected == pytest.approx(100 * scores.detected.mean(), abs=0.01)
        kept = 1 - scores.gfr - scores.detected.where(scores.rejected_clean == 0, 0)
        assert set(kept) <= {0, 1}  # an attacked image is rejected, fools, or has its answer still
        both = (scores.detected + scores.corrected) * scores.clean
        assert row.robust == pytest.approx(100 * both.mean(), abs=0.01)
        assert scores.robust.tolist() == both.tolist()
    worst = table[(table.defense == "sure") & (table.attack == "pgd")].set_index("knowledge")
    assert worst.detected["oblivious"] > 30
    assert worst.gfr["adaptive"] > worst.gfr["oblivious"] + 5


def test_the_small_tables_show_both_parts(sure, execute):
    text = markdown(execute("out", *SETTINGS))
    assert "percent of clean images rejected, and of attacked ones detected + corrected" in text
    table = text[text.index("percent of clean images rejected") :]
    assert "sure, adaptive" in table
    assert "median" not in table

"""The leaderboard against a ledger with known scores."""

import json
import math
from contextlib import closing
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from foolbench.evaluation.grid.facts import Facts
from foolbench.evaluation.grid.grid import spanned
from foolbench.evaluation.grid.identity import identity, look
from foolbench.evaluation.leaderboard.abstaining import RATES
from foolbench.evaluation.leaderboard.columns import COLUMNS
from foolbench.evaluation.leaderboard.source import ScoredRun
from foolbench.evaluation.leaderboard.stats import estimate
from foolbench.evaluation.leaderboard.table import leaderboard
from foolbench.evaluation.ledger.ledger import Costs, Doubts, Ledger
from foolbench.evaluation.ledger.record import Outcomes
from foolbench.evaluation.opening.recipes import load_recipe
from foolbench.evaluation.report.tables import markdown
from foolbench.tasks import Recognition
from torch import nn

CONTRACT = (
    """
recipe, run, task, dataset, n, clusters, sampling, model, model_sha, behaviour, attack, attack_params, seed, access,
source_model, knowledge, source_defense, source_defense_params, norm, eps, defense, defense_params, metric, unit, clean,
clean_low, clean_high, clean_drop, clean_drop_rel, gfr, gfr_low, gfr_high, gfr_area, gfr_area_queries, gfr_seeds_sd,
gfr_gap, gfr_over_pgd10, floor, robust, robust_low, robust_high,
attacked, attacked_low, attacked_high, at_target, at_target_low, at_target_high, rejected_clean, rejected_clean_low,
rejected_clean_high, detected, detected_low, detected_high, corrected, corrected_low, corrected_high, successes,
recovered, recovered_low, recovered_high, layer_shift, linf_max, l2_mean, rounding_undone,
forwards_mean, backwards_mean, seconds, flagged, status, error, cell, crafted
""".replace("\n", " ")
    .strip()
    .split(", ")
)

OVERRIDES = ["samples=8", "attacks=[{name='pgd', steps=3}]", "defenses=[{name='median'}, {name='jpeg', quality=50}]"]
CLEAN = {"none": [1, 1, 1, 1, 1, 1, 0, 0], "median": [1, 1, 1, 0, 0, 0, 0, 0], "jpeg": [1, 1, 1, 1, 1, 1, 1, 0]}


def scores(clean, gfr=(0,) * 8, floor=0.0):
    place, clean, gfr = np.arange(8), np.array(clean), np.array(gfr)
    images = {"linf": 0.1 + place / 100, "l2": place / 10, "undone": place == 7}
    costs = {"forwards": np.full(8, 4.0), "backwards": np.full(8, 3.0), "seconds": np.full(8, 0.5)}
    rates = {"clean": clean, "gfr": gfr, "floor": np.full(8, floor), "attacked": abs(clean - gfr)}
    return Outcomes(samples=place, images=images | costs, metrics={"top1": rates})


@pytest.fixture
def make(recipe_file, tmp_path):
    """`make({defense: scores or message}, *overrides)` is the leaderboard of such a ledger."""

    def make(content, *overrides, job_costs=None, clusters=None):
        recipe = load_recipe(str(recipe_file), [*OVERRIDES, *overrides])
        sha = "0123456789abcdef"
        known = identity(
            recipe, "data", SimpleNamespace(sha=sha, feature_names=(), task=Recognition(classes=10), net=nn.Identity())
        )
        samples, identities = tuple(range(recipe.samples)), {"digits:convnet": known}
        facts = Facts(task=Recognition(classes=10), samples=samples, identities=identities, clusters=clusters)
        with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
            ledger.write_doubts(look("digits:convnet", identities, samples), Doubts(), "judged")
            for job, row in spanned(recipe):
                if job_costs:
                    ledger.write_costs(job.key(identities), job_costs, "hash")
                for cell in row:
                    found = content.get(cell.defense.name)
                    if isinstance(found, str):
                        ledger.write_error(cell.key(identities), found)
                    elif found is not None:
                        ledger.write(cell.key(identities), found, perturbation="hash" if job_costs else None)
            return leaderboard(ScoredRun(recipe=recipe, facts=facts, ledger=ledger))

    return make


def test_the_columns_are_the_contract(make):
    assert list(COLUMNS) == CONTRACT
    assert list(make({}).columns) == CONTRACT


def test_what_names_a_row(make):
    row = make({name: scores(clean) for name, clean in CLEAN.items()}).iloc[2]
    assert row.recipe == f"tiny-v1 ({', '.join(OVERRIDES)})"
    assert (row.task, row.dataset, row.n) == ("recognition", "digits", 8)
    assert (row.model, row.source_model, row.model_sha) == ("digits:convnet", "digits:convnet", "0123456789abcdef")
    assert (row.attack, row.access, row.knowledge, row.norm) == ("pgd", "gradient", "oblivious", "linf")
    assert row.eps == pytest.approx(40 / 255, abs=1e-6)
    assert (row.defense, row.defense_params, row.metric) == ("jpeg", '{"quality":50}', "top1")
    assert json.loads(row.attack_params)["steps"] == 3
    assert " " not in row.attack_params
    assert not {"norm", "eps"} & set(json.loads(row.attack_params))


def test_clean_drop_is_in_points_and_in_percent_of_the_undefended(make):
    table = make({name: scores(clean) for name, clean in CLEAN.items()}).set_index("defense")
    assert table.clean.to_dict() == {"none": 75.0, "median": 37.5, "jpeg": 87.5}
    assert table.clean_drop.to_dict() == {"none": 0.0, "median": 37.5, "jpeg": -12.5}
    assert table.clean_drop_rel.to_dict() == {"none": 0.0, "median": 50.0, "jpeg": -16.67}


def test_rates_are_percent_with_two_decimals(make):
    fooled = [1, 0, 0, 0, 0, 1, 1, 0]
    table = make({"none": scores([1] * 8, fooled, floor=1 / 3)}).set_index("defense")
    row = table.loc["none"]
    assert (row.gfr, row.robust, row.floor) == (37.5, 62.5, 33.33)
    assert (row.gfr_low, row.gfr_high) == (13.68, 69.43)  # Wilson, 3 of 8
    assert (row.robust_low, row.robust_high) == (30.57, 86.32)  # Wilson, 5 of 8
    assert (row.linf_max, row.l2_mean) == (0.17, 0.35)
    assert (row.forwards_mean, row.backwards_mean, row.seconds) == (4.0, 3.0, 4.0)


def test_what_an_attack_puts_right_is_not_robust(make):
    """Wrong answers that it changes may become right ones; the clean image is as near as the attacked one is."""
    row = make({"none": scores([1, 1, 1, 0, 0, 0, 0, 0], [0, 1, 1, 1, 1, 1, 0, 0])}).iloc[0]
    assert (row.clean, row.gfr) == (37.5, 62.5)
    assert row.robust == 12.5  # the first image only; four of eight are right when attacked
    assert (row.attacked, row.attacked_low, row.attacked_high) == (50.0, 21.52, 78.48)  # Wilson, 4 of 8


def test_the_cost_of_a_universal_perturbation_is_shared_by_the_images(make):
    row = make({"none": scores([1] * 8)}, job_costs=Costs(800, 80, 10)).iloc[0]
    assert (row.forwards_mean, row.backwards_mean, row.seconds) == (104.0, 13.0, 14.0)


def test_an_undefended_score_of_zero_leaves_no_relative_drop(make):
    table = make({"none": scores([0] * 8), "median": scores(CLEAN["median"])}).set_index("defense")
    assert table.clean_drop["median"] == -37.5
    assert table.clean_drop_rel.isna().all()


NUMBERS = [
    name
    for name in CONTRACT[CONTRACT.index("clean") : CONTRACT.index("flagged")]
    if name not in ("layer_shift", "gfr_area", "gfr_area_queries", "gfr_seeds_sd", "gfr_gap", "gfr_over_pgd10")
    and not name.startswith((*RATES, "recovered", "at_target"))
]


def test_rows_without_scores_have_no_numbers(make):
    content = {"none": scores([1] * 8), "median": "RuntimeError: lens cap on", "jpeg": scores([1] * 8).only(range(7))}
    table = make(content).set_index("defense")
    assert table.status.to_dict() == {"none": "ok", "median": "error", "jpeg": "pending"}
    assert table.loc[["median", "jpeg"], NUMBERS].isna().all(axis=None)
    assert table.loc["none", NUMBERS].notna().all()
    assert table.error["median"] == "RuntimeError: lens cap on"
    assert table.error["jpeg"]


def test_recovered_counts_only_what_the_attack_succeeded_on_without_the_defense(make):
    """The bare network has six images right, three of them until they are attacked; the defense has two of these."""
    bare, defended = scores(CLEAN["none"], [1, 1, 1, 0, 0, 0, 1, 0]), scores(CLEAN["median"], [0, 1, 0, 1, 1, 1, 1, 1])
    table = make({"none": bare, "median": defended, "jpeg": scores(CLEAN["none"], [1] * 8)}).set_index("defense")
    assert table.successes.to_dict() == {"none": 3, "median": 3, "jpeg": 3}
    told = table.loc["median"]
    assert (told.recovered, told.recovered_low, told.recovered_high) == (66.67, 20.77, 93.85)  # Wilson, 2 of 3
    assert math.isnan(table.recovered["none"])  # 0 by definition
    assert table.recovered["jpeg"] == 0


@pytest.mark.parametrize("bare", [{}, {"none": "failed"}, {"none": scores(CLEAN["none"])}], ids=len)
def test_without_successes_nothing_is_recovered(make, bare):
    row = make({**bare, "median": scores(CLEAN["median"])}).set_index("defense").loc["median"]
    assert math.isnan(row.recovered)
    known = isinstance(bare.get("none"), Outcomes)
    assert row.successes == 0 if known else pd.isna(row.successes)


def test_without_the_undefended_score_there_is_no_drop(make):
    table = make({"none": "broken", "median": scores([1] * 8)}).set_index("defense")
    assert table.status["median"] == "ok"
    assert table.loc["median", ["clean_drop", "clean_drop_rel"]].isna().all()
    assert "nan" not in markdown(table.reset_index())


def test_the_report_shows_every_rate_and_every_error(make):
    text = markdown(make({"none": scores([1] * 8, [1] * 8), "median": "RuntimeError: lens cap on"}))
    assert "100.0 [68-100]" in text
    assert "lens cap on" in text
    assert "digits:convnet: top1 in percent, n = 8" in text


def test_namesakes_are_told_apart_by_their_parameters(make):
    twins = [
        "attacks=[{name='pgd', steps=3}, {name='pgd', steps=4}]",
        "defenses=[{name='jpeg'}, {name='jpeg', quality=9}]",
    ]
    text = markdown(make({"none": scores([1] * 8), "jpeg": scores([1] * 8)}, *twins))
    for label in ("pgd steps 3", "pgd steps 4", "jpeg quality 75", "jpeg quality 9"):
        assert label in text


def test_one_attack_under_two_threats_has_two_columns(make):
    twins = "attacks=[{name='fgsm', eps=0.25}, {name='fgsm', eps=0.5}, {name='fgsm', norm='l2', eps=0.5}]"
    text = markdown(make({"none": scores([1] * 8)}, twins))
    for label in ("fgsm norm linf, eps 0.25", "fgsm norm linf, eps 0.5", "fgsm norm l2, eps 0.5"):
        assert label in text


def test_clean_has_its_wilson_interval(make):
    row = make({"none": scores([1] * 8)}).iloc[0]
    assert (row.clean, row.clean_low, row.clean_high) == (100.0, 67.56, 100.0)


def test_intervals_are_over_clusters(make):
    fooled, clusters = [0, 0, 1, 1, 1, 1, 0, 1], (5, 5, 2, 2, 2, 2, 7, 9)
    alone, together = (make({"none": scores([1] * 8, fooled)}, clusters=given) for given in (None, clusters))
    assert alone.clusters.isna().all()
    row = together.iloc[0]
    assert (row.clusters, row.n, row.gfr) == (4, 8, alone.gfr[0])
    expected = estimate(fooled, proportion=True, clusters=clusters)
    assert (row.gfr_low, row.gfr_high) == pytest.approx((100 * expected.low, 100 * expected.high), abs=0.005)
    assert (row.clean_low, row.clean_high) == (51.01, 100.0)  # Wilson, 4 of 4
    assert "n = 8 in 4 clusters" in markdown(together)


def test_every_column_can_be_written_as_an_attribute():
    assert [name for name in CONTRACT if hasattr(pd.DataFrame, name)] == []

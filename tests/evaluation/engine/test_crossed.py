"""What is crafted through one defense, scored through others: which cells there are, their numbers, their tables."""

import re

import pandas as pd
import pytest
from foolbench import compare
from foolbench.attacks import FGSM
from foolbench.core import ConfigError
from foolbench.datasets import Digits
from foolbench.defenses import JPEG
from foolbench.defenses.gaussian import GaussianSmoothing
from foolbench.defenses.gradients import adaptive
from foolbench.evaluation.board.board import make_board
from foolbench.evaluation.board.heat import crossings
from foolbench.evaluation.board.runs import read_run
from foolbench.evaluation.grid.grid import spanned
from foolbench.evaluation.grid.planned import planned
from foolbench.evaluation.leaderboard.part import part_of
from foolbench.evaluation.opening.recipes import load_recipe
from foolbench.evaluation.report.claims import read_claims
from foolbench.evaluation.report.pivot import pivot
from foolbench.evaluation.report.published import beside

CROSSED = "knowledge=['oblivious', 'adaptive', 'crossed']"
ATTACKS = "attacks=[{name='fgsm', norm='linf'}, {name='uniform-noise', norm='linf'}]"
TWO_JPEGS = "defenses=[{name='gaussian', sigma=0.8}, {name='jpeg', quality=30}, {name='jpeg', quality=90}]"
SYSTEMS = {
    "none": None,
    "gaussian": GaussianSmoothing(sigma=0.8),
    "jpeg quality 30": JPEG(quality=30),
    "jpeg quality 90": JPEG(quality=90),
}
EPS = 40 / 255


@pytest.fixture
def table(execute):
    return execute("out", CROSSED, ATTACKS, TWO_JPEGS, "sampling=first")


def test_the_grid(recipe_file):
    def grid(*knowledge):
        recipe = load_recipe(str(recipe_file), [f"knowledge={list(knowledge)}", "attacks=[{name='fgsm'}]"])
        return {job.through.name: {cell.defense.name: cell.knowledge for cell in row} for job, row in spanned(recipe)}

    assert grid("crossed") == {
        "none": {"none": "oblivious"},
        "bit-depth": {"none": "crossed", "median": "crossed"},
        "median": {"none": "crossed", "bit-depth": "crossed"},
    }
    assert grid("oblivious", "adaptive", "crossed") == {
        "none": {"none": "oblivious", "bit-depth": "oblivious", "median": "oblivious"},
        "bit-depth": {"none": "crossed", "bit-depth": "adaptive", "median": "crossed"},
        "median": {"none": "crossed", "bit-depth": "crossed", "median": "adaptive"},
    }


def test_numbers_are_those_of_images_made_against_one_system_and_shown_to_another(table, digits_model):
    x = Digits().load(range(24))[0]
    answers, expected = {}, {}
    for name, defense in SYSTEMS.items():
        target = digits_model if defense is None else adaptive(defense, digits_model)
        answers[name] = FGSM(eps=EPS)(target, x, rng=0)
    for name, defense in SYSTEMS.items():
        system = digits_model if defense is None else defense.defend(digits_model)
        clean = system.predict(x)
        for through, images in answers.items():
            fooled = system.predict(images) != clean
            expected[through, name] = f"{100 * float(fooled.float().mean()):.1f}"
    _, (title, lines) = pivot(table[table.attack == "fgsm"])
    assert title.startswith("digits:convnet, fgsm: top1 in percent, n = 24")
    assert [list(line) for line in lines] == [["crafted through", *SYSTEMS]] * 4
    found = {(line["crafted through"], name): re.match(r"[\d.]+", line[name])[0] for line in lines for name in SYSTEMS}
    assert found == expected
    assert len(set(found.values())) > 4


def test_crossing_costs_no_crafting(execute, monkeypatch, assert_same):
    known = execute("known", "knowledge=['oblivious', 'adaptive']", ATTACKS, TWO_JPEGS, crafted_anew=False)
    monkeypatch.setattr(FGSM, "perturb", lambda *arguments, **options: pytest.fail("crafted again"))
    table = execute("crossed", CROSSED, ATTACKS, TWO_JPEGS, crafted_anew=False)
    crossed = table.knowledge == "crossed"
    assert crossed.sum() == 9
    assert table.source_defense.notna().equals(crossed)
    assert table.gfr_gap.notna().equals(table.knowledge == "adaptive")
    empty = ["flagged", "source_defense", "source_defense_params"]
    assert_same(known.drop(columns=empty), table[~crossed].drop(columns=empty).reset_index(drop=True))


def test_each_row_leads_back_to_its_part_of_the_recipe(table, tmp_path):
    claims = read_claims(tmp_path / "out", None)
    for row in claims.rows:
        part = part_of(claims.recipe, row)
        same = [one.facts for one in planned(part) if _is_of(one.facts, row)]
        assert len(same) == 1
        assert len(part.defenses) == {"crossed": 2}.get(row["knowledge"], 1) - (row["defense"] == "none")
    row = next(row for row in claims.rows if row["knowledge"] == "crossed")
    with pytest.raises(ConfigError, match=r'has no defense jpeg \{"quality":31\}'):
        part_of(claims.recipe, row | {"source_defense": "jpeg", "source_defense_params": '{"quality":31}'})


def _is_of(facts, row):
    columns = ("attack", "knowledge", "source_defense", "source_defense_params", "defense", "defense_params")
    return all((facts[name] or "") == row[name] for name in columns)


def test_rows_hold_when_they_are_computed_anew(foolbench, table, tmp_path):
    rows = [row + 1 for row in table.index[table.knowledge == "crossed"]][::4]
    code, out, _ = foolbench("verify", tmp_path / "out", *(part for row in rows for part in ("--row", row)))
    assert code == 0
    assert f"{len(rows)} of {len(rows)} rows hold." in out
    assert "x fgsm x none, crossed from gaussian: gfr" in out


def test_they_are_compared_with_the_bare_network_under_the_same_images(table, tmp_path):
    found = compare(tmp_path / "out", by="defense")
    crossed = found[found.knowledge == "crossed"]
    assert set(crossed["first"]) == {"none"}
    assert len(crossed) == 6  # of three defenses each of the other two
    known = compare(tmp_path / "out", by="knowledge", baseline="crossed from jpeg quality 30")
    assert set(known["second"]) >= {"oblivious", "adaptive", "crossed from gaussian", "crossed from jpeg quality 90"}


def test_tests_and_lines_have_names_of_their_own(recipe_file):
    recipe = load_recipe(str(recipe_file), [CROSSED, "attacks=[{name='fgsm'}]"])
    names = [one.name for one in planned(recipe)]
    assert "convnet-median-fgsm-from-bit-depth" in names
    assert len(set(names)) == len(names) == 9


def test_the_page_has_the_matrix_and_counts_them_as_not_knowing(foolbench, table, tmp_path):
    board = make_board([read_run(tmp_path / "out")])
    (part,) = board.parts
    (heat,) = crossings(part)
    assert (list(heat.lines), list(heat.columns)) == (list(SYSTEMS), list(SYSTEMS))
    assert heat.cells["gaussian", "jpeg quality 30"]["source_defense"] == "gaussian"
    assert not any(row.knows for row in part.rows if row["knowledge"] == "crossed")
    assert foolbench("report", tmp_path / "out", "--format", "html", "--format", "md")[0] == 0
    page = (tmp_path / "out" / "index.html").read_text()
    assert "From one defense to another" in page
    assert "crossed from jpeg quality 30" in page


def test_from_another_network_they_have_matrices_of_their_own(execute, tmp_path):
    networks = ("models=['digits:convnet', 'digits:resnet']", "source_models=['digits:convnet']")
    table = execute("out", CROSSED, *networks, ATTACKS, "defenses=[{name='gaussian'}, {name='median'}]")
    titles = [title for title, _ in pivot(table)]
    for title, source in (
        ("digits:convnet, fgsm", ""),
        ("digits:resnet, fgsm from digits:convnet", " from digits:convnet"),
    ):
        assert sum(found.startswith(f"{title}:") for found in titles) == 1
        board = make_board([read_run(tmp_path / "out")])
        (part,) = (part for part in board.parts if title.startswith(part.model))
        (heat,) = crossings(part)
        assert heat.title == f"{part.title}: fgsm{source}"
        assert len(heat.cells) == 9


def test_the_worst_case_is_over_attacks_through_one_defense(execute):
    attacks = "attacks=[{name='fgsm', group='all'}, {name='pgd', steps=2, group='all'}]"
    table = execute("out", CROSSED, attacks, "defenses=[{name='gaussian'}, {name='median'}]").fillna(
        {"source_defense": ""}
    )
    worst, single = table[table.attack == "all"], table[table.attack != "all"]
    assert len(worst) == 9
    for row in worst.to_dict("records"):
        same = (single.knowledge == row["knowledge"]) & (single.defense == row["defense"])
        members = single[same & (single.source_defense == row["source_defense"])]
        assert set(row["cell"].split()) == set(members.cell)
        assert row["gfr"] >= members.gfr.max()


def test_published_numbers_of_crossed_images_stand_beside_ours():
    columns = {"clean": 76.0, "robust": 50.0, "robust_low": 45.0, "robust_high": 55.0, "n": 510}
    row = {
        "recipe": "liang-table2-v2",
        "dataset": "scenes",
        "model": "scenes:googlenet",
        "task": "recognition",
        "source_model": "scenes:googlenet",
        "attack": "pgd",
        "attack_params": "{}",
        "access": "gradient",
        "norm": "linf",
        "eps": 0.003922,
        "metric": "top1",
        "unit": "percent",
        "status": "ok",
        "flagged": "",
        **columns,
    }
    shown = {"knowledge": "oblivious", "defense": "pca", "defense_params": "{}", "source_defense": None}
    crossed = {"knowledge": "crossed", "defense": "none", "defense_params": "{}", "source_defense": "pca"}
    (found,) = beside(pd.DataFrame([row | shown, row | crossed | {"robust": 40.0}]))
    lines = {line[""]: line for line in found.lines}
    assert lines["Control's images, on"]["PCA"].startswith("50.0 ")
    assert lines["PCA's images, on"]["Control"] == "40.0 [45-55] (35.50)"
    assert lines["Additive Noise's images, on"]["Control"] == "- (57.55)"

"""The papers' tables: each number has its row in the recipe of that name, and stands beside it."""

import tomllib
from dataclasses import replace
from statistics import mean

import pandas as pd
import pytest
from foolbench.evaluation.board.board import make_board
from foolbench.evaluation.board.page import page
from foolbench.evaluation.board.runs import Run
from foolbench.evaluation.grid.planned import planned
from foolbench.evaluation.leaderboard.columns import COLUMNS
from foolbench.evaluation.opening.recipes import read_document, recipe_path
from foolbench.evaluation.report.published import PUBLISHED, beside, published
from foolbench.evaluation.report.tables import markdown
from foolbench.models import DENSE

NAMES = sorted(path.stem for path in PUBLISHED.glob("*.csv"))
RATES = {"gfr": 40.0, "gfr_low": 30.0, "gfr_high": 50.0, "clean": 90.0, "clean_low": 80.0, "clean_high": 95.0}
NUMBERS = RATES | {
    "robust": 55.0,
    "robust_low": 45.0,
    "robust_high": 65.0,
    "recovered": 55.0,
    "recovered_low": 45.0,
    "recovered_high": 65.0,
    "clean_drop_rel": 3.0,
    "floor": 0.0,
    "layer_shift": 0.25,
    "n": 8,
}


BOTH = [(90, 80, 95), (55, 45, 65)]  # clean and robust, as errors


def table_of(name):
    """As a run of the recipe would make it, were all rates the same and had all networks for maps weights."""
    document = tomllib.loads(recipe_path(name).read_text())
    networks = dict.fromkeys(f"scenes:{number.model}" for number in published(name).numbers)
    document["models"] = [network for network in networks if network in DENSE] or document["models"]
    recipe = read_document(document, name, lambda recipe: None)  # without opening its data, which takes seconds
    facts = {"recipe": recipe.label, "dataset": "scenes", "status": "ok", "flagged": ""}
    metrics = dict.fromkeys(number.metric or "top1" for number in published(name).numbers)
    units = {metric: "error" if metric.startswith(("abs", "sq", "rmse")) else "percent" for metric in metrics}
    of_metrics = [{"metric": metric, "unit": unit} for metric, unit in units.items()]
    rows = [{**row.facts, **facts, **metric, **NUMBERS} for row in planned(recipe) for metric in of_metrics]
    return pd.DataFrame(rows).reindex(columns=list(COLUMNS))


@pytest.mark.parametrize("name", NAMES)
def test_every_number_has_a_row_in_the_recipe_of_its_name(name):
    (found,) = beside(table_of(name))
    cells = [text for line in found.lines for column, text in line.items() if column and text]
    assert len(cells) == len(published(name).numbers)
    assert not [text for text in cells if text.startswith("-")]
    shown = {text.partition(" (")[0] for text in cells}
    errors = {
        f"{rate:.{digits}f} [{low:.{digits}f}-{high:.{digits}f}]" for rate, low, high in BOTH for digits in (3, 4)
    }
    assert shown <= {"40.0 [30-50]", "90.0 [80-95]", "55.0 [45-65]", "3.0", "0.250", "0.2500", *errors}
    assert any(text.startswith("data: ") and text.endswith("here 8 images of scenes") for text in found.remarks)


@pytest.mark.parametrize("name", NAMES)
def test_no_two_numbers_of_a_table_are_the_same_row(name):
    chosen = [replace(number, published="", note="", line="", column="") for number in numbers(name)]
    assert len(set(chosen)) == len(chosen)
    assert len({(number.line, number.column) for number in numbers(name)}) == len(chosen)


def numbers(name):
    return published(name).numbers


def test_the_numbers_are_those_of_the_text():
    """GD-UAP's text gives means of its Table 1, Liang et al. a difference of theirs."""
    transfer = numbers("gduap-table1")
    white = [float(n.published) for n in transfer if n.source_model == n.model]
    black = [float(n.published) for n in transfer if n.source_model != n.model]
    assert (len(white), len(black)) == (6, 30)
    assert mean(white) == pytest.approx(69.24, abs=0.01)
    assert mean(black) == pytest.approx(45.13, abs=0.01)
    accuracy = {(n.line, n.column): float(n.published) for n in numbers("liang-table1")}
    cost = accuracy["Original", "Inception"] - accuracy["Original", "Additive Noise"]
    assert cost == pytest.approx(2.8)


def test_numbers_are_of_their_metric():
    """Each metric of a row has its own numbers, an error with as many digits as the paper gives it."""
    table = table_of("gduap-table5")
    own = {"abs-rel": 0.0614, "sq-rel": 0.5, "rmse": 0.7, "rmse-log": 0.1, "delta1": 95.0, "delta3": 99.0}
    (found,) = beside(table.assign(clean=table.metric.map(own)))
    line = {line[""]: line for line in found.lines}["Monodepth-VGG, normal"]
    assert line["Abs Rel"] == "0.061 [80.000-95.000] (0.148)"
    assert line["delta < 1.25"] == "95.0 [80-95] (80.3)"
    assert {number.metric for number in numbers("gduap-table6")} == {"delta1"}
    assert {number.metric for number in numbers("gduap-table3") + numbers("gduap-table4")} == {"miou"}


def test_the_diagonal_of_tables_agrees_with_the_column_of_the_range_prior():
    diagonal = {n.line: float(n.published) for n in numbers("gduap-table1") if n.source_model == n.model}
    column = {n.line: float(n.published) for n in numbers("gduap-table2") if n.column == "Range prior"}
    assert diagonal == pytest.approx(column, abs=0.11)  # the paper has VGG-F as 91.91 and as 91.81


def test_other_networks_of_a_family_have_its_numbers_and_the_remarks_say_so():
    table = table_of("gduap-table2")
    names = {"scenes:vgg16": "torchvision:vgg16", "scenes:resnet": "torchvision:resnet152 (weights=none)"}
    table = table[table.model.isin(list(names))].replace({"model": names, "source_model": names})
    (found,) = beside(table)
    lines = {line[""]: line for line in found.lines}
    assert lines["VGG-16"]["Range prior"] == "40.0 [30-50] (63.08)"
    assert lines["Resnet-152"]["No prior"] == "40.0 [30-50] (29.78)"
    assert lines["Resnet-152"]["FFF"] == ""  # not in the paper
    assert lines["CaffeNet"]["No prior"] == "- (84.88)"
    assert any("here torchvision:vgg16, torchvision:resnet152 (weights=none)" in text for text in found.remarks)
    assert any("here gd-uap up to 4,000, fff up to 10,000" in text for text in found.remarks)


def test_what_is_not_the_papers_is_not_beside_it():
    table = table_of("gduap-table2")
    assert beside(table.assign(recipe="quickstart-v2")) == []
    assert beside(table.assign(status="error")) == []
    assert beside(table.assign(knowledge="adaptive")) == []
    assert beside(table.assign(model="mine.py:net", source_model="mine.py:net")) == []
    seeds = table.assign(seed="0", gfr=10.0)
    (found,) = beside(pd.concat([seeds, table.assign(seed="mean")]))
    assert found.lines[0]["No prior"] == "40.0 [30-50] (84.88)"
    (found,) = beside(table.assign(flagged="falls-with-eps"))
    assert found.lines[0]["No prior"] == "40.0* [30-50] (84.88)"


def test_it_stands_in_markdown_and_on_the_page(tmp_path):
    table = table_of("liang-table3")
    told = markdown(table)
    assert "## Beside Table 3 of Deep Adversarial Robustness" in told
    assert "| 75% | 90.0 [80-95] (70.45) | 55.0 [45-65] (53.70) |" in " ".join(told.split())
    shown = page(make_board([Run(path=tmp_path, table=table)]))
    assert "Beside the paper" in shown
    assert "<td>55.0 [45-65] (53.70)</td>" in shown
    assert "Beside" not in markdown(table.assign(recipe="mine-v1"))


def changed(table, **columns):
    (found,) = beside(table.assign(**columns))
    return found.lines, [text for text in found.remarks if text.startswith(("recipe: ", "budget: "))]


def test_another_budget_version_or_a_changed_recipe_is_remarked():
    table = table_of("gduap-table5")
    lines, said = changed(table)
    assert said == []
    assert changed(table, eps=0.2) == (lines, ["budget: linf, eps = 10/255 in the recipe; here linf, eps = 0.2"])
    assert changed(table, norm="l2")[1] == ["budget: linf, eps = 10/255 in the recipe; here l2, eps = 10/255"]
    other = "gduap-table5-v1 (threat.eps=0.2)"
    assert changed(table, recipe=other)[1] == [f"recipe: gduap-table5-v2 ships; here {other}"]


def test_of_rows_that_fit_the_one_of_the_papers_budget_stands_there_and_others_are_told():
    table = table_of("gduap-table2")
    (found,) = beside(pd.concat([table.assign(eps=0.2, gfr=99.0), table]))
    assert found.lines[0]["No prior"] == "40.0 [30-50] (84.88)"
    (told,) = [text for text in found.remarks if text.startswith("CaffeNet / No prior: ")]
    assert "the first of 2 rows that fit" in told
    assert "linf, eps = 10/255" in told
    (found,) = beside(pd.concat([table, table.assign(run="another", gfr=99.0)]))
    assert any(text.startswith("CaffeNet / No prior: the first of 2 rows that fit") for text in found.remarks)
    (found,) = beside(pd.concat([table, table]))
    assert not any("rows that fit" in text for text in found.remarks)

"""`foolbench report`: files in every format, of one run and of several, and what is refused."""

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from foolbench.evaluation.board.board import make_board
from foolbench.evaluation.board.command import commands, told
from foolbench.evaluation.board.latex import latex
from foolbench.evaluation.board.runs import Run, read_run
from PIL import Image

RESULTS = Path(__file__).parents[3] / "leaderboards" / "results"


def test_every_format_is_written_beside_the_run_or_elsewhere(foolbench, execute, tmp_path):
    execute("run", "knowledge=['oblivious', 'adaptive']", "attacks=[{name='fgsm'}]")
    code, _, _ = foolbench("report", tmp_path / "run", "--format", "latex,svg", "--format", "png,html")
    assert code == 0
    assert (tmp_path / "run" / "index.html").read_text().startswith("<!doctype html>")
    figures = {path.name for path in (tmp_path / "run" / "figures").iterdir()}
    kinds = ("heatmap-digits-convnet", "tradeoff-digits-convnet", "knowing-digits-convnet-fgsm")
    assert figures == {f"{kind}.{suffix}" for kind in kinds for suffix in ("png", "svg")}
    for kind in kinds:
        with Image.open(tmp_path / "run" / "figures" / f"{kind}.png") as picture:
            assert min(picture.size) > 500
    assert "toprule" in (tmp_path / "run" / "leaderboard.tex").read_text()
    code, _, _ = foolbench("report", tmp_path / "run", "--format", "csv,md", "--out", tmp_path / "board")
    assert code == 0
    assert {path.name for path in (tmp_path / "board").iterdir()} == {"leaderboard.csv", "leaderboard.md"}
    copied, own = (pd.read_csv(tmp_path / name / "leaderboard.csv") for name in ("board", "run"))
    pd.testing.assert_frame_equal(copied[["attack", "defense", "gfr"]], own[["attack", "defense", "gfr"]])


def test_several_runs_make_one_board(foolbench, execute, tmp_path):
    execute("a", "attacks=[{name='fgsm'}]")
    execute("b", "attacks=[{name='uniform-noise'}]", "samples=16")
    code, out, _ = foolbench("report", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "both")
    assert code == 0
    assert "n 24" in out
    assert "n 16" in out
    table = pd.read_csv(tmp_path / "both" / "leaderboard.csv")
    assert sorted(table.n.unique()) == [16, 24]
    assert set(table["from"]) == {str(tmp_path / "a"), str(tmp_path / "b")}


def test_a_table_is_not_written_over(foolbench, tmp_path):
    (tmp_path / "last").mkdir()
    table = tmp_path / "last" / "leaderboard.csv"
    table.write_bytes((RESULTS / "quickstart.csv").read_bytes())
    code, _, error = foolbench("report", table, "--format", "csv", "--out", tmp_path / "last")
    assert (code, "where a table lies that is read" in error) == (2, True)
    assert table.read_bytes() == (RESULTS / "quickstart.csv").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["RUN", "--format", "pdf"], "Expected --format"),
        (["RUN", "RUN"], "Expected --out DIR"),
        (["RUN", "--out", "RUN"], "where a run is kept"),
        (["RUN", "NOTHING", "--out", "NEW"], "found none at"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(foolbench, hostile_run, tmp_path, arguments, sentence):
    places = {"RUN": hostile_run, "NOTHING": tmp_path / "nothing", "NEW": tmp_path / "new"}
    code, _, error = foolbench("report", *(places.get(word, word) for word in arguments))
    assert code == 2
    assert sentence in " ".join(error.split())
    assert "Traceback" not in error


def test_the_command_of_a_row_makes_that_row(foolbench, recipe_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, _ = foolbench(
        "run", recipe_file, "--set", "knowledge=['oblivious', 'adaptive']", "--out", tmp_path / "all"
    )
    assert code == 0
    board = make_board([read_run(tmp_path / "all")])
    row = next(row for row in board.rows if row["attack"] == "pgd" and row["knowledge"] == "adaptive")
    found = commands(row)
    assert shlex.split(found["Does it hold?"])[-2:] == ["--row", str(row.place)]
    code, _, _ = foolbench(*shlex.split(found["This row alone"])[1:])
    assert code == 0
    alone = make_board([read_run(tmp_path / "runs" / f"row-{row.place}")])
    same = [one for one in alone.rows if (one.defense, one["knowledge"]) == (row.defense, "adaptive")]
    assert [one["gfr"] for one in same] == [row["gfr"]]
    assert {one["attack"] for one in alone.rows} == {"pgd"}


def test_the_command_of_a_row_leaves_out_what_is_about_other_rows(foolbench, tmp_path, monkeypatch):
    """Gates, and clean rates of networks that the row is not of."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.toml").write_text(
        """
        name = "two"
        dataset = "digits"
        samples = 8
        models = ["digits:convnet", "digits:linear"]
        expect_clean = { "digits:convnet" = 90 }
        threat = { eps = "40/255" }
        attacks = [{ name = "uniform-noise" }, { name = "fgsm" }]
        """
    )
    (tmp_path / "two.gates.toml").write_text('[[gates]]\nmodel = "digits:convnet"\nattack = "fgsm"\ngfr_max = 100\n')
    assert foolbench("run", "two.toml", "--out", "all")[0] == 0
    board = make_board([read_run(tmp_path / "all")])
    for row in (row for row in board.rows if row["attack"] == "uniform-noise"):
        code, _, error = foolbench(*shlex.split(commands(row)["This row alone"])[1:])
        assert code == 0, error
        (alone,) = make_board([read_run(tmp_path / "runs" / f"row-{row.place}")]).rows
        assert (alone["model"], alone["cell"]) == (row["model"], row["cell"])


@pytest.mark.parametrize("program", ["/usr/bin/foolbench", "/usr/lib/python3/foolbench/__main__.py"])
def test_the_command_of_a_run_is_what_can_be_typed_anywhere(program):
    run = Run(path=Path("out"), table=pd.DataFrame(), command=[program, "run", "quickstart", "--set", "eps=a b"])
    assert told(run) == "foolbench run quickstart --set 'eps=a b'"


def test_latex_has_the_tables_of_the_papers_and_escapes_names(hostile_board):
    text = latex(hostile_board.frame().replace("linear", r"50%_&\x{}#$~^"))
    assert text.count(r"\begin{table}") == text.count(r"\bottomrule") >= 2
    assert r"50\%\_\&\textbackslash{}x\{\}\#\$\textasciitilde{}\textasciicircum{}" in text
    for line in text.splitlines():
        if line.endswith(r"\\"):
            assert re.search(r"(?<!\\)[%#]", line) is None
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len({len(re.findall(r"(?<!\\)&", line)) for line in lines[: lines.index(lines[1]) + 1]}) == 1


def test_curves_are_a_table_and_charts_where_an_attack_looked_for_the_smallest_change(foolbench, execute, tmp_path):
    execute("run", "attacks=[{name='deepfool', norm='linf', eps=0.3}, {name='fgsm'}]", "defenses=[{name='bit-depth'}]")
    code, out, _ = foolbench("report", tmp_path / "run", "--format", "csv,svg,html")
    assert code == 0
    assert "curves.csv" in out
    curves = pd.read_csv(tmp_path / "run" / "curves.csv")
    table = pd.read_csv(tmp_path / "run" / "leaderboard.csv").set_index("cell")
    own = curves[curves.attack == "deepfool"]
    assert len(own) == 101
    assert set(curves.attack) == {"deepfool", "worst case"}
    assert (own.eps.iloc[0], own.eps.iloc[-1]) == (0, 0.3)
    assert own.gfr.is_monotonic_increasing
    assert own.gfr.iloc[-1] == table.gfr[own.cell.iloc[-1]]
    assert own.gfr.mean() == pytest.approx(table.gfr_area[own.cell.iloc[-1]], abs=1)
    assert ((curves.gfr_low <= curves.gfr) & (curves.gfr <= curves.gfr_high)).all()
    assert (tmp_path / "run" / "figures" / "budgets-digits-convnet-linf.svg").exists()
    page = (tmp_path / "run" / "index.html").read_text()
    assert "Fooled under every budget" in page
    assert f"100.0% at {own.eps.iloc[-1]:.4g}" in page


def test_black_box_attacks_have_curves_over_their_queries_beside(foolbench, execute, tmp_path):
    attacks = "attacks=[{name='deepfool', norm='linf', eps=0.3}, {name='rays', queries=40}]"
    execute("run", attacks, "defenses=[]")
    code, _, _ = foolbench("report", tmp_path / "run", "--format", "csv,svg,html")
    assert code == 0
    curves = pd.read_csv(tmp_path / "run" / "curves.csv")
    table = pd.read_csv(tmp_path / "run" / "leaderboard.csv").set_index("cell")
    own = curves[curves.queries.notna()]
    assert set(own.attack) == {"rays"}
    assert own.queries.tolist() == list(range(41))
    assert own.eps.nunique() == 1
    assert own.gfr.iloc[-1] == table.gfr[own.cell.iloc[-1]]
    assert own.gfr.mean() == pytest.approx(table.gfr_area_queries[own.cell.iloc[-1]], abs=3)
    assert (tmp_path / "run" / "figures" / "queries-digits-convnet-linf-40-255.svg").exists()
    page = (tmp_path / "run" / "index.html").read_text()
    assert "Fooled after so many queries" in page
    assert f"{own.gfr.iloc[-1]:.1f}% at 40" in page


def test_layers_are_a_table_and_charts_where_a_recipe_names_some(foolbench, execute, tmp_path):
    attacks = ", ".join(f"{{name='pgd', steps={steps}}}" for steps in (1, 2, 3))
    execute("run", f"attacks=[{attacks}]", "defenses=[{name='bit-depth'}]", "layers=['features']")
    code, out, _ = foolbench("report", tmp_path / "run", "--format", "csv,html")
    assert code == 0
    assert "layers.csv" in out
    layers = pd.read_csv(tmp_path / "run" / "layers.csv")
    table = pd.read_csv(tmp_path / "run" / "leaderboard.csv").set_index("cell")
    assert layers.cell.nunique() == len(table) == 6
    for cell, same in layers.groupby("cell"):
        assert same.gfr.unique() == table.gfr[cell]
        assert same.relative.iloc[-1] == pytest.approx(100 * table["layer_shift"][cell], abs=0.01)
        assert same.alone.isna().all() == (table.defense[cell] != "none")
    assert ((layers.relative_low <= layers.relative) & (layers.relative <= layers.relative_high)).all()
    last = layers[layers.defense == "none"].groupby("cell").last()
    correlation = np.corrcoef(last.alone, last.moved)[0, 1]
    page = (tmp_path / "run" / "index.html").read_text()
    assert "How far layers move" in page
    assert f"correlation {correlation:.3f} over 3 attacks" in page


def test_without_such_an_attack_there_are_none(foolbench, execute, tmp_path):
    execute("run", "attacks=[{name='fgsm'}]", "defenses=[]")
    foolbench("report", tmp_path / "run")
    assert not (tmp_path / "run" / "curves.csv").exists()
    assert "Fooled under every budget" not in (tmp_path / "run" / "index.html").read_text()

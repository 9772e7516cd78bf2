"""What the documents tell a reader to type does what they say, and what they link to is there."""

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
import typer
from foolbench.evaluation.cli.main import app
from foolbench.evaluation.opening.recipes import load_recipe, shipped_recipes
from PIL import Image

ROOT = Path(__file__).parents[3]


def python_of(document):
    """The programs in a document: its blocks of Python at the margin, those further in being excerpts."""
    return re.findall(r"^```python\n(.*?)^```", (ROOT / document).read_text(), flags=re.DOTALL | re.MULTILINE)


def test_the_defense_of_contributing_keeps_its_promises_and_gets_its_rows(foolbench, recipe_file, tmp_path):
    file = tmp_path / "my_blur.py"
    file.write_text(python_of("CONTRIBUTING.md")[0])
    code, out, err = foolbench("check", f"{file}:MyBlur", "--set", "size=5")
    assert (code, err) == (0, ""), out
    both = ("--set", "defenses=[{name = 'my-blur', size = 5}]", "--set", 'knowledge=["oblivious", "adaptive"]')
    pgd = ("--set", "attacks=[{name = 'pgd', steps = 3}]", "--out", tmp_path / "out", "--device", "cpu")
    code, out, err = foolbench("run", recipe_file, "--plugin", file, *both, *pgd)
    assert (code, err) == (0, "")
    assert list(pd.read_csv(tmp_path / "out" / "leaderboard.csv").defense) == ["none", "my-blur", "my-blur"]


def test_the_network_defense_of_contributing_keeps_its_promises_and_gets_its_rows(foolbench, recipe_file, tmp_path):
    file = tmp_path / "my_cap.py"
    file.write_text(python_of("CONTRIBUTING.md")[1])
    code, out, err = foolbench("check", f"{file}:MyCap", "--set", "most=0.5")
    assert (code, err) == (0, ""), out
    steps = "[{name = 'my-cap', most = 0.5}, {name = 'bit-depth'}]"
    both = ("--set", f"defenses=[{{name = 'my-cap', most = 0.5}}, {{name = 'compose', steps = {steps}}}]")
    knowing = ("--set", 'knowledge=["oblivious", "adaptive"]', "--set", "attacks=[{name = 'pgd', steps = 3}]")
    code, out, err = foolbench(
        "run", recipe_file, "--plugin", file, *both, *knowing, "--out", tmp_path / "out", "--device", "cpu"
    )
    assert (code, err) == (0, "")
    rows = pd.read_csv(tmp_path / "out" / "leaderboard.csv")
    assert sorted(rows.defense) == ["compose", "compose", "my-cap", "my-cap", "none"]
    assert (rows.status == "ok").all()


def test_the_attack_of_contributing_keeps_its_promises_and_fools_more_than_one_step(foolbench, recipe_file, tmp_path):
    file = tmp_path / "my_momentum.py"
    file.write_text(python_of("CONTRIBUTING.md")[2])
    code, out, err = foolbench("check", f"{file}:MyMomentum", "--set", "steps=5")
    assert (code, err) == (0, ""), out
    attacks = (
        "--set",
        "attacks=[{name = 'my-momentum'}, {name = 'fgsm'}]",
        "--out",
        tmp_path / "out",
        "--device",
        "cpu",
    )
    code, out, err = foolbench("run", recipe_file, "--plugin", file, *attacks)
    assert (code, err) == (0, "")
    bare = pd.read_csv(tmp_path / "out" / "leaderboard.csv").query("defense == 'none'").set_index("attack")
    assert bare.gfr["my-momentum"] > bare.gfr["fgsm"]


def test_the_programs_of_the_documents_run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the last of them leaves its run
    for block in python_of("docs/python.md"):
        exec(compile(block, "docs/python.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[:4]] == ["attack", "defense", "jpeg", "none"]
    rates = [float(line.removeprefix("tensor(").rstrip(")")) for line in printed[4:7]]
    assert len(rates) == 3
    assert all(0 <= rate <= 1 for rate in rates)
    assert rates[2] > 0.3
    sizes = [line.split() for line in printed[-3:]]
    assert [words[0] for words in sizes] == ["small", "medium", "large"]
    assert all(float(attacked) < float(clean) <= 100 for _, clean, attacked in sizes)


def commands_of(page):
    """What a reader is told to type after `foolbench`, as words; a line may go on after a backslash."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("foolbench ")]


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, id=f"{page.stem} {' '.join(command)}")
        for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("leaderboards/**/*.md")])
        for command in commands_of(page)
    ],
)
def test_the_command_line_knows_what_is_typed(command, tmp_path, monkeypatch):
    """Its names, options and settings, in a folder where `photos` are."""
    (tmp_path / "photos" / "tabby").mkdir(parents=True)
    for number in range(300 if "photos" in str(command) else 0):
        Image.new("RGB", (8, 8), (number % 256, number // 256, 0)).save(tmp_path / "photos" / "tabby" / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    group = typer.main.get_command(app)
    name, *arguments = command
    with group.make_context("foolbench", command) as whole:
        typed = group.get_command(whole, name).make_context(name, arguments, parent=whole)
    assert not typed.args
    if name == "run" and typed.params["recipe"] in shipped_recipes() and not typed.params["plugin"]:
        load_recipe(typed.params["recipe"], typed.params["overrides"])


PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("leaderboards/**/*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_to_files_lead_somewhere(page):
    targets = re.findall(r"\]\((?!https?:)([^)#:]+)[^)]*\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_look_for_links_finds_them():
    assert {"README.md", "docs/numbers.md", "leaderboards/recipes/README.md"} <= {
        page.relative_to(ROOT).as_posix() for page in PAGES
    }
    assert "](docs/numbers.md)" in (ROOT / "README.md").read_text()

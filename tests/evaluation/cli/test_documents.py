"""What README and CONTRIBUTING tell a reader to type does what they say."""

import re
from pathlib import Path

import pandas as pd

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


def test_the_attack_of_contributing_keeps_its_promises_and_fools_more_than_one_step(foolbench, recipe_file, tmp_path):
    file = tmp_path / "my_momentum.py"
    file.write_text(python_of("CONTRIBUTING.md")[1])
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


def test_the_python_of_the_readme_runs(capsys):
    for block in python_of("README.md"):
        exec(compile(block, "README.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[:4]] == ["attack", "defense", "jpeg", "none"]
    rates = [float(line.removeprefix("tensor(").rstrip(")")) for line in printed[4:]]
    assert len(rates) == 3
    assert all(0 <= rate <= 1 for rate in rates)
    assert rates[2] > 0.3

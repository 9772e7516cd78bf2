"""What README and CONTRIBUTING tell a reader to type does what they say."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def python_of(document):
    """The one block of Python in a document."""
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), flags=re.DOTALL)
    return block


def test_the_defense_of_contributing_keeps_its_promises_and_gets_its_rows(foolbench, recipe_file, tmp_path):
    file = tmp_path / "my_blur.py"
    file.write_text(python_of("CONTRIBUTING.md"))
    code, out, err = foolbench("check", f"{file}:MyBlur", "--set", "size=5")
    assert (code, err) == (0, ""), out
    both = ("--set", "defenses=[{name = 'my-blur', size = 5}]", "--set", 'knowledge=["oblivious", "adaptive"]')
    pgd = ("--set", "attacks=[{name = 'pgd', steps = 3}]", "--out", tmp_path / "out", "--device", "cpu")
    code, out, err = foolbench("run", recipe_file, "--plugin", file, *both, *pgd)
    assert (code, err) == (0, "")
    assert (tmp_path / "out" / "leaderboard.csv").read_text().count("my-blur") == 2


def test_the_python_of_the_readme_runs(capsys):
    exec(compile(python_of("README.md"), "README.md", "exec"), {})
    oblivious, adaptive = (float(line.removeprefix("tensor(").rstrip(")")) for line in capsys.readouterr().out.split())
    assert 0 <= oblivious <= 1
    assert 0 <= adaptive <= 1

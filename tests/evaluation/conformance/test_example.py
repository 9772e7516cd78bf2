"""The example package, installed as a user would, is known to foolbench and keeps its promises."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "box-blur"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Runs a command where the package is installed."""
    site = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "box_blur.py"):  # a copy: building leaves folders behind
        (source / name).write_text((EXAMPLE / name).read_text())
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(site), str(source)], check=True, capture_output=True)

    def run(*command: str, folder: Path) -> str:
        environment = os.environ | {"PYTHONPATH": str(site)}
        done = subprocess.run(
            [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


FOOLBENCH = ("-c", "from foolbench.evaluation.cli.main import main; main()")


def test_it_gets_its_rows(installed, tmp_path, recipe_file):
    settings = ["defenses=[{name='box-blur'}]", "attacks=[{name='pgd', steps=3}]", "knowledge=['adaptive']"]
    overrides = [part for setting in settings for part in ("--set", setting)]
    installed(*FOOLBENCH, "run", str(recipe_file), "--out", str(tmp_path / "out"), *overrides, folder=tmp_path)
    assert "box-blur" in (tmp_path / "out" / "leaderboard.csv").read_text()


def test_its_own_tests_pass(installed, tmp_path):
    (tmp_path / "test_box_blur.py").write_text((EXAMPLE / "test_box_blur.py").read_text())
    out = installed("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_box_blur.py", folder=tmp_path)
    assert "passed" in out

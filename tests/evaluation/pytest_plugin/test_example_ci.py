"""The repository in examples/ci passes, and fails when its model becomes worse."""

from pathlib import Path

import pandas as pd
import pytest

pytest_plugins = "pytester"
EXAMPLE = Path(__file__).parents[3] / "examples" / "ci"


@pytest.fixture
def repository(pytester):
    for file in EXAMPLE.iterdir():
        if file.is_file():
            (pytester.path / file.name).write_text(file.read_text())
    return pytester.path


def test_it_passes(repository, pytester):
    pytester.runpytest_subprocess().assert_outcomes(passed=8)
    table = pd.read_csv(repository / "runs" / "robustness" / "leaderboard.csv")
    assert set(table.status) == {"ok"}
    assert set(table.model) == {"model.py:digits"}


@pytest.mark.slow
def test_a_worse_model_fails_as_its_readme_says(repository, pytester):
    assert "Change `EPOCHS` in `model.py` to 1" in (repository / "README.md").read_text()
    model = repository / "model.py"
    model.write_text(model.read_text().replace("EPOCHS = 40", "EPOCHS = 1"))
    result = pytester.runpytest_subprocess("robustness.toml", "-k", "none-uniform")
    result.assert_outcomes(failed=1, deselected=5)
    assert "clean_min = 75 failed" in result.stdout.str()

"""Runs small recipes in this process, each in a folder of its own, and forgets the names that a test registers."""

import sys
from contextlib import closing
from dataclasses import dataclass

import pandas as pd
import pytest
from foolbench.core import Attack, register_attack
from foolbench.evaluation.cli import main as cli
from foolbench.evaluation.engine.cache.cache import Cache
from foolbench.evaluation.engine.networks import training_data
from foolbench.evaluation.engine.networks.prepare import prepare
from foolbench.evaluation.engine.networks.setup import Setup
from foolbench.evaluation.engine.run import run
from foolbench.evaluation.engine.work.progress import Progress
from foolbench.evaluation.opening.recipes import load_recipe
from foolbench.evaluation.recipe.plugins import REGISTRIES
from foolbench.evaluation.report.execution import HERE
from foolbench.evaluation.report.results import Results
from rich.console import Console


@pytest.fixture(autouse=True)
def own_registries(monkeypatch):
    """Without the plugins of other tests, which workers would be sent, too."""
    for name in [name for name in sys.modules if name.startswith("foolbench_plugin_")]:
        monkeypatch.delitem(sys.modules, name)
    for registry in REGISTRIES.values():
        monkeypatch.setattr(registry, "_classes", dict(registry._classes))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FOOLBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def few_substitutes(monkeypatch):
    """Cropping the photographs is most of the time that a run on the digits takes."""
    monkeypatch.setattr(training_data, "SUBSTITUTES", 32)


@pytest.fixture
def broken_attack():
    """An attack called toy-broken, which raises at every call."""

    @register_attack("toy-broken")
    @dataclass(frozen=True, kw_only=True)
    class Broken(Attack):
        access = "none"

        def perturb(self, model, x, y, *, rng):
            raise RuntimeError("no luck today")


@pytest.fixture
def quick_text(recipe_text):
    """The same recipe without the pool of augmented noise, which takes seconds to make."""
    return recipe_text.replace('prior = "range"', 'prior = "none"')


@pytest.fixture
def recipe_file(tmp_path, quick_text):
    path = tmp_path / "tiny.toml"
    path.write_text(quick_text)
    return path


@pytest.fixture
def silent():
    with Progress(Console(quiet=True), 1, "test") as progress:
        yield progress


@pytest.fixture
def execute(tmp_path, quick_text, silent):
    """`execute(folder, *overrides, add=TOML)` runs the recipe, here or elsewhere, and returns its leaderboard.csv.

    What attacks craft it shares with other runs only where it is not to be `crafted_anew`.
    """

    def execute(folder, *overrides, add="", text=quick_text, machines=HERE, crafted_anew=True):
        path = tmp_path / "recipe.toml"
        path.write_text(text + add)
        recipe = load_recipe(str(path), list(overrides))
        with Results(tmp_path / folder) as results:
            prepared = prepare(recipe, results.ledger)
            scored = results.run(recipe, prepared.facts)
            results.write_manifest(scored, "cpu")
            kept = {"cache": Cache.default(), "crafted_anew": crafted_anew}
            setup = Setup.of(prepared, results.ledger, results.folder, "cpu", **kept)
            with closing(machines.executor_for(prepared, setup, silent)) as executor:
                run(prepared, results.ledger, results.folder, executor=executor, progress=silent)
            results.write_leaderboard(scored)
        text = {"flagged": str, "error": str}  # also where no row has any
        path = tmp_path / folder / "leaderboard.csv"
        return pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[""])

    return execute


@pytest.fixture
def assert_same():
    """Two leaderboards agree in everything but what they are called and the time it took."""

    def check(left, right, loose=()):
        exact = left.columns.difference(["recipe", "run", "seconds", *loose], sort=False)
        pd.testing.assert_frame_equal(left[exact], right[exact], check_exact=True)
        for column in loose:
            assert left[column].to_numpy() == pytest.approx(right[column].to_numpy(), abs=2e-6)

    return check


@pytest.fixture
def foolbench(monkeypatch, capsys):
    """`foolbench(*arguments)` is the command line: exit code, standard output, standard error."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["foolbench", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call

"""Another process has the names, the code and the networks of the run, or says what is not so."""

import pickle
import sys
from dataclasses import replace

import pytest
from foolbench.core import ConfigError, attacks, defenses
from foolbench.evaluation.engine.networks.prepare import prepare
from foolbench.evaluation.engine.networks.setup import Loader, Setup
from foolbench.evaluation.grid.grid import Grid
from foolbench.evaluation.opening.recipes import load_recipe
from foolbench.evaluation.report.results import Results


@pytest.fixture
def setup(tmp_path, recipe_file, deadly_plugin):
    """As it arrives elsewhere."""
    recipe = load_recipe(str(recipe_file), ["attacks=[{name='slow'}]"])
    with Results(tmp_path / "out") as results:
        found = Setup.of(prepare(recipe, results.ledger), results.ledger, results.folder, "cpu")
    return pickle.loads(pickle.dumps(found))


def test_the_network_is_that_of_the_run(setup):
    model, images = Loader(setup)("digits:convnet")
    known = setup.identities["digits:convnet"]
    assert (model.sha, images.fingerprint) == (known["model_sha"], known["data"])


@pytest.mark.parametrize(("fact", "value"), [("model_sha", "another"), ("data", "others"), ("model_code", "edited")])
def test_another_network_or_other_data_are_refused(setup, fact, value):
    identities = {"digits:convnet": setup.identities["digits:convnet"] | {fact: value}}
    with pytest.raises(ConfigError, match=rf"not what it is where the run was begun \({fact}\)"):
        Loader(replace(setup, identities=identities))("digits:convnet")


@pytest.mark.parametrize("now", [None, "raise ImportError"])
def test_a_plugin_that_is_not_there_or_edited_is_loaded_as_it_was(setup, deadly_plugin, tmp_path, monkeypatch, now):
    (key,) = Grid(setup.recipe, setup.identities).jobs
    deadly_plugin.unlink() if now is None else deadly_plugin.write_text(now)
    for name in [name for name in sys.modules if name.startswith("foolbench_plugin_deadly")]:
        del sys.modules[name]
    for registry in (attacks, defenses):
        own = {name: cls for name, cls in registry._classes.items() if not cls.__module__.startswith("foolbench_p")}
        monkeypatch.setattr(registry, "_classes", own)
    (plugin,) = setup.plugins
    plugin.load(tmp_path / "scratch")
    assert "scratch" in sys.modules[attacks["slow"].__module__].__file__
    assert set(Grid(setup.recipe, setup.identities).jobs) == {key}


def test_what_the_recipe_does_not_have_is_one_sentence(setup):
    with pytest.raises(ConfigError, match="every machine needs the same code"):
        Grid(setup.recipe, setup.identities).jobs["0123456789abcdef"]

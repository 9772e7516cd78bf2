"""A cell's key names its content: it is stable, and differs where a number could differ."""

import importlib.util
import sys
from types import SimpleNamespace

import pytest
from foolbench.attacks import PGD
from foolbench.core.python_objects import load_file
from foolbench.core.registry import NOTHING
from foolbench.evaluation.grid.cells import Cell
from foolbench.evaluation.grid.defenses import NamedDefense, systems
from foolbench.evaluation.grid.grid import Grid, spanned
from foolbench.evaluation.grid.identity import identity
from foolbench.evaluation.grid.parameters import parameters
from foolbench.evaluation.opening.recipes import load_recipe
from foolbench.tasks import Recognition
from torch import nn


@pytest.fixture
def keys(recipe_file):
    """Keys of all cells of the recipe, with overrides and facts."""

    def keys(*overrides, fingerprint="data", sha="weights", features=("conv1",)):
        recipe = load_recipe(str(recipe_file), list(overrides))
        model = SimpleNamespace(sha=sha, feature_names=features, task=Recognition(classes=10), net=nn.Identity())
        facts = identity(recipe, fingerprint, model)
        (model,) = recipe.model_labels
        return list(Grid(recipe, {model: facts}).cells)

    return keys


def test_a_cell_is_of_the_network_that_is_attacked_and_of_the_one_that_is_scored(recipe_file):
    chosen = ["models=['scenes:vgg16']", "source_models=['scenes:resnet']", "attacks=[{name='pgd'}]", "defenses=[]"]
    recipe = load_recipe(str(recipe_file), chosen)
    ((job, (cell,)),) = spanned(recipe)
    assert (job.source, cell.model) == ("scenes:resnet", "scenes:vgg16")
    net = nn.Identity()

    def facts(behaviour, name):
        return identity(
            recipe,
            "data",
            SimpleNamespace(sha=name, feature_names=(), task=Recognition(classes=10), net=net),
            behaviour,
        )

    identities = {"scenes:resnet": facts("one", "resnet"), "scenes:vgg16": facts("one", "vgg16")}
    source = identities | {"scenes:resnet": facts("two", "resnet")}
    scored = identities | {"scenes:vgg16": facts("two", "vgg16")}
    assert len({cell.key(found) for found in (identities, source, scored)}) == 3
    assert job.key(identities) == job.key(scored) != job.key(source)  # crafted once, whatever is scored
    assert (cell.transfers, cell.direct) == (True, False)


def test_every_cell_has_a_key_of_its_own(keys):
    assert len(keys()) == 9  # three attacks x (no defense and two)
    assert len(set(keys())) == 9


@pytest.mark.parametrize("override", ["samples=8", "batch_size=3", "name=other", "description=new", "version=7"])
def test_what_decides_no_number_leaves_the_keys(keys, override):
    assert keys(override) == keys()


@pytest.mark.parametrize(
    "change",
    [
        {"overrides": ["seed=1"]},
        {"overrides": ["draws=3"]},
        {"overrides": ["storage=uint8"]},
        {"overrides": ["threat.eps=41/255"]},
        {"overrides": ["models=['scenes:caffenet']"]},
        {"fingerprint": "other data"},
        {"sha": "other weights"},
        {"features": ("conv2",)},
    ],
    ids=str,
)
def test_what_decides_every_number_changes_every_key(keys, change):
    changed = keys(*change.pop("overrides", []), **change)
    assert not set(changed) & set(keys())


@pytest.mark.parametrize(
    ("attacks", "other"),
    [
        ("{name='pgd', steps=5}", "{name='pgd', steps=6}"),
        ("{name='pgd'}", "{name='pgd', step_size=0.01}"),
        ("{name='pgd'}", "{name='pgd', early_stop=true}"),
        ("{name='pgd'}", "{name='pgd', norm='l2', eps='40/255'}"),
        ("{name='uniform-noise'}", "{name='random-sign'}"),
        ("{name='gd-uap', prior='none'}", "{name='gd-uap', prior='range'}"),
    ],
)
def test_attacks_that_differ_have_other_keys(keys, attacks, other):
    assert not set(keys(f"attacks=[{attacks}]")) & set(keys(f"attacks=[{other}]"))


def test_defenses_that_differ_have_other_keys(keys):
    chosen = ["{name='median'}", "{name='median', size=5}", "{name='bit-depth'}", "{name='bit-depth', bits=4}"]
    found = keys("attacks=[{name='fgsm'}]", f"defenses=[{', '.join(chosen)}]")
    assert len(set(found)) == 5


def test_order_and_spelling_of_the_recipe_do_not_matter(keys):
    spelt = "attacks=[{eps='40/255', steps=5, norm='linf', name='pgd', early_stop=false}]"
    assert keys(spelt) == keys("attacks=[{name='pgd', steps=5}]")
    both = keys("attacks=[{name='fgsm'}]")
    assert set(keys("attacks=[{name='fgsm'}]", "defenses=[{name='median'}, {name='bit-depth'}]")) == set(both)


def test_the_bare_model_comes_first(recipe_file):
    named = systems(load_recipe(str(recipe_file)))
    assert [system.name for system in named] == [NOTHING, "bit-depth", "median"]
    assert [system.defense is None for system in named] == [True, False, False]


def test_an_edited_plugin_is_another_defense(tmp_path, monkeypatch, recipe_file):
    source = (
        "from dataclasses import dataclass\nfrom foolbench.core import InputTransform\n"
        "@dataclass(frozen=True, kw_only=True)\nclass Plain(InputTransform):\n"
        "    differentiable = True\n    randomized = False\n    def transform(self, x, *, rng):\n        return {}\n"
    )
    plugin = tmp_path / "plain_plugin.py"
    keys = []
    for result in ("x", "x * 0"):
        plugin.write_text(source.format(result))
        spec = importlib.util.spec_from_file_location("plain_plugin", plugin)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "plain_plugin", module)
        spec.loader.exec_module(module)
        recipe = load_recipe(str(recipe_file))
        facts = identity(
            recipe,
            "data",
            SimpleNamespace(sha="weights", feature_names=(), task=Recognition(classes=10), net=nn.Identity()),
        )
        (model,) = recipe.model_labels
        job, _ = next(spanned(recipe))
        cell = Cell(job=job, model=model, defense=NamedDefense(name="plain", defense=module.Plain()))
        keys.append(cell.key({model: facts}))
    assert keys[0] != keys[1]


TASK = """
from dataclasses import dataclass
from foolbench.tasks import Recognition

@dataclass(frozen=True, kw_only=True)
class Coarse(Recognition):
    def predict(self, outputs):
        return outputs.argmax(dim=1) // {}
"""


def test_so_is_the_task_of_a_plugin_another_task(tmp_path, recipe_file):
    recipe, known = load_recipe(str(recipe_file)), []
    for divisor in (2, 5):
        (tmp_path / str(divisor)).mkdir()
        plugin = tmp_path / str(divisor) / "coarse.py"
        plugin.write_text(TASK.format(divisor))
        task = load_file(plugin).Coarse(classes=10)
        model = SimpleNamespace(sha="weights", feature_names=(), task=task, net=nn.Identity())
        known.append(identity(recipe, "data", model))
    (name,) = recipe.model_labels
    one, other = (Grid(recipe, {name: facts}).cells for facts in known)
    assert not set(one) & set(other)


def test_those_of_foolbench_are_known_by_its_version(recipe_file):
    model = SimpleNamespace(sha="weights", feature_names=(), task=Recognition(classes=10), net=nn.Identity())
    recipe = load_recipe(str(recipe_file))
    assert set(identity(recipe, "data", model)) == set(identity(recipe, "data", None))


def test_a_field_that_came_later_changes_no_name_where_it_is_not_used():
    assert "aim" not in parameters(PGD(eps=0.1))
    assert parameters(PGD(eps=0.1, aim="nearer"))["aim"] == "nearer"

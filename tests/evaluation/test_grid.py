"""A cell's key names its content: it is stable, and differs where a number could differ."""

import pytest
from foolbench.evaluation.grid import NO_DEFENSE, cells, context, systems
from foolbench.evaluation.recipe import load_recipe


@pytest.fixture
def keys(recipe_file):
    """Keys of all cells of the recipe, with overrides and facts."""

    def keys(*overrides, fingerprint="data", sha="weights"):
        recipe = load_recipe(str(recipe_file), list(overrides))
        identity = context(recipe, fingerprint, sha)
        return [cell.key(identity) for _, row in cells(recipe, recipe.models[0]) for cell in row]

    return keys


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
        ("{name='pgd'}", "{name='pgd', norm='l2'}"),
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
    assert named[0] == (NO_DEFENSE, None)
    assert [name for name, _ in named] == ["none", "bit-depth", "median"]

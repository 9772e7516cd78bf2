"""Whatever is wrong with a recipe is said in one sentence, before any work."""

import re

import pytest
from foolbench.core import ConfigError, UnknownNameError
from foolbench.evaluation.opening.overrides import parse_overrides
from foolbench.evaluation.opening.recipes import load_recipe, shipped_recipes
from foolbench.evaluation.recipe.recipe import Recipe
from foolbench.models.scenes.dense import ENTRIES
from foolbench.models.zoo import register


def complaint(source, *overrides, error=ConfigError):
    with pytest.raises(error) as caught:
        load_recipe(str(source), list(overrides))
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith((".", "?"))
    return sentence


def test_a_good_recipe_has_every_value(recipe_file):
    recipe = load_recipe(str(recipe_file))
    assert (recipe.name, recipe.dataset.name, recipe.samples) == ("tiny", "digits", 24)
    assert (recipe.version, recipe.draws) == (1, 10)
    noise, pgd, universal = recipe.build_attacks()
    assert noise.eps == pgd.eps == universal.eps == 40 / 255
    assert (pgd.steps, universal.prior, noise.norm) == (5, "none", "linf")
    assert [type(defense).__name__ for defense in recipe.build_defenses()] == ["BitDepth", "MedianSmoothing"]


def test_an_attack_can_state_its_own_threat(recipe_file):
    recipe_file.write_text(recipe_file.read_text().replace("steps = 5", 'steps = 5\neps = "1/255"\nnorm = "l2"'))
    noise, pgd, _ = load_recipe(str(recipe_file)).build_attacks()
    assert (pgd.eps, pgd.norm, noise.norm) == (1 / 255, "l2", "linf")


def test_what_was_changed_is_in_the_label_and_not_in_the_content(recipe_file):
    changed = load_recipe(str(recipe_file), ["samples=8", "threat.eps=1/255"])
    recipe_file.write_text(recipe_file.read_text().replace("samples = 24", "samples = 8").replace("40/255", "1/255"))
    written = load_recipe(str(recipe_file))
    assert (changed.label, written.label) == ("tiny-v1 (samples=8, threat.eps=1/255)", "tiny-v1")
    assert changed.content == written.content


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_load(name):
    register(tuple(entry for entry in ENTRIES if not entry.weights.is_file()))  # those that are yet to be trained
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.description


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("samples = 24", "sample = 24", ["'sample'", "did you mean 'samples'"]),
        ("batch_size = 16", "batchsize = 16", ["'batchsize'", "did you mean 'batch_size'"]),
        ('eps = "40/255"', 'eps = "40/255"\nnrom = "l2"', ["'nrom'", "'norm'"]),
        ('name = "pgd"', 'name = "pdg"', ["attack 'pdg'", "'pgd'"]),
        ("steps = 5", "stepps = 5", ["attack pgd", "'stepps'", "'steps'"]),
        ('name = "median"', 'name = "medain"', ["defense 'medain'", "'median'"]),
        ('name = "median"', 'name = "median"\nsise = 3', ["defense median", "'sise'", "'size'"]),
        ('"digits:convnet"', '"digits:confnet"', ["model 'digits:confnet'", "'digits:convnet'"]),
        ('dataset = "digits"', 'dataset = "digit"', ["dataset 'digit'", "'digits'"]),
        ('name = "pgd"', 'name = "zzz"', ["attack 'zzz'", "choose from", "fgsm", "gd-uap", "pgd"]),
    ],
)
def test_a_misspelt_name_is_named_and_corrected(recipe_file, right, wrong, says):
    text = recipe_file.read_text()
    assert text.count(right) == 1
    recipe_file.write_text(text.replace(right, wrong))
    sentence = complaint(recipe_file, error=UnknownNameError)
    assert all(part in sentence for part in says), sentence


def test_a_misspelt_recipe_is_named_and_corrected():
    sentence = complaint("quikstart", error=UnknownNameError)
    assert "recipe 'quikstart'" in sentence
    assert "did you mean 'quickstart'?" in sentence


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("samples=many", ["samples", "'many'"]),
        ("samples=0", ["samples", "0"]),
        ("samples=true", ["samples", "True"]),
        ("samples=513", ["512", "513"]),
        ("batch_size=-1", ["batch_size", "-1"]),
        ("draws=0", ["draws", "0"]),
        ("draws=1.5", ["draws", "1.5"]),
        ("storage=uint16", ["storage", "'uint16'", "uint8"]),
        ("models=digits:convnet", ["models", "list"]),
        ("models=[]", ["models", "at least 1"]),
        ("attacks=[]", ["attacks", "at least 1"]),
        ('attacks=["pgd"]', ["attacks.0", "'pgd'"]),
        ("attacks=[{steps = 3}]", ["attacks.0.name"]),
        ("defenses=[{name = 'median', size = 'big'}]", ["defense median.size", "'big'"]),
        ("defenses=[{name = 'median', size = 1}]", ["defense median", "at least 2", "1"]),
        ("attacks=[{name = 'pgd', steps = 'few'}]", ["attack pgd.steps", "'few'"]),
        ("threat=5", ["threat", "5"]),
        ("threat.eps=0", ["eps > 0", "0"]),
        ("threat.eps=-1/255", ["eps > 0", "-1/255"]),
        ("threat.eps=nan", ["eps"]),
        ("threat.eps=inf", ["eps"]),
        ("threat.eps=8/0", ["eps", "8/0"]),
        ("threat.eps='1e99999999'", ["eps to be a number", "1e99999999"]),
        ("threat.eps=1e30", ["eps in 1e-09..1000000000.0 or infinite", "1e+30"]),
        ("threat.eps=1e-30", ["eps in 1e-09", "1e-30"]),
        (f"seed=1{'0' * 5000}", ["seed"]),
        ("name='a\\u0000b'", ["name"]),
        ("attacks=[{name = 'pgd', norm = 'l7'}]", ["norm", "l7"]),
        ("attacks=[{name = 'fab', eta = inf}]", ["a finite eta"]),
        ("attacks=[{name = 'fgsm', group = 'fgsm '}]", ["group"]),
        ("attacks=[{name = 'fgsm', group = 'pgd'}]", ["The group 'pgd' has the name of an attack"]),
        ("attacks=[{name='fgsm', eps=0.1}, {name='fgsm', eps=0.1000001}]", ["lists fgsm twice"]),
        ("threat.norm=l7", ["threat.norm", "'l7'"]),
        ("attacks=[{name = 'gd-uap', norm = 'l2', eps = 1.0}]", ["linf", "l2"]),
        ("attacks=[{name = 'jsma', norm = 'l0'}]", ["an eps for jsma in l0", "0.156863", "linf"]),
        ("attacks=[{name = 'gd-uap', prior = 'dta'}]", ["prior", "'dta'"]),
    ],
)
def test_a_wrong_value_is_named(recipe_file, override, says):
    sentence = complaint(recipe_file, override)
    assert all(part in sentence for part in says), sentence


@pytest.mark.parametrize("key", ["name", "dataset", "samples", "models"])
def test_a_missing_key_is_named(recipe_file, key):
    recipe_file.write_text(re.sub(rf"^{key} = .*\n", "", recipe_file.read_text(), count=1, flags=re.MULTILINE))
    assert f"lacks the key '{key}'" in complaint(recipe_file)


@pytest.mark.parametrize("content", [b"name = ", b"[[attacks]\nname=1", b"\xff\xfe\x00", b"a = 1\na = 2"])
def test_broken_toml_is_refused_with_its_path(tmp_path, content):
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    assert str(path) in complaint(path)


def test_a_missing_file_and_a_folder_are_refused_with_their_path(tmp_path):
    assert "nowhere.toml" in complaint(tmp_path / "nowhere.toml")
    (tmp_path / "folder.toml").mkdir()
    assert "folder.toml" in complaint(tmp_path / "folder.toml")


def test_a_path_of_something_else_is_told_from_a_misspelt_name(tmp_path):
    (tmp_path / "cat.jpg").write_bytes(b"\xff\xd8")
    for path in (tmp_path / "cat.jpg", tmp_path, tmp_path / "missing"):
        assert "Expected a TOML file, or a name that `foolbench list recipes` shows" in complaint(path)


@pytest.mark.parametrize(
    ("override", "read", "value"),
    [
        ("samples=8", lambda r: r.samples, 8),
        (" samples = 8", lambda r: r.samples, 8),
        ("threat.eps=8/255", lambda r: r.threat.eps, 8 / 255),
        ("threat.eps=0.25", lambda r: r.threat.eps, 0.25),
        ("storage=uint8", lambda r: r.storage, "uint8"),
        ('storage="uint8"', lambda r: r.storage, "uint8"),
        ("name=my run", lambda r: r.name, "my run"),
        ('name="a=b"', lambda r: r.name, "a=b"),
        ("defenses=[]", lambda r: r.defenses, []),
        ("defenses=[{name = 'jpeg', quality = 50}]", lambda r: r.build_defenses()[0].quality, 50),
        ("attacks.pgd.steps=7", lambda r: r.build_attacks()[1].steps, 7),
        ("defenses.bit-depth.bits=2", lambda r: r.build_defenses()[0].bits, 2),
    ],
)
def test_overrides_are_typed(recipe_file, override, read, value):
    assert read(load_recipe(str(recipe_file), [override])) == value


def test_the_last_override_wins(recipe_file):
    assert load_recipe(str(recipe_file), ["samples=8", "samples=9"]).samples == 9


def test_an_override_is_for_all_entries_of_a_name(recipe_file):
    changed = ["attacks=[{name='pgd'}, {name='fgsm'}, {name='pgd', restarts=2}]", "attacks.pgd.steps=7"]
    first, fgsm, second = load_recipe(str(recipe_file), changed).build_attacks()
    assert (first.steps, second.steps, second.restarts) == (7, 7, 2)
    assert not hasattr(fgsm, "steps")


def test_a_name_with_dots_is_found_in_a_list():
    document = parse_overrides(["models.net.py:made.width=3"], {"models": ["net.py:made", "net"]})
    assert document == {"models": [{"name": "net.py:made", "width": 3}, {"name": "net"}]}


def test_an_override_reaches_the_steps_of_a_composition(recipe_file):
    steps = "defenses=[{name='compose', steps=[{name='bit-depth'}, {name='jpeg'}]}]"
    (composed,) = load_recipe(str(recipe_file), [steps, "defenses.compose.steps.jpeg.quality=20"]).build_defenses()
    assert composed.steps[1].quality == 20


@pytest.mark.parametrize("override", ["attacks.pdg.steps=7", "attacks.steps=7", "attacks.pgd=7", "attacks..steps=7"])
def test_a_name_that_no_entry_has_is_named(recipe_file, override):
    sentence = complaint(recipe_file, override)
    assert "attacks.NAME.KEY" in sentence
    assert "pgd" in sentence


@pytest.mark.parametrize(
    "override", ["samples", "", "=3", "sampels=3", "attacks.name=pgd", "samples.x=3", "a.b=1", "samples=3\nseed=1"]
)
def test_malformed_overrides_are_refused(recipe_file, override):
    complaint(recipe_file, override)


def test_a_recipe_survives_its_own_manifest(recipe_file):
    recipe = load_recipe(str(recipe_file))
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe


def test_gates_that_are_no_tables_beside_a_file_of_gates_are_one_sentence(tmp_path, recipe_text):
    (tmp_path / "tiny.toml").write_text("gates = 5\n" + recipe_text)
    (tmp_path / "tiny.gates.toml").write_text("[[gates]]\ngfr_max = 50\n")
    with pytest.raises(ConfigError, match=r"Expected \[\[gates\]\] as tables in .*tiny\.toml, got gates = 5"):
        load_recipe(str(tmp_path / "tiny.toml"))

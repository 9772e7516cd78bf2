"""Training images that are others are seen by what learns from them, and by nothing else."""

from types import SimpleNamespace

import numpy as np
import pytest
from foolbench.core import datasets
from foolbench.core.python_objects import load_file
from foolbench.datasets.digits import Digits
from foolbench.evaluation.engine.crafting.resizing import Resized
from foolbench.evaluation.engine.networks.training_facts import training_facts
from foolbench.evaluation.grid.grid import Grid
from foolbench.evaluation.grid.identity import identity
from foolbench.evaluation.opening.consistency import check_methods
from foolbench.evaluation.opening.recipes import read_document
from foolbench.tasks import Recognition
from PIL import Image
from torch import nn

PLAIN = {"attacks": [{"name": "pgd", "steps": 1}], "defenses": [{"name": "median"}]}
ALL = {
    "attacks": [*PLAIN["attacks"], {"name": "uap", "prior": "data"}, {"name": "gd-uap", "prior": "range"}],
    "defenses": [
        *PLAIN["defenses"],
        {"name": "pca"},
        {"name": "compose", "steps": [{"name": "pca"}, {"name": "jpeg"}]},
    ],
    "knowledge": ["oblivious", "adaptive"],
}


@pytest.fixture
def folders(tmp_path):
    """Of pictures: `eval`, and `a` and `b` to train on, whose pictures differ."""
    for seed, name in enumerate(["eval", "a", "b"]):
        (tmp_path / name).mkdir()
        for k in range(4):
            pixels = np.random.default_rng(10 * seed + k).integers(0, 256, (8, 8), np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{k}.png")
    return tmp_path


def recipe_of(**parts):
    document = {"name": "tiny", "dataset": "digits", "samples": 4, "models": ["digits:convnet"], "threat": {"eps": 0.1}}
    return read_document(document | parts, "tiny", check_methods)


def keys_of(dataset, **parts):
    """Of each cell, by (attack, what the attack knows, defense)."""
    recipe = recipe_of(**parts)
    model = SimpleNamespace(sha="weights", feature_names=(), net=nn.Identity(), task=Recognition(classes=10))
    known = identity(recipe, dataset.fingerprint, model, training=training_facts(recipe, dataset))
    cells = Grid(recipe, {"digits:convnet": known}).cells
    return {(cell.job.attack_name, cell.knowledge, cell.defense.name): key for key, cell in cells.items()}


def pictures(folders, train):
    return datasets.bind(f"image-folder:{folders / 'eval'}", {"train": f"image-folder:{folders / train}"})()


def test_other_training_images_make_other_cells_of_what_learns(folders):
    one, other = (keys_of(pictures(folders, train), **ALL) for train in ("a", "b"))
    changed = {name for name in one if one[name] != other[name]}
    assert changed == {name for name in one if name[0] == "uap" or name[2] in ("pca", "compose")}


def test_an_edited_picture_to_train_on_is_noticed(folders):
    before = keys_of(pictures(folders, "a"), **ALL)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folders / "a" / "2.png")
    assert keys_of(pictures(folders, "a"), **ALL) != before
    assert keys_of(pictures(folders, "a"), **PLAIN) == keys_of(pictures(folders, "b"), **PLAIN)


def test_so_are_those_of_other_data(folders):
    def keys():
        entry = {"name": f"image-folder:{folders / 'eval'}", "train": f"image-folder:{folders / 'a'}"}
        return keys_of(Digits(), attacks=[{"name": "uap", "training_data": entry}, {"name": "pgd"}], defenses=[])

    before = keys()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folders / "a" / "2.png")
    changed = {name[0] for name, key in keys().items() if key != before[name]}
    assert changed == {"uap"}


def test_cells_without_them_are_called_as_if_there_were_none(folders):
    one = keys_of(pictures(folders, "a"), **ALL)
    without = keys_of(datasets.bind(f"image-folder:{folders / 'eval'}", {})(), **ALL)
    same = {name for name in one if one[name] == without[name]}
    assert same == {name for name in one if name[0] != "uap" and name[2] not in ("pca", "compose")}


def test_nobody_looks_at_pictures_that_nothing_learns_from(folders):
    """A folder of them may be large."""
    data = pictures(folders, "nowhere")
    assert training_facts(recipe_of(**PLAIN), data) == training_facts(recipe_of(**ALL), data) == {}
    assert list(training_facts(recipe_of(**ALL), pictures(folders, "a"))) == [""]
    assert training_facts(recipe_of(**ALL), Digits()) == {}


STRANGER = """
from foolbench.datasets.digits import Digits


class Mine(Digits):
    def training(self, count, advance=lambda images: None):
        images, labels = super().training(count, advance)
        return {images}, labels
"""


def test_a_strangers_data_set_that_does_not_say_them_is_known_by_its_code(tmp_path):
    def keys(folder, images):
        (path := tmp_path / folder / "mine.py").parent.mkdir()
        path.write_text(STRANGER.replace("{images}", images))
        return keys_of(Resized(load_file(path).Mine(), (8, 8)), **ALL)

    one, same, other = keys("a", "images"), keys("b", "images"), keys("c", "255 - images")
    assert one == same
    changed = {name for name in one if one[name] != other[name]}
    assert changed == {name for name in one if name[0] == "uap" or name[2] in ("pca", "compose")}


def test_what_was_learned_from_other_images_is_not_used(execute, folders):
    settings = ("attacks=[{name='fgsm'}]", "defenses=[{name='pca', training_images=4, components=2}]", "samples=4")

    def run(out, train):
        where = f"name='image-folder:{folders}/eval', train='image-folder:{folders}/{train}'"
        table = execute(out, *settings, f"dataset={{{where}, classes='none'}}").set_index("defense")
        assert set(table.status) == {"ok"}, table.error.tolist()
        return table.cell, table.crafted, sorted((folders / "cache" / "learned").iterdir())

    (first, images, _), (second, same_images, learned) = run("out", "a"), run("out", "b")
    assert (first["none"], images["none"]) == (second["none"], same_images["none"])
    assert first["pca"] != second["pca"]
    assert len(learned) == 2

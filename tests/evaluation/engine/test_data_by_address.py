"""Recipes on pictures of the user's own: with labels, without, with training images, for several networks."""

import json

import numpy as np
import pytest
from foolbench.core import ConfigError
from foolbench.evaluation.opening.recipes import load_recipe
from PIL import Image
from sklearn.datasets import load_digits

QUICK = ("attacks=[{name='pgd', steps=3}]", "defenses=[{name='median'}]", "samples=24")


@pytest.fixture
def digits_folder(tmp_path):
    """A hundred of the digits as PNG files in ten class folders."""
    root, data = tmp_path / "digits", load_digits()
    for k in range(100):
        folder = root / f"digit {data.target[k]}"
        folder.mkdir(parents=True, exist_ok=True)
        levels = (data.images[k] * 255 / 16).round().astype(np.uint8)
        Image.fromarray(levels).save(folder / f"{k:03d}.png")
    return root


def test_a_folder_with_class_folders_has_every_number(execute, digits_folder):
    table = execute("out", *QUICK, f"dataset=image-folder:{digits_folder}")
    assert set(table.status) == {"ok"}, table.error.tolist()
    bare, median = table.clean
    assert bare > 90
    assert median > 30
    assert set(table.dataset) == {f"image-folder:{digits_folder}"}


def test_the_manifest_lists_the_pictures_that_were_skipped(execute, digits_folder, tmp_path):
    bad = digits_folder / "digit 3" / "bad.png"
    bad.write_bytes(b"no picture")
    dataset = f"dataset={{name='image-folder:{digits_folder}', bad_images='skip'}}"
    table = execute("out", *QUICK, dataset, "samples=100")
    assert set(table.n) == {100}
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["recipe"]["dataset"]["bad_images"] == "skip"
    assert list(manifest["bad_images"]) == [str(bad)]
    with pytest.raises(ConfigError, match="100 evaluation images, the recipe asks for 101: set samples = 100 or fewer"):
        execute("out", dataset, "samples=101")


def test_without_labels_what_needs_them_stays_empty(execute, foolbench, digits_folder, tmp_path):
    labelled = execute("labelled", *QUICK, "sampling=random", "samples=100", f"dataset=image-folder:{digits_folder}")
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in digits_folder.rglob("*.png"):
        path.rename(flat / path.name)
    table = execute("out", *QUICK, "sampling=random", "samples=100", f"dataset=image-folder:{flat}")
    assert set(table.status) == {"ok"}, table.error.tolist()
    empty = [name for name in table.columns if name.startswith(("clean", "robust"))]
    assert table[empty].isna().all(axis=None)
    assert labelled[empty].notna().all(axis=None)
    assert np.allclose(table.gfr, labelled.gfr, atol=2)  # other random starts
    code, out, err = foolbench("report", tmp_path / "out")
    assert (code, err) == (0, "")
    assert "nan" not in out.lower()


def test_training_images_come_from_the_share_that_is_held_out(execute, digits_folder):
    dataset = f"dataset={{name='image-folder:{digits_folder}', train_share=0.5}}"
    settings = ("defenses=[{name='pca', training_images=20}]", "samples=16", "attacks=[{name='fgsm'}]")
    table = execute("out", *settings, dataset)
    assert set(table.status) == {"ok"}, table.error.tolist()
    table = execute("without", *settings, f"dataset=image-folder:{digits_folder}")
    assert table.status.tolist() == ["ok", "error"]
    assert "train = ADDRESS" in table.error.iloc[1]


def test_a_network_of_other_classes_is_an_error_of_its_own_cells(execute, digits_folder):
    squeezenet = "{name='torchvision:squeezenet1_1', weights='none', size=[64, 64]}"
    models = f"models=['digits:convnet', {squeezenet}]"
    table = execute("out", *QUICK, f"dataset=image-folder:{digits_folder}", models, "samples=4")
    by_model = table.groupby("model", sort=False).status.first().tolist()
    assert by_model == ["ok", "error"]  # as many outputs as folders is enough
    assert "10 classes (digit 0, digit 1" in table.error.iloc[-1]


@pytest.mark.parametrize(
    ("dataset", "sentence"),
    [
        ("image-folder:/nowhere", "found none at '/nowhere'"),
        ("{name='image-folder:/tmp', trian='x'}", "did you mean 'train'"),
        ("image-foldr:/tmp", "Unknown dataset"),
        ("{path='x'}", "name"),
    ],
)
def test_a_recipe_with_bad_data_is_refused(recipe_file, dataset, sentence):
    with pytest.raises(ConfigError, match=sentence):
        load_recipe(str(recipe_file), [f"dataset={dataset}"])


PAIRS = """
from foolbench.datasets import Digits

class Pairs(Digits):
    def clusters(self, samples):
        return [sample // 2 for sample in samples]

class Broken(Digits):
    def clusters(self, samples):
        return [0.5]
"""


def test_clusters_of_a_data_set_are_those_of_its_table_and_its_report(execute, foolbench, tmp_path):
    (tmp_path / "pairs.py").write_text(PAIRS)
    table = execute("out", *QUICK, f"dataset='{tmp_path}/pairs.py:Pairs'", "sampling=first")
    assert set(table.status) == {"ok"}, table.error.tolist()
    assert set(table.clusters) == {12}
    written = (tmp_path / "out" / "leaderboard.csv").read_text()
    code, out, err = foolbench("report", tmp_path / "out")
    assert (code, err) == (0, "")
    assert "24 in 12 clusters" in out.replace("\n", " ")
    assert (tmp_path / "out" / "leaderboard.csv").read_text() == written
    with pytest.raises(ConfigError, match="clusters of data set digits as 24 whole numbers"):
        execute("broken", *QUICK, f"dataset='{tmp_path}/pairs.py:Broken'")


def test_a_data_set_of_an_installed_package(execute, tmp_path, monkeypatch):
    package = tmp_path / "stranger"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "data.py").write_text(
        "from torchvision.datasets import FakeData\n\n\n"
        "def tiny(size):\n    return FakeData(size=size, image_size=(1, 8, 8), num_classes=10)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    table = execute("out", *QUICK, "dataset={name='stranger.data:tiny', size=30}")
    assert set(table.status) == {"ok"}, table.error.tolist()
    assert set(table.n) == {24}

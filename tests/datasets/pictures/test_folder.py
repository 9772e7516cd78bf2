"""Folders of pictures: pixels and labels as torchvision reads them, contents known, no training image evaluated."""

import os
import sys

import numpy as np
import pytest
import torch
from foolbench.core import ConfigError, datasets
from foolbench.core.preprocess import Preprocess
from foolbench.datasets.pictures import contents as contents_module
from foolbench.evaluation.engine.memory.prefetch import Prefetcher
from foolbench.evaluation.opening.data import open_dataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2


def opened(root, **parameters):
    return datasets.bind(f"image-folder:{root}", parameters)()


def test_class_folders_read_as_torchvision_reads_them(class_folders, network):
    transform = v2.Compose([v2.Resize(16), v2.CenterCrop(16), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    for hidden in (class_folders / ".hidden").iterdir():
        hidden.unlink()
    (class_folders / ".hidden").rmdir()
    theirs = ImageFolder(class_folders, transform)
    found = opened(class_folders).for_model(network())
    x, y = found.load(range(len(found)))
    assert found.classes == theirs.classes
    assert y.tolist() == found.labels.tolist() == theirs.targets
    assert torch.allclose(x, torch.stack([image for image, _ in theirs]), atol=1e-6)
    assert torch.equal(found.load([4, 1])[0], x[[4, 1]])


def test_a_flat_folder_has_no_labels(tmp_path, picture, network):
    for k in range(3):
        picture(k).save(tmp_path / f"{k}.jpg")
    found = opened(tmp_path).for_model(network())
    assert found.labels is found.load([0])[1] is None
    assert open_dataset(f"image-folder:{tmp_path}").labels is None


def test_a_mixture_and_an_empty_folder_are_errors(class_folders, tmp_path, picture):
    picture(7).save(class_folders / "stray.png")
    with pytest.raises(ConfigError, match=r"both in .*stray\.png has no class"):
        opened(class_folders)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="found none"):
        opened(tmp_path / "empty")
    with pytest.raises(ConfigError, match="found none at"):
        opened(tmp_path / "nowhere")


def test_bad_images_stop_or_are_skipped(class_folders):
    (class_folders / "dog" / "1.png").write_bytes(b"damaged")
    with pytest.raises(ConfigError, match=r"dog/1\.png cannot be read .* bad_images"):
        opened(class_folders)
    found = opened(class_folders, bad_images="skip")
    assert len(found) == 5
    assert [path.rpartition("/")[2] for path in found.skipped] == ["1.png"]
    assert found.labels.tolist() == [0, 0, 1, 2, 2]


def test_the_fingerprint_is_of_the_content(class_folders, picture, tmp_path):
    first = opened(class_folders).fingerprint
    os.utime(class_folders / "cat" / "0.png", (1, 1))
    assert opened(class_folders).fingerprint == first
    class_folders.rename(tmp_path / "moved")
    assert opened(tmp_path / "moved").fingerprint == first
    picture(50).save(tmp_path / "moved" / "cat" / "0.png")
    assert opened(tmp_path / "moved").fingerprint != first


def test_a_second_look_reads_only_what_has_changed(class_folders, picture, monkeypatch):
    opened(class_folders)
    read, look = [], contents_module._look
    monkeypatch.setattr(contents_module, "_look", lambda path: read.append(path.name) or look(path))
    opened(class_folders)
    assert read == []
    picture(51, width=41).save(class_folders / "emu" / "1.png")
    opened(class_folders)
    assert read == ["1.png"]


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), MemoryError()])
@pytest.mark.parametrize("where", ["pathlib.Path.read_bytes", "foolbench.datasets.pictures.contents.upright"])
def test_what_could_not_be_read_for_a_moment_is_looked_at_again(class_folders, where, error, monkeypatch):
    def fails(*arguments):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(where, fails)
        with pytest.raises(ConfigError, match="cannot be read as a picture"):
            opened(class_folders)
    assert len(opened(class_folders)) == 6


def test_a_link_that_leads_nowhere_is_a_picture_that_cannot_be_read(class_folders):
    count = len(opened(class_folders))
    link = next(path for path in class_folders.iterdir() if path.is_dir() and path.name[0] != ".") / "lost.jpg"
    link.symlink_to("nowhere.jpg")
    with pytest.raises(ConfigError, match=r"lost\.jpg cannot be read as a picture: FileNotFoundError"):
        opened(class_folders)
    found = opened(class_folders, bad_images="skip")
    assert (len(found), list(found.skipped)) == (count, [str(link)])


def test_another_pillow_looks_at_pictures_for_itself(class_folders, monkeypatch):
    opened(class_folders)
    read, look = [], contents_module._look
    monkeypatch.setattr(contents_module, "_look", lambda path: read.append(path.name) or look(path))
    monkeypatch.setattr("PIL.__version__", "99.0")
    opened(class_folders)
    assert len(read) == 6


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"a": 1}', b'{"a": ["x", "y"]}'])
def test_a_damaged_memory_is_made_anew(class_folders, damage):
    first = opened(class_folders).fingerprint
    (memory,) = contents_module._memory(class_folders).parent.glob("*.json")
    memory.write_bytes(damage)
    assert opened(class_folders).fingerprint == first


@pytest.mark.slow
def test_pictures_that_were_seen_are_let_go(tmp_path, picture):
    """A thousand of them are 0.6 GB as the network takes them."""
    resource = pytest.importorskip("resource")
    picture(0, 224, 224).save(tmp_path / "0000.jpg")
    for k in range(1, 1500):
        (tmp_path / f"{k:04d}.jpg").hardlink_to(tmp_path / "0000.jpg")
    peaks = []
    load, coming = opened(tmp_path).load, Prefetcher()
    for start in range(0, 1500, 50):
        samples = range(start, start + 50)
        x, _ = coming.result(load, samples)
        coming.begin(load, range(start + 50, start + 100)) if start < 1450 else None
        assert x.shape == (len(samples), 3, 224, 224)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
    assert peaks[-1] - peaks[9] < 2e8


def test_training_images_never_are_evaluation_images(tmp_path, picture, network):
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for k in range(40):
            picture(k if k < 30 else k - 30, 16, 16).save(tmp_path / label / f"{k}.png")  # the last ten are copies
    found = opened(tmp_path, train_share=0.3).for_model(network(2))
    evaluated, _ = found.load(range(len(found)))
    images, labels = found.training(1000)
    assert 10 < len(images) < 40
    assert (images.dtype, labels.dtype) == (torch.uint8, torch.int64)
    assert {image.numpy().tobytes() for image in images}.isdisjoint(
        {image.numpy().tobytes() for image in (evaluated * 255).round().byte()}
    )
    assert len(found.training(5)[0]) == 5


def test_a_picture_is_the_same_in_another_format(tmp_path, picture, network):
    for part, suffix in (("eval", "png"), ("train", "bmp")):
        (tmp_path / part).mkdir()
        picture(1, 16, 16).save(tmp_path / part / f"same.{suffix}")
        picture(len(part), 16, 16).save(tmp_path / part / f"own.{suffix}")
    found = opened(tmp_path / "eval", train=f"image-folder:{tmp_path / 'train'}").for_model(network(2))
    (image,) = found.training(9)[0]
    assert torch.equal(image, torch.from_numpy(np.array(picture(5, 16, 16))).permute(2, 0, 1))


def test_training_images_come_from_another_folder_without_what_is_evaluated(class_folders, tmp_path, picture, network):
    other = tmp_path / "other"
    for label, name in enumerate(["cat", "dog", "emu"]):
        (other / name).mkdir(parents=True)
        picture(10 * label).save(other / name / "also-evaluated.png")
        picture(500 + label).save(other / name / "new.png")
    found = opened(class_folders, train=f"image-folder:{other}").for_model(network())
    images, labels = found.training(100)
    assert sorted(labels.tolist()) == [0, 1, 2]
    assert images.shape == (3, 3, 16, 16)
    with pytest.raises(ConfigError, match="no training images: say train = ADDRESS"):
        opened(class_folders).training(5)
    with pytest.raises(ConfigError, match="among the evaluation images"):
        opened(class_folders, train=f"image-folder:{class_folders}").training(5)


@pytest.fixture
def trained_elsewhere(tmp_path, picture):
    """`trained_elsewhere(eval, train)`: pictures of `eval` classes, and others of `train` classes to train on."""

    def make(evaluated, train, **parameters):
        for part, names in (("eval", evaluated), ("train", train)):
            for place, name in enumerate(names):
                (tmp_path / part / name).mkdir(parents=True)
                picture(100 * len(part) + place).save(tmp_path / part / name / "0.png")
        return opened(tmp_path / "eval", train=f"image-folder:{tmp_path / 'train'}", **parameters)

    return make


def test_training_labels_are_the_networks_outputs_where_classes_differ(trained_elsewhere, network):
    found = trained_elsewhere(("cat", "dog"), ("ant", "cat", "dog"))
    found = found.for_model(network(4, class_names=("emu", "dog", "cat", "ant")))
    assert found.labels.tolist() == [2, 1]
    assert sorted(found.training(9)[1].tolist()) == [1, 2, 3]


def test_training_labels_are_those_of_a_file_of_classes(trained_elsewhere, network, tmp_path):
    (tmp_path / "classes.txt").write_text("dog\nant\ncat\n")
    found = trained_elsewhere(("cat", "dog"), ("ant", "dog"), classes=str(tmp_path / "classes.txt"))
    assert sorted(found.for_model(network(3)).training(9)[1].tolist()) == [0, 1]


def test_training_images_of_a_class_that_means_nothing_are_one_sentence(trained_elsewhere, network):
    found = trained_elsewhere(("cat", "dog"), ("ant", "bee")).for_model(network(2))
    with pytest.raises(ConfigError, match=r"train have the class ant, which .*eval lacks and no output of linear-2"):
        found.training(9)


def test_training_images_have_no_labels_where_nobody_knows_them(trained_elsewhere, network):
    found = trained_elsewhere(("cat", "dog"), ("ant", "bee"), classes="none")
    assert found.for_model(network(5)).training(9)[1] is None
    assert sorted(found.for_model(network(2)).training(9)[1].tolist()) == [0, 1]


def test_the_network_says_the_size(class_folders, network):
    found = opened(class_folders)
    assert found.shape == (3, 224, 224)
    squash = Preprocess(size=(12, 20), crop="squash")
    assert found.for_model(network(preprocess=squash)).shape == (3, 12, 20)
    plain = found.for_model(network(preprocess=None))
    assert plain.preprocess == Preprocess(size=(16, 16), resize=16)
    assert plain.fingerprint != found.fingerprint

"""CIFAR as it is unpacked, against torchvision's own reader; a pickle that wants to act does not get to."""

import io
import os
import pickle

import numpy as np
import pytest
import torch
from foolbench.core import ConfigError, datasets
from foolbench.evaluation.opening.data import open_dataset
from PIL import Image
from torchvision.datasets import CIFAR10, CIFAR100

TEST = {"cifar10": ("cifar-10-batches-py", "test_batch"), "cifar100": ("cifar-100-python", "test")}
TRAIN = {"cifar10": [f"data_batch_{k}" for k in range(1, 6)], "cifar100": ["train"]}


def batch(kind, seed, count=12):
    draws = np.random.default_rng(seed)
    labels = draws.integers(0, 10 if kind == "cifar10" else 100, count).tolist()
    pixels = draws.integers(0, 256, (count, 3072), np.uint8)
    if kind == "cifar10":
        return {b"data": pixels, b"labels": labels, b"batch_label": b"a batch", b"filenames": [b"x.png"] * count}
    return {b"data": pixels, b"fine_labels": labels, b"coarse_labels": [k // 5 for k in labels]}


class PythonTwo(pickle._Pickler):
    """Writes text as the Python did that made the archives, in which it is bytes and text at once."""

    dispatch = dict(pickle._Pickler.dispatch)  # noqa: RUF012

    def save_bytes(self, text):
        short = len(text) < 256
        self.write(b"U" + bytes([len(text)]) if short else b"T" + len(text).to_bytes(4, "little"))
        self.write(text)
        self.memoize(text)

    dispatch[bytes] = save_bytes


def dumped(content):
    buffer = io.BytesIO()
    PythonTwo(buffer, 2).dump(content)
    return buffer.getvalue()


def write_python(root, kind):
    folder = root / TEST[kind][0]
    folder.mkdir(parents=True)
    for seed, name in enumerate([TEST[kind][1], *TRAIN[kind]]):
        (folder / name).write_bytes(dumped(batch(kind, seed)))


def write_binary(root, kind):
    root.mkdir(parents=True)
    for seed, name in enumerate([TEST[kind][1], *TRAIN[kind]]):
        content = batch(kind, seed)
        keys = [b"labels"] if kind == "cifar10" else [b"coarse_labels", b"fine_labels"]
        columns = [np.array(content[key], np.uint8)[:, None] for key in keys]
        (root / f"{name}.bin").write_bytes(np.hstack([*columns, content[b"data"]]).tobytes())


def opened(kind, root):
    return datasets.bind(f"{kind}:{root}", {})()


@pytest.mark.parametrize("kind", ["cifar10", "cifar100"])
@pytest.mark.parametrize("write", [write_python, write_binary])
def test_pixels_and_labels_are_those_of_the_archive(tmp_path, kind, write):
    write(tmp_path / "there", kind)
    found = open_dataset(f"{kind}:{tmp_path / 'there'}")
    x, y = found.load(range(12))
    expected = batch(kind, 0)
    assert np.array_equal((x * 255).round().byte().numpy().reshape(12, -1), expected[b"data"])
    assert y.tolist() == expected[b"labels" if kind == "cifar10" else b"fine_labels"]
    images, _ = found.training(1000)
    assert len(images) == 12 * len(TRAIN[kind])


def test_other_training_images_have_another_fingerprint(tmp_path):
    write_binary(tmp_path / "there", "cifar100")
    found = opened("cifar100", tmp_path)
    first, path = found.training_fingerprint(), tmp_path / "there" / "train.bin"
    assert found.training_fingerprint() == first
    path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1]))
    assert found.training_fingerprint() != first


@pytest.mark.parametrize(("kind", "reader"), [("cifar10", CIFAR10), ("cifar100", CIFAR100)])
def test_as_torchvision_reads_it(tmp_path, monkeypatch, kind, reader):
    write_python(tmp_path, kind)
    monkeypatch.setattr(reader, "_check_integrity", lambda self: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *rest: True)
    monkeypatch.setattr(reader, "_load_meta", lambda self: None)
    theirs = reader(tmp_path, train=False)
    x, y = opened(kind, tmp_path).load([3])
    image, label = theirs[3]
    assert y.item() == label
    assert np.array_equal((x[0] * 255).round().byte().permute(1, 2, 0).numpy(), np.asarray(image))


def test_training_images_are_those_of_the_archive_that_are_not_evaluated(tmp_path, network):
    write_binary(tmp_path / "there", "cifar100")
    evaluated, path = batch("cifar100", 0)[b"data"][3], tmp_path / "there" / "train.bin"
    rows = np.frombuffer(path.read_bytes(), np.uint8).reshape(12, -1).copy()
    rows[5, 2:] = evaluated
    path.write_bytes(rows.tobytes())
    images, labels = opened("cifar100", tmp_path).for_model(network(100, size=32)).training(1000)
    assert (len(images), len(labels)) == (11, 11)
    assert evaluated.tobytes() not in {image.numpy().tobytes() for image in images}
    known = {row[2:].tobytes(): row[1] for row in rows}
    assert all(known[image.numpy().tobytes()] == label for image, label in zip(images, labels, strict=True))


def test_to_others_it_gives_its_training_split_without_what_they_evaluate_on(tmp_path, network):
    write_binary(tmp_path / "cifar", "cifar10")
    (tmp_path / "folder").mkdir()
    for name, seed in (("evaluated", 1), ("other", 99)):  # the first of the first training batch
        pixels = batch("cifar10", seed)[b"data"][0].reshape(3, 32, 32).transpose(1, 2, 0)
        Image.fromarray(pixels).save(tmp_path / "folder" / f"{name}.png")
    found = datasets.bind(f"image-folder:{tmp_path / 'folder'}", {"train": f"cifar10:{tmp_path / 'cifar'}"})()
    images, _ = found.for_model(network(10, size=32)).training(1000)
    seen = {image.numpy().tobytes() for image in images}
    training = [image for seed in range(1, 6) for image in batch("cifar10", seed)[b"data"]]
    assert seen == {image.tobytes() for image in training[1:]}


@pytest.mark.parametrize("size", [32, 16])
def test_a_network_of_grey_images_trains_on_grey_ones(tmp_path, network, size):
    write_binary(tmp_path / "there", "cifar10")
    coloured = opened("cifar10", tmp_path).for_model(network(10, size=size))
    grey = opened("cifar10", tmp_path).for_model(network(10, size=size, channels=1))
    assert grey.load([0])[0].shape == (1, 1, size, size)
    assert grey.training(3)[0].shape == (3, 1, size, size)
    assert grey.training_fingerprint() != coloured.training_fingerprint()


def test_networks_of_another_size_get_it_resized(tmp_path, network):
    write_python(tmp_path, "cifar10")
    found = opened("cifar10", tmp_path).for_model(network(10, size=64))
    assert found.load([0, 1])[0].shape == (2, 3, 64, 64)
    assert found.training(3)[0].shape == (3, 3, 64, 64)
    with pytest.raises(ConfigError, match="10 classes"):
        opened("cifar10", tmp_path).for_model(network(7))


class Bomb:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (self.target,)


def test_a_pickle_that_asks_for_more_executes_nothing(tmp_path):
    folder, crater = tmp_path / "cifar", tmp_path / "crater"
    write_python(folder, "cifar10")
    content = batch("cifar10", 0) | {b"labels": Bomb(str(crater))}
    (folder / "cifar-10-batches-py" / "test_batch").write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(ConfigError, match=r"posix\.mkdir.* not executed"):
        opened("cifar10", folder)
    assert not crater.exists()


@pytest.mark.parametrize("damage", [lambda b: b[:-5], lambda b: b"", lambda b: b"\xff" * 3073])
def test_a_damaged_or_missing_file_is_named(tmp_path, damage):
    write_binary(tmp_path / "there", "cifar10")
    file = tmp_path / "there" / "test_batch.bin"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ConfigError, match=r"test_batch\.bin is no batch of cifar10"):
        opened("cifar10", tmp_path / "there")
    file.unlink()
    with pytest.raises(ConfigError, match="found neither"):
        opened("cifar10", tmp_path / "there")


def test_arrays_of_every_pickle_protocol_are_read(tmp_path):
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        folder = tmp_path / str(protocol)
        write_python(folder, "cifar10")
        file = folder / "cifar-10-batches-py" / "test_batch"
        file.write_bytes(pickle.dumps(batch("cifar10", 0), protocol=protocol))
        assert torch.equal(opened("cifar10", folder).load([0])[0], opened("cifar10", tmp_path / "2").load([0])[0])

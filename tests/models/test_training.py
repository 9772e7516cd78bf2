"""Training learns, is reproducible by its seed, and goes on after a break as if there had been none."""

import hashlib
import json
from dataclasses import replace

import pytest
import torch
from foolbench.core import UnknownNameError
from foolbench.datasets import Digits
from foolbench.evaluation.cli import train as train_module
from foolbench.evaluation.engine.progress import Progress
from foolbench.models import ENTRIES
from foolbench.models.training import Training, _augment, fit
from rich.console import Console
from torch import nn

TRAINING = Training(epochs=3, batch_size=32, shift=1, flip=False)


@pytest.fixture(scope="module")
def data():
    return Digits().training(256)


def tiny():
    """Batch norm and dropout, since both carry state of their own."""
    convolution, norm = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8)
    return nn.Sequential(convolution, norm, nn.ReLU(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(512, 10))


def trained(data, training=TRAINING, **options):
    net = tiny()
    fit(net, *data, training, normalize=lambda x: (x - 0.5) / 0.5, **options)
    return net


def assert_equal(left, right):
    state = right.state_dict()
    for name, tensor in left.state_dict().items():
        assert torch.equal(tensor, state[name]), name


class PowerError(Exception):
    """The power fails."""


def break_at(epoch, batch):
    def on_batch(at, step, loss):
        if (at, step) == (epoch, batch):
            raise PowerError

    return on_batch


@pytest.mark.parametrize(("epoch", "batch"), [(0, 3), (1, 0), (1, 7), (2, 5)])
def test_a_broken_training_goes_on_as_if_there_had_been_no_break(data, tmp_path, epoch, batch):
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(PowerError):
        trained(data, checkpoint=checkpoint, on_batch=break_at(epoch, batch))
    assert checkpoint.exists() == (epoch > 0)
    epochs = []
    resumed = trained(data, checkpoint=checkpoint, on_batch=lambda at, *batch: epochs.append(at))
    assert set(epochs) == set(range(epoch, 3))
    assert_equal(resumed, trained(data))
    assert not list(tmp_path.glob("*.tmp"))


def test_a_finished_checkpoint_is_not_trained_again(data, tmp_path):
    first = trained(data, checkpoint=tmp_path / "c.pt")
    again = trained(data, checkpoint=tmp_path / "c.pt", on_batch=lambda *batch: pytest.fail("trained again"))
    assert_equal(first, again)
    assert not again.training


def test_a_checkpoint_of_another_configuration_is_not_continued(data, tmp_path):
    trained(data, checkpoint=tmp_path / "c.pt")
    other = replace(TRAINING, learning_rate=3e-4)
    assert_equal(trained(data, other, checkpoint=tmp_path / "c.pt"), trained(data, other))


def test_the_seed_decides_everything(data):
    torch.manual_seed(1)
    first = trained(data)
    torch.manual_seed(2)
    assert_equal(first, trained(data))
    other = trained(data, replace(TRAINING, seed=1))
    assert not torch.equal(first[0].weight, other[0].weight)


def test_it_learns_and_says_so(data):
    said = []
    net = trained(data, replace(TRAINING, epochs=8, learning_rate=5e-3), on_batch=lambda *batch: said.append(batch))
    assert [batch[:2] for batch in said] == [(epoch, step) for epoch in range(8) for step in range(8)]
    losses = [loss for _, _, loss in said]
    assert sum(losses[-8:]) < 0.5 * sum(losses[:8])
    images, labels = data
    assert not net.training
    with torch.no_grad():
        predicted = net((images.float() / 255 - 0.5) / 0.5).argmax(1)
    assert float((predicted == labels).float().mean()) > 0.9


@pytest.mark.parametrize(
    ("switches", "check"),
    [
        ({"flip": False, "shift": 0, "permute_channels": False}, lambda x, y: torch.equal(x, y)),
        ({"flip": True, "shift": 0, "permute_channels": False}, lambda x, y: torch.equal(x.sum(3), y.sum(3))),
        ({"flip": False, "shift": 0, "permute_channels": True}, lambda x, y: torch.allclose(x.sum(1), y.sum(1))),
        ({"flip": False, "shift": 2, "permute_channels": False}, lambda x, y: set(y.unique()) <= set(x.unique())),
    ],
    ids=["none", "flip", "permute", "shift"],
)
def test_augmentation_does_what_is_switched_on(switches, check):
    x = torch.randint(0, 256, (16, 3, 8, 8), generator=torch.Generator().manual_seed(0)).float()
    y = _augment(x, replace(TRAINING, **switches), torch.Generator().manual_seed(1))
    assert y.shape == x.shape
    assert torch.equal(x, y) != any(switches.values())
    assert check(x, y) or (switches["shift"] and bool(torch.isin(y, x).all()))


def test_training_an_entry_writes_weights_and_card(monkeypatch, tmp_path):
    entry = ENTRIES["digits:convnet"]
    quick = replace(entry, folder=tmp_path / "weights", training=replace(entry.training, epochs=1))
    monkeypatch.setattr(train_module, "ENTRIES", {"digits:convnet": quick})
    monkeypatch.setattr(train_module, "user_cache_path", lambda name: tmp_path / name)
    with Progress(Console(quiet=True), 1, "test") as progress:
        weights = train_module.train_network("digits:convnet", progress)
    card = json.loads(weights.with_suffix(".json").read_text())
    assert card["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert card["clean_top1_percent"] == round(100 * train_module.top1(quick.load(), Digits()), 2) > 30
    assert not list((tmp_path / "foolbench").rglob("*.pt"))  # nothing to continue
    with pytest.raises(UnknownNameError, match="digits:convnet"), Progress(Console(quiet=True), 1, "") as progress:
        train_module.train_network("digits:confnet", progress)

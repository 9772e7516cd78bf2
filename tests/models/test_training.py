"""Training learns, is reproducible by its seed, and goes on after a break as if there had been none."""

import hashlib
import json
from collections import OrderedDict
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from foolbench.core import UnknownNameError
from foolbench.datasets import Digits
from foolbench.evaluation.cli import train as train_module
from foolbench.evaluation.engine.work.progress import Progress
from foolbench.models import ENTRIES
from foolbench.models import training as training_module
from foolbench.models.training import Training, _attacked, _begin_as, _of_grid, fit
from foolbench.tasks import Segmentation
from rich.console import Console
from safetensors.torch import load_file
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


@pytest.mark.parametrize("other", ["images", "labels", "beginning"])
def test_a_checkpoint_of_other_images_is_not_continued(data, tmp_path, other):
    images, labels = data
    trained(data, checkpoint=tmp_path / "c.pt")
    others = (images.flip(0) if other == "images" else images, labels.flip(0) if other == "labels" else labels)
    options = {"beginning": tiny().state_dict()} if other == "beginning" else {}
    epochs = []
    trained(others, checkpoint=tmp_path / "c.pt", on_batch=lambda at, *batch: epochs.append(at), **options)
    assert set(epochs) == {0, 1, 2}


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


def test_a_grid_of_labels_adds_what_is_said_of_rows_and_columns():
    outputs, y = torch.randn(6, 15, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 3, 7, 8, 14, 2])
    cells = outputs.softmax(1).reshape(6, 5, 3)
    each = torch.arange(6)
    said = (cells[each, y // 3, y % 3], cells.sum(2)[each, y // 3], cells.sum(1)[each, y % 3])
    expected = -sum(probability.log().mean() for probability in said)
    assert torch.allclose(_of_grid(outputs, y, (5, 3)), expected)


def test_adversarial_images_of_a_linear_loss_are_the_best_ones_from_most_starts():
    """One step of 1.25 eps reaches the border from where the start is within a quarter of eps or on the right side."""
    slope, eps = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)), 0.1
    x = torch.full((64, 3, 8, 8), 0.5)
    attacked = _attacked(lambda images: (slope * images).sum(), x, eps, torch.Generator().manual_seed(1))
    change = (attacked - x) * slope.sign()
    assert float(change.abs().max()) <= eps + 1e-6
    assert float((change > eps - 1e-6).float().mean()) == pytest.approx(0.625, abs=0.02)
    assert float(change.min()) >= 0.25 * eps - 1e-6
    dark = _attacked(lambda images: (slope * images).sum(), 0 * x, eps, torch.Generator().manual_seed(1))
    assert 0 <= float(dark.min()) <= float(dark.max()) <= eps + 1e-6


def test_adversarial_training_withstands_what_plain_training_does_not(data):
    images, labels = data
    x = (images.float() / 255).requires_grad_()
    held = []
    for eps in (0.0, 0.1):
        net = trained(data, replace(TRAINING, epochs=8, learning_rate=5e-3, eps=eps))
        loss = nn.functional.cross_entropy(net((x - 0.5) / 0.5), labels)
        (gradient,) = torch.autograd.grad(loss, x)
        shown = (x.detach() + 0.1 * gradient.sign()).clamp(0, 1)
        held.append(float((net((shown - 0.5) / 0.5).argmax(1) == labels).float().mean()))
    assert held[1] > held[0] + 0.2


def test_bfloat16_rounds_and_no_more(data, monkeypatch):
    monkeypatch.setattr(training_module, "_multiplies_bfloat16", lambda device: True)  # in any case slowly
    losses = {}
    for rounded in (False, True):
        said = losses.setdefault(rounded, [])
        on_batch = lambda epoch, batch, loss, said=said: said.append(loss.item())  # noqa: E731
        net = trained(data, replace(TRAINING, epochs=1, bfloat16=rounded), on_batch=on_batch)
        assert all(parameter.dtype == torch.float32 for parameter in net.parameters())
    assert losses[True] != losses[False]
    assert losses[True] == pytest.approx(losses[False], rel=0.1)


def test_training_an_entry_writes_weights_and_card(monkeypatch, tmp_path):
    entry = ENTRIES["digits:convnet"]
    quick = replace(entry, folder=tmp_path / "weights", training=replace(entry.training, epochs=1))
    monkeypatch.setattr(train_module, "ENTRIES", {"digits:convnet": quick})
    monkeypatch.setattr(train_module, "user_cache_path", lambda name: tmp_path / name)
    with Progress(Console(quiet=True), 1, "test") as progress:
        weights = train_module.train_network("digits:convnet", progress)
    card = json.loads(weights.with_suffix(".json").read_text())
    assert card["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert card["clean_top1_percent"] == round(100 * train_module.main_metric(quick.load(), Digits()), 2) > 30
    assert not list((tmp_path / "foolbench").rglob("*.pt"))  # nothing to continue
    with pytest.raises(UnknownNameError, match="digits:convnet"), Progress(Console(quiet=True), 1, "") as progress:
        train_module.train_network("digits:confnet", progress)


def test_a_finishing_goes_on_from_the_training_and_is_continued_alone(monkeypatch, tmp_path):
    """It is broken off at first; of the training nothing is done twice."""
    entry = ENTRIES["digits:convnet"]
    training = replace(entry.training, epochs=1)
    still = replace(training, learning_rate=1e-12, weight_decay=0.0)
    quick = replace(entry, folder=tmp_path / "weights", training=training, finishing=still)
    monkeypatch.setattr(train_module, "ENTRIES", {"digits:convnet": quick})
    monkeypatch.setattr(train_module, "user_cache_path", lambda name: tmp_path / name)
    phases, learned = [], []

    def fit_or_stop(net, images, labels, phase, **more):
        if phase is still and not learned:
            learned.append(deepcopy(net.state_dict()))
            raise KeyboardInterrupt
        more["on_batch"] = lambda epoch, batch, loss: phases.append(phase)
        fit(net, images, labels, phase, **more)

    monkeypatch.setattr(train_module, "fit", fit_or_stop)
    with Progress(Console(quiet=True), 1, "test") as progress, pytest.raises(KeyboardInterrupt):
        train_module.train_network("digits:convnet", progress)
    with Progress(Console(quiet=True), 1, "test") as progress:
        weights = train_module.train_network("digits:convnet", progress)
    assert phases.count(training) == phases.count(still) > 0
    for name, tensor in load_file(weights).items():
        if "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(tensor, learned[0][name], atol=1e-6, rtol=1e-4)
    assert json.loads(weights.with_suffix(".json").read_text())["finishing"]["learning_rate"] == 1e-12


def test_a_network_begins_as_another_and_its_further_convolutions_pass_on_what_they_get(data):
    x = Digits().load(range(8))[0]
    first = nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 4, 3, padding=1), relu=nn.ReLU(), out=nn.Flatten()))
    deeper = nn.Sequential(
        OrderedDict(conv=nn.Conv2d(1, 4, 3, padding=1), relu=nn.ReLU(), more=nn.Conv2d(4, 4, 3, padding=1))
    )
    deeper.add_module("relu2", nn.ReLU())
    deeper.add_module("out", nn.Flatten())
    _begin_as(deeper, first.state_dict())
    assert torch.allclose(deeper(x), first(x), atol=1e-6)
    assert float(first(x).detach().abs().sum()) > 0


def test_training_goes_on_from_what_it_begins_as(data):
    trained_before = trained(data).state_dict()
    still = replace(TRAINING, learning_rate=1e-12, weight_decay=0.0, epochs=1)
    for name, tensor in trained(data, still, beginning=trained_before).state_dict().items():
        if "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(tensor, trained_before[name], atol=1e-6, rtol=1e-4)


def test_of_another_network_what_agrees_is_taken_and_the_rest_begins_anew(data):
    x = Digits().load(range(8))[0]
    first = nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 4, 3, padding=1), relu=nn.ReLU(), fc=nn.Conv2d(4, 10, 1)))
    dense = nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 4, 3, padding=1), relu=nn.ReLU(), fc=nn.Conv2d(4, 6, 1)))
    assert _begin_as(dense, first.state_dict()) == [dense.fc]
    assert torch.equal(dense[:2](x), first[:2](x))


def test_training_on_maps_learns_them(data):
    """Each pixel is of class 1 where it is bright."""
    images = data[0]
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    maps, losses = (images[:, 0] > 127).long(), []
    task = Segmentation(classes=2)
    fit(
        net,
        images,
        maps,
        replace(TRAINING, epochs=15, learning_rate=5e-2),
        normalize=lambda x: (x - 0.5) / 0.5,
        loss=lambda outputs, y: task.loss(outputs, y).mean(),
        on_batch=lambda epoch, batch, loss: losses.append(loss),
    )
    assert losses[-1] < 0.3 * losses[0]
    assert float(task.agreement(task.predict(net(images.float() / 127.5 - 1)), maps).mean()) > 0.95

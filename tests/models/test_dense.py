"""The networks whose answer is a map: of the sizes of the paper's, taking over what the classifiers have learned."""

import hashlib
import json
from dataclasses import dataclass

import pytest
import torch
from foolbench.core import datasets
from foolbench.evaluation.cli.train import main_metric
from foolbench.models import DENSE, ENTRIES
from foolbench.models.scenes import deeplab, resnet
from foolbench.models.training import _begin_as

EACH = pytest.mark.parametrize("entry", DENSE.values(), ids=DENSE)
TRAINED = pytest.mark.parametrize("entry", [pytest.param(e, id=e.net) for e in DENSE.values() if e.weights.is_file()])
FEATURES = {"fcn-alex": 7, "fcn-8s-vgg": 15, "deeplab-vgg": 15, "deeplab-resnet": 1 + sum(resnet.BLOCKS)}


@pytest.fixture
def x():
    return torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))


@EACH
def test_outputs_and_features(entry, x):
    model = entry.wrap(entry.build())
    outputs = model(x)
    assert outputs.shape == (2, getattr(entry.task, "classes", 1), 128, 128)
    assert model.predict(x).shape == (2, 128, 128)
    assert torch.allclose(outputs[1:], model(x[1:]), atol=1e-4 * float(outputs.abs().max()))
    features = model.features(x)
    scales = len(deeplab.SCALES) if entry.net == "deeplab-resnet" else 1  # each layer looks at all of them
    assert len(features) == scales * len(set(entry.features))
    assert len(entry.features) == FEATURES.get(entry.net, len(entry.features))
    assert all(float(feature.detach().abs().sum()) > 0 for feature in features)


@EACH
def test_it_fits_into_4_mb(entry):
    assert sum(tensor.numel() * tensor.element_size() for tensor in entry.build().state_dict().values()) < 4 * 2**20


@EACH
def test_it_takes_the_whole_encoder_over(entry):
    trained = ENTRIES[entry.training.begins_as].build().state_dict()
    net = entry.build()
    _begin_as(net, trained)
    state = net.state_dict()
    encoder = [name for name in trained if not name.startswith("fc")]
    assert len(encoder) >= 10
    assert all(torch.equal(state[name], trained[name]) for name in encoder)


@EACH
def test_its_task_is_that_of_the_images_it_learns_from(entry):
    assert datasets[entry.learns_from]().task == entry.task


@dataclass
class Beginning:
    """The first `count` images of a data set."""

    data: object
    count: int

    def __len__(self):
        return self.count

    def load(self, rows):
        return self.data.load(rows)


@TRAINED
def test_the_weights_are_those_of_the_card(entry):
    card = json.loads(entry.weights.with_suffix(".json").read_text())
    assert card["sha256"] == hashlib.sha256(entry.weights.read_bytes()).hexdigest()
    assert card["command"] == f"foolbench train {entry.name}"
    assert card["training"]["epochs"] == entry.training.epochs
    name = next(iter(entry.task.metrics))
    assert card[f"clean_{name}_percent"] > 60
    found = 100 * main_metric(entry.load(), Beginning(datasets[entry.learns_from](), 96))
    assert found == pytest.approx(card[f"clean_{name}_percent"], abs=5)


@pytest.mark.slow
@TRAINED
def test_the_card_has_what_they_reach(entry):
    card = json.loads(entry.weights.with_suffix(".json").read_text())
    name = next(iter(entry.task.metrics))
    found = 100 * main_metric(entry.load(), datasets[entry.learns_from]())
    assert found == pytest.approx(card[f"clean_{name}_percent"], abs=0.1)

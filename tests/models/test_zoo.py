"""The shipped weights are those of the cards, and whatever is wrong with a file is said in one sentence."""

import hashlib
import json
from dataclasses import replace

import pytest
import torch
from foolbench.core import WeightsError, models
from foolbench.datasets import Digits, Scenes
from foolbench.evaluation.cli.train import main_metric
from foolbench.models import ENTRIES
from foolbench.models.zoo import load_weights
from safetensors.torch import load_file, save_file
from torch import nn

DATASETS = {"digits": Digits, "scenes": Scenes}
DIGITS = ENTRIES["digits:convnet"]
QUICK = {*(name for name in ENTRIES if name.startswith("digits:")), "scenes:caffenet"}


def each(names):
    return [pytest.param(ENTRIES[n], id=n) for n in names]


@pytest.fixture
def entry(tmp_path):
    """The network for the digits, with weights in a folder of the test's own."""
    copy = replace(DIGITS, folder=tmp_path)
    copy.weights.write_bytes(DIGITS.weights.read_bytes())
    return copy


def test_the_zoo_has_the_families_old_and_new_the_robust_and_the_digits():
    winners = ["convnet-k-wta", "convnet-k-wta-linf", "resnet-k-wta", "resnet-k-wta-linf"]
    digits = sorted(["convnet", "linear", "linear-linf", "resnet", "scattering", *winners])
    families = ["caffenet", "googlenet", "googlenet-linf1", "resnet", "resnet-linf1", "vgg-f", "vgg16", "vgg19"]
    assert sorted(ENTRIES) == [*(f"digits:{name}" for name in digits), *(f"scenes:{name}" for name in families)]
    assert set(ENTRIES) <= set(models)


@pytest.mark.parametrize(
    "entry",
    [pytest.param(entry, id=name, marks=() if name in QUICK else pytest.mark.slow) for name, entry in ENTRIES.items()],
)
def test_clean_accuracy_is_the_cards(entry):
    """But for an image or two on the edge, where sums round otherwise."""
    card = json.loads(entry.weights.with_suffix(".json").read_text())
    dataset = DATASETS[entry.dataset]()
    assert 100 * main_metric(entry.load(), dataset) == pytest.approx(
        card["clean_top1_percent"], abs=200 / len(dataset) + 0.01
    )
    assert card["clean_top1_percent"] > 40


@pytest.mark.parametrize("entry", each(ENTRIES))
def test_the_card_is_that_of_the_file(entry):
    card = json.loads(entry.weights.with_suffix(".json").read_text())
    assert card["sha256"] == hashlib.sha256(entry.weights.read_bytes()).hexdigest()
    assert card["name"] == entry.name
    assert card["command"] == f"foolbench train {entry.name}"
    assert card["training"]["epochs"] == entry.training.epochs
    assert card["training"]["images"] == entry.training_images
    assert card["parameters"] == sum(tensor.numel() for tensor in entry.build().parameters())
    assert entry.weights.stat().st_size <= 4 * 2**20


@pytest.mark.parametrize("entry", each(ENTRIES))
def test_weights_are_finite_and_none_is_constant(entry):
    weights = load_file(entry.weights)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in weights.values())
    assert all(float(tensor.std()) > 0 for name, tensor in weights.items() if tensor.ndim > 1)


def test_a_loaded_model_knows_its_name_and_takes_its_shape():
    model = DIGITS.load()
    assert model.name == "digits:convnet"
    assert model(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    assert model.sha == DIGITS.load().sha
    assert not any(parameter.requires_grad for parameter in model.net.parameters())


def refusal(entry):
    with pytest.raises(WeightsError) as caught:
        entry.load()
    sentence = str(caught.value)
    assert str(entry.weights) in sentence
    assert "\n" not in sentence
    return sentence


def test_missing_weights(entry):
    entry.weights.unlink()
    assert "foolbench train" in refusal(entry)


def test_a_folder_in_place_of_weights(entry):
    entry.weights.unlink()
    entry.weights.mkdir()
    refusal(entry)


@pytest.mark.parametrize("length", [0, 4, 8, 100, 5000, -1])
def test_truncated_weights(entry, length):
    entry.weights.write_bytes(entry.weights.read_bytes()[:length])
    refusal(entry)


@pytest.mark.parametrize("content", [b"\0" * 1000, b"\xff" * 1000, b"PK\x03\x04" * 100, b"<html></html>" * 9])
def test_corrupt_weights(entry, content):
    entry.weights.write_bytes(content)
    refusal(entry)


def test_a_pickle_is_not_unpickled(entry, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path / "exploded").mkdir, ()

    torch.save({"conv1.weight": Bomb()}, entry.weights)
    refusal(entry)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.pop("fc.bias"),
        lambda state: state.update({"fc9.bias": torch.zeros(3)}),
        lambda state: state.update({"fc.bias": torch.zeros(11)}),
        lambda state: state.update({"fc.weight": state["fc.weight"].T.contiguous()}),
        lambda state: [state.pop(name) for name in list(state)],
    ],
    ids=["missing", "surplus", "longer", "transposed", "empty"],
)
def test_weights_of_another_network(entry, change):
    state = load_file(entry.weights)
    change(state)
    save_file(state, entry.weights)
    sentence = refusal(entry)
    assert "another network" in sentence
    assert "fc" in sentence or "conv1" in sentence


def test_weights_of_another_family(entry):
    with pytest.raises(WeightsError, match="another network than Linear"):
        load_weights(nn.Linear(3, 4), entry.weights)


def test_saving_writes_what_loading_reads(tmp_path):
    entry = replace(DIGITS, folder=tmp_path / "new")
    torch.manual_seed(5)
    net = entry.build()
    entry.save(net, "foolbench train digits:convnet", 0.12345, "cpu")
    assert entry.load().sha == entry.wrap(net).sha
    card = json.loads((tmp_path / "new" / "convnet.json").read_text())
    assert card["clean_top1_percent"] == 12.35 or card["clean_top1_percent"] == 12.34
    assert {path.name for path in entry.folder.iterdir()} == {"convnet.json", "convnet.safetensors"}

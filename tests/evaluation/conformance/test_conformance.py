"""Every built-in keeps its promises; the kit is reached from the command line and from pytest."""

import numpy as np
import pytest
import torch
from foolbench.attacks import UniformNoise
from foolbench.core import ConfigError, Model, UnknownNameError, attacks, datasets, defenses, models
from foolbench.datasets.pictures.classes import wordnet_ids
from foolbench.defenses import JPEG
from foolbench.evaluation.conformance import (
    DEFENSE_CHECKS,
    check,
    checks_of,
    named,
    parametrize_with_checks,
)
from foolbench.evaluation.recipe.plugins import load_plugins
from PIL import Image

load_plugins([])  # also what only lies in the folders
NAMES = [*attacks, *defenses, *models, *datasets]


@pytest.mark.parametrize("name", NAMES)
def test_built_ins_keep_their_promises(name, quick):
    subject = named(name, quick(name))
    found = check(subject)
    assert {str(one) for one in checks_of(subject)} <= set(found)
    assert not {promise: seen for promise, seen in found.items() if seen}


@parametrize_with_checks([JPEG(), UniformNoise(eps="8/255")])
def test_as_pytest_parameters(subject, check):
    assert check in checks_of(subject)
    check.run(subject)


def test_nothing_else_promises_anything():
    with pytest.raises(ConfigError, match="Expected an attack, a defense, a model or a data set"):
        check(torch.nn.ReLU())


SOURCE = '''
from dataclasses import dataclass
from foolbench.core import InputTransform, register_defense

@register_defense("darker")
@dataclass(frozen=True, kw_only=True)
class Darker(InputTransform):
    """Darker by a factor."""
    factor: float = 0.5
    differentiable = True
    randomized = False
    def transform(self, x, *, rng):
        return self.factor * x
'''


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "darker.py"
    path.write_text(SOURCE)
    return path


def test_a_class_in_a_file(foolbench, source):
    code, out, err = foolbench("check", f"{source}:Darker")
    assert (code, err) == (0, "")
    assert f"keeps {1 + len(DEFENSE_CHECKS)} of {1 + len(DEFENSE_CHECKS)} promises" in " ".join(out.split())
    code, out, _ = foolbench("check", f"{source}:Darker", "--set", "factor=1.5")
    assert code == 1
    assert "clamp to [0, 1]" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["jpg"], "Unknown attack, defense, model or data set 'jpg': did you mean 'jpeg'"),
        (["scenes:cafenet"], "did you mean 'scenes:caffenet'"),
        (["digits", "--set", "size=3"], "Unknown parameter of dataset digits: 'size'"),
        (["{}:Lighter"], "has no class, function, model or data set 'Lighter'"),
        (["{}"], "the name in it as well"),
        (["nowhere.py:Darker"], "found none at nowhere.py"),
        (["jpeg", "--set", "quality=0"], "JPEG quality in 1..100"),
        (["jpeg", "--set", "strength=1"], "Unknown parameter"),
        (["{}:dataclass"], "to be an attack, a defense, a model or a data set"),
    ],
)
def test_bad_names_are_one_sentence(foolbench, source, arguments, sentence):
    code, _, err = foolbench("check", *(argument.format(source) for argument in arguments))
    assert code == 2
    assert sentence in " ".join(err.split())
    assert "Traceback" not in err


def test_unknown_names_offer_the_nearest():
    with pytest.raises(UnknownNameError, match="pgd"):
        named("pdg", {})


def test_a_class_without_its_decorator_is_unregistered(foolbench, source):
    source.write_text(SOURCE.replace('@register_defense("darker")', ""))
    code, out, _ = foolbench("check", f"{source}:Darker")
    assert code == 1
    assert "put @register_defense" in out


ADDRESSED = """
import torch
from torch import nn
from torch.utils.data import Dataset, TensorDataset


class Mine(Dataset):
    def __init__(self, count=6):
        self.count = count
    def __len__(self):
        return self.count
    def __getitem__(self, k):
        return torch.full((3, 8, 8), 20 * k, dtype=torch.uint8), k % 3


class Net(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.conv = nn.Conv2d(3, classes, 3)
    def forward(self, x):
        return self.conv(x).tanh().mean((2, 3))
    def load(self, path):
        raise OSError(path)


def network(classes=3):
    return Net(classes)


ready = TensorDataset(torch.rand(5, 1, 4, 4), torch.arange(5) % 2)
net = Net()
"""


@pytest.fixture
def addressed(tmp_path, monkeypatch):
    """The folder of a file of data and networks, and of pictures."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "known"))
    (tmp_path / "mine.py").write_text(ADDRESSED)
    for place in range(8):
        label = tmp_path / "pics" / f"n0144{place % 4 * 397:04d}"
        label.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((9, 9, 3), 30 * place, np.uint8)).save(label / f"{place}.png")
    return tmp_path


DATA = [
    ("{}/mine.py:Mine", {"count": 4}, 4),
    ("{}/mine.py:Mine", {"train_share": 0.5}, None),
    ("{}/mine.py:ready", {}, 5),
    ("image-folder:{}/pics", {"train_share": 0.4}, None),
    ("photographs", {"train_share": 0.2}, None),
]


@pytest.mark.parametrize(("address", "parameters", "count"), DATA)
def test_data_by_address_are_made_as_a_run_makes_them(addressed, address, parameters, count):
    found = named(address.format(addressed), parameters)
    usual = len(datasets.bind(address.format(addressed), {})())
    assert len(found) == count if count else 0 < len(found) < usual


def test_one_prefix_is_of_networks_and_of_pictures(addressed):
    for label, name in enumerate(sorted(path.name for path in (addressed / "pics").iterdir())):
        (addressed / "pics" / name).rename(addressed / "pics" / wordnet_ids()[label])
    assert len(named(f"imagenet:{addressed}/pics", {})) == 8
    with pytest.raises(ConfigError, match="found none at 'efficientnet-lite9'"):
        named("imagenet:efficientnet-lite9", {})


@pytest.mark.parametrize(("name", "classes"), [("Net", 4), ("network", 5), ("net", 3)])
def test_a_network_with_a_method_called_load_is_a_network(addressed, name, classes):
    parameters = {} if name == "net" else {"classes": classes}
    found = named(f"{addressed}/mine.py:{name}", parameters)
    assert isinstance(found, Model)
    assert found.task.classes == classes


@pytest.mark.parametrize(("address", "parameters", "count"), DATA)
def test_describe_knows_what_is_checked(foolbench, addressed, address, parameters, count):
    told = [part for key, value in parameters.items() for part in ("--set", f"{key}={value}")]
    code, out, err = foolbench("describe", address.format(addressed), *told)
    assert (code, err) == (0, "")
    found = named(address.format(addressed), parameters)
    assert f"Evaluation images: {len(found)}" in out

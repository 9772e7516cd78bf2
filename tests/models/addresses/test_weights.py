"""Weights are found wherever they lie in a file, a file's code is never run, and what is wrong is one sentence."""

import pickle

import pytest
import torch
from foolbench.core import WeightsError
from foolbench.core.python_objects import load_file
from foolbench.models import load_model
from safetensors.torch import save_file
from torch import nn


@pytest.fixture
def net(file):
    torch.manual_seed(3)
    return load_file(file).Net()


def compiled(state):
    return {f"_orig_mod.module.{key}": value for key, value in state.items()}


def lightning(state):
    others = {"ema.conv.weight": torch.zeros(1), "loss.weight": torch.ones(3)}
    return {"state_dict": others | {f"model.{key}": value for key, value in state.items()}, "epoch": 3}


SHAPES = {
    "plain": lambda state: state,
    "module": lambda state: {f"module.{key}": value for key, value in state.items()},
    "compiled": compiled,
    "state_dict": lambda state: {"state_dict": state, "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}}},
    "model": lambda state: {"epoch": 2, "model": compiled(state)},
    "lightning": lightning,
    "old": lambda state: {key: value for key, value in state.items() if "num_batches" not in key},
    "half": lambda state: {key: value.half() if value.is_floating_point() else value for key, value in state.items()},
}


def assert_loaded(model, net):
    for key, tensor in net.state_dict().items():
        if "num_batches" not in key:
            assert torch.allclose(model.net.state_dict()[key], tensor, atol=1e-3), key


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("suffix", [".pt", ".pth"])
def test_checkpoints_of_torch(file, net, tmp_path, shape, suffix):
    torch.save(SHAPES[shape](net.state_dict()), tmp_path / f"w{suffix}")
    assert_loaded(load_model(f"{file}:Net", weights=str(tmp_path / f"w{suffix}")), net)


@pytest.mark.parametrize("shape", ["plain", "module", "old", "half"])
def test_safetensors(file, net, tmp_path, shape):
    save_file(SHAPES[shape](net.state_dict()), tmp_path / "w.safetensors")
    assert_loaded(load_model(f"{file}:Net", weights=str(tmp_path / "w.safetensors")), net)


class Bomb:
    """Whoever unpickles it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_file_that_carries_code_is_refused_and_runs_nothing(file, net, tmp_path):
    for save in (torch.save, lambda document, path: path.write_bytes(pickle.dumps(document))):
        save({"state_dict": net.state_dict(), "config": Bomb(tmp_path / "exploded")}, tmp_path / "w.pth")
        with pytest.raises(WeightsError, match=r"would run code of whoever made it: .* torch.save\(net.state_dict"):
            load_model(f"{file}:Net", weights=str(tmp_path / "w.pth"))
        assert not (tmp_path / "exploded").exists()


def whole_network(path, net):
    torch.save(nn.Linear(2, 2), path)


def script(path, net):
    torch.jit.save(torch.jit.trace(net.eval(), torch.rand(1, 3, 8, 8)), path)


def cut(path, net):
    torch.save(net.state_dict(), path)
    path.write_bytes(path.read_bytes()[:700])


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.parametrize(
    ("write", "complaint"),
    [
        (whole_network, "would run code"),
        (script, "would run code"),
        (cut, "cannot be read"),
        (lambda path, net: path.write_text("<!DOCTYPE html>"), "cannot be read"),
        (lambda path, net: path.write_bytes(b""), "it is no checkpoint of torch"),
        (lambda path, net: path.write_bytes(b"junk" * 100), "it is no checkpoint of torch"),
        (lambda path, net: torch.save({"epoch": 3}, path), "found no named tensors"),
        (lambda path, net: torch.save(torch.zeros(3), path), "found no named tensors"),
        (lambda path, net: None, "found no file"),
        (
            lambda path, net: torch.save({"a.b": torch.zeros(3)}, path),
            "of another network than Net: .*Missing.* and [0-9]+ more",
        ),
        (
            lambda path, net: torch.save(type(net)(classes=7).state_dict(), path),
            r"another network.*\[7, 4\].*classes = N",
        ),
        (
            lambda path, net: torch.save(type(net)(width=5).state_dict(), path),
            "another network.*size mismatch for conv",
        ),
    ],
    ids=[
        "net",
        "script",
        "cut",
        "html",
        "empty",
        "junk",
        "no tensors",
        "one tensor",
        "none",
        "other",
        "classes",
        "width",
    ],
)
def test_one_sentence_for_what_cannot_be_used(file, net, tmp_path, write, complaint):
    path = tmp_path / "w.pth"
    write(path, net)
    with pytest.raises(WeightsError, match=complaint) as caught:
        load_model(f"{file}:Net", weights=str(path))
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value), "torch's advice to load unsafely is not passed on"


@pytest.mark.parametrize("text", ["{}", "html", ""])
def test_broken_safetensors(file, tmp_path, text):
    (tmp_path / "w.safetensors").write_text(text)
    with pytest.raises(WeightsError, match=r"w\.safetensors, but it cannot be read"):
        load_model(f"{file}:Net", weights=str(tmp_path / "w.safetensors"))

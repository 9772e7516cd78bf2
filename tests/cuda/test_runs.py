"""A whole run on a GPU: the table of a processor, what is there is not made again, and memory may be short."""

import os

import foolbench
import pandas as pd
import pytest
import torch
from foolbench.core import Model
from foolbench.evaluation.engine.memory.pieces import Pieces
from foolbench.evaluation.engine.networks import training_data
from foolbench.tasks import Recognition
from torch import nn

RUN = {
    "attacks": [{"name": "pgd", "steps": 5}, {"name": "fgsm"}],
    "defenses": ["bit-depth", "random-noise"],
    "knowledge": ["oblivious", "adaptive"],
    "eps": "40/255",
    "samples": 48,
    "draws": 2,
    "eot_draws": 2,
    "silent": True,
}
NAMED = ["model", "attack", "knowledge", "defense", "metric", "status", "model_sha", "behaviour"]
RATES = ["clean", "gfr", "robust", "floor"]
ROUNDING = 100 * 3 / 48
"""Points: of so many images three may be on the other side of a boundary."""
ROOM = 512 * 2**20
"""Bytes of a small GPU; 64 images need twice that in the wide network."""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FOOLBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def small_memory(device):
    """From when it is called the process has hardly more than what it holds by then."""

    def limit():
        torch.cuda.empty_cache()
        whole = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + ROOM) / whole)

    yield limit
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


def about_the_same(there, here):
    pd.testing.assert_frame_equal(there[NAMED], here[NAMED])
    assert (there.status == "ok").all()
    for column in RATES:
        assert there[column].to_numpy(float) == pytest.approx(here[column].to_numpy(float), abs=ROUNDING, nan_ok=True)


def test_the_table_is_that_of_a_processor_and_is_kept(tmp_path, device):
    here = foolbench.evaluate("digits:convnet", "digits", **RUN, device="cpu", cache=False)
    there = foolbench.evaluate("digits:convnet", "digits", **RUN, device=device, out=tmp_path / "out")
    about_the_same(there, here)
    again = foolbench.evaluate("digits:convnet", "digits", **RUN, device=device, out=tmp_path / "out")
    pd.testing.assert_frame_equal(again, there)  # the seconds, too
    fresh = foolbench.evaluate("digits:convnet", "digits", **RUN, device=device, cache=False)
    pd.testing.assert_frame_equal(fresh.drop(columns=["seconds", "run"]), there.drop(columns=["seconds", "run"]))


def test_it_goes_on_on_another_device(tmp_path, device):
    """A network is known again in spite of rounding; what is there stays."""
    first = RUN | {"attacks": RUN["attacks"][:1], "out": tmp_path / "out"}
    begun = foolbench.evaluate("digits:convnet", "digits", **first, device="cpu")
    whole = foolbench.evaluate("digits:convnet", "digits", **RUN | {"out": tmp_path / "out"}, device=device)
    kept = whole[whole.attack == begun.attack[0]].reset_index(drop=True)
    assert kept.seconds.tolist() == begun.seconds.tolist()
    assert (whole.status == "ok").all()


def test_all_that_a_run_can_keep(device, monkeypatch):
    """8-bit images, queries, layers, a perturbation with its training images, and what a defense has learned."""
    monkeypatch.setattr(training_data, "SUBSTITUTES", 32)
    attacks = [
        {"name": "square", "queries": 20},
        {"name": "gd-uap", "prior": "data", "max_iterations": 5},
        {"name": "carlini-wagner", "searches": 2, "steps": 5},
    ]
    more = {"defenses": ["pca"], "storage": "uint8", "layers": ["features"], "samples": 16}
    found = foolbench.evaluate("digits:convnet", "digits", **RUN | more | {"attacks": attacks}, device=device)
    assert (found.status == "ok").all(), found.error.tolist()


def test_choices_of_the_process_are_as_they_were(device, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    foolbench.evaluate("digits:convnet", "digits", **RUN | {"samples": 8}, device=device, cache=False)
    assert torch.backends.cudnn.benchmark
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.fixture
def wide():
    """Of 64 x 64 pixels each it keeps some 8 MB."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 256, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net.append(nn.Linear(256, 10))
    net[-1].weight.data *= 30  # classes that differ
    return Model(net, task=Recognition(classes=10), name="wide")


def test_fewer_images_go_together_where_memory_is_short(wide, on_device, small_memory):
    x = torch.rand(128, 3, 64, 64, generator=torch.Generator().manual_seed(0)).to(on_device)
    wide.to(on_device)
    whole = torch.cat(Pieces(8).each(len(x), lambda rows: wide.predict(x[rows])))
    small_memory()
    pieces = Pieces(128, wide.passes)
    found = torch.cat(pieces.each(len(x), lambda rows: wide.predict(x[rows])))
    assert pieces.fell
    assert (found != whole).sum() <= 1


def test_a_run_where_memory_is_short(wide, device, small_memory):
    x = torch.rand(128, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    data = (x, torch.arange(128) % 10)
    run = {"attacks": ["fgsm"], "defenses": ["bit-depth"], "eps": "2/255", "silent": True, "cache": False}

    def table():
        return foolbench.evaluate(wide, data, **run, batch_size="auto", device=device)

    whole = table()
    small_memory()
    about_the_same(table(), whole)


@pytest.mark.slow
def test_several_processes_share_a_gpu(tmp_path, device):
    if "PYTEST_XDIST_WORKER" in os.environ:
        pytest.skip("processes of processes")
    one = foolbench.evaluate("digits:convnet", "digits", **RUN, device=device, cache=False)
    two = foolbench.evaluate("digits:convnet", "digits", **RUN, device=device, cache=False, workers=2)
    pd.testing.assert_frame_equal(two.drop(columns=["seconds", "run"]), one.drop(columns=["seconds", "run"]))

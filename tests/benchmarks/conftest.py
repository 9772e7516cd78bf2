"""Speed as a ratio: ours against a peer, alternating in one run, so that a busy machine slows both."""

import importlib.util
import time
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from foolbench.core import Model
from foolbench.datasets import Scenes
from foolbench.models import ENTRIES
from foolbench.tasks import Recognition
from torch import Tensor, nn
from torchvision.models import resnet18

ROUNDS = 15
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Subject(NamedTuple):
    """A model, images, what it predicts for them, and the same model as a peer library takes it: [0, 1] to logits."""

    model: Model
    x: Tensor
    y: Tensor
    net: nn.Module


class AsModule(nn.Module):
    def __init__(self, model: Model) -> None:
        super().__init__()
        self.net, self._model = model.net, [model]  # in a list, so that it is no submodule

    def forward(self, x: Tensor) -> Tensor:
        return self.net(self._model[0]._prepare(x))


def subject_of(model: Model, count: int = 64) -> Subject:
    model, x = model.to(DEVICE), Scenes().load(range(count))[0].to(DEVICE)
    return Subject(model, x, model.predict(x), AsModule(model).eval())


@pytest.fixture(scope="session", name="subject_of")
def subject_of_fixture():
    return subject_of


@pytest.fixture(scope="session")
def adv_lib():
    """`adv_lib(name)` is the module of one of its attacks, loaded by itself: the package wants visdom."""

    def load(name: str):
        package = importlib.util.find_spec("adv_lib")
        if package is None:
            pytest.skip("adv-lib is not installed")
        path = Path(package.submodule_search_locations[0]) / "attacks" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"adv_lib_{name}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def googlenet() -> Subject:
    return subject_of(ENTRIES["scenes:googlenet"].load())


@pytest.fixture(scope="session")
def resnet18_1000() -> Subject:
    """Random weights, 1,000 classes, 64 x 64 pixels."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = resnet18(weights=None)
    task = Recognition(classes=1000)
    return subject_of(Model(net, task=task, mean=(0.5,) * 3, std=(0.25,) * 3, name="resnet18", channels_last=True))


@pytest.fixture
def ratio(benchmark, request):
    """`ratio(ours, peer, limit=...)`: times both in turn and fails where ours takes more than `limit` of the peer.

    Work for a GPU ends when it is done there. The fastest round of each counts: whatever else the machine does can only
    add to a time.
    """

    def compare(ours, peer, *, limit: float, rounds: int = ROUNDS) -> None:
        peer_seconds = []

        def run_peer():
            start = time.perf_counter()
            _done(peer)
            peer_seconds.append(time.perf_counter() - start)

        warm_up = min(1, rounds - 1)  # what has one round takes minutes
        benchmark.pedantic(_done, (ours,), setup=run_peer, rounds=rounds, warmup_rounds=warm_up)
        ours_best, peer_best = benchmark.stats.stats.min, min(peer_seconds)
        found = ours_best / peer_best
        benchmark.extra_info.update(peer_seconds=peer_best, ratio=found, limit=limit)
        request.config.stash.setdefault(ROWS, []).append((request.node.name, ours_best, peer_best, found, limit))
        assert found <= limit, f"{found:.3f} of the peer's time, the limit is {limit}"

    return compare


def _done(work) -> None:
    work()
    if DEVICE == "cuda":
        torch.cuda.synchronize()


ROWS = pytest.StashKey[list]()


def pytest_terminal_summary(terminalreporter, config):
    rows = config.stash.get(ROWS, [])
    if rows:
        terminalreporter.section("ours / peer")
        for name, ours, peer, found, limit in rows:
            line = f"{name:60s} {1e3 * ours:8.1f} ms / {1e3 * peer:8.1f} ms = {found:.3f}  (limit {limit})"
            terminalreporter.write_line(line)

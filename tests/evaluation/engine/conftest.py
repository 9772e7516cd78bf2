"""A plugin whose attacks end the process that they run in, for runs that are carried out by others."""

import sys

import pytest
import torch
from foolbench.evaluation.recipe.plugins import load_plugins

PLUGIN = '''
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from foolbench.core import Attack, InputTransform, LearnedTransform, register_attack, register_defense


class Brighten(Attack):
    access = "none"

    def perturb(self, model, x, y, *, rng):
        self.act()
        return x + self.eps * rng.uniform(x.shape[1:])


@register_attack("deadly-once")
@dataclass(frozen=True, kw_only=True)
class DeadlyOnce(Brighten):
    """The first process that comes here leaves a mark in the folder, and dies."""

    folder: str  # not the file itself, whose content would be a part of what the attack is

    def act(self):
        if is_first(Path(self.folder) / "mark", "dead"):
            os.kill(os.getpid(), signal.SIGKILL)


@register_attack("deadly")
@dataclass(frozen=True, kw_only=True)
class Deadly(Brighten):
    """Whoever comes here dies."""

    def act(self):
        os.kill(os.getpid(), signal.SIGKILL)


@register_attack("ill-fated")
@dataclass(frozen=True, kw_only=True)
class IllFated(Attack):
    """The shard that comes first kills who has it. Who has it next names its Ray node and waits for its end."""

    folder: str

    access = "none"

    def perturb(self, model, x, y, *, rng):
        shard, mark, machine = str(x.mean().item()), Path(self.folder) / "mark", Path(self.folder) / "machine"
        if is_first(mark, shard):
            os.kill(os.getpid(), signal.SIGKILL)
        if mark.read_text() == shard and is_first(machine, node()):
            time.sleep(600)
        return x + self.eps * rng.uniform(x.shape[1:])


def node():
    import ray

    return ray.get_runtime_context().get_node_id()


def is_first(path, text):
    try:
        with path.open("x") as file:
            return file.write(text)
    except FileExistsError:
        return False


@register_attack("unlucky")
@dataclass(frozen=True, kw_only=True)
class Unlucky(Brighten):
    """Fails."""

    def act(self):
        raise RuntimeError("no luck today")


@register_attack("slow")
@dataclass(frozen=True, kw_only=True)
class Slow(Brighten):
    """Takes its time."""

    seconds: float = 0.3

    def act(self):
        time.sleep(self.seconds)


@register_defense("mean-pull")
@dataclass(frozen=True, kw_only=True)
class MeanPull(LearnedTransform):
    """Part of the way to the mean of the training images."""

    training_images: int = 20

    differentiable = True
    randomized = False

    def learn(self, data, *, rng):
        return {"mean": data.images.mean(dim=0)}

    def transform(self, x, learned, *, rng):
        return x + 0.2 * (learned["mean"] - x)
'''


@pytest.fixture
def clean():
    """Images for entries of a cache."""
    return torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def tensors(clean):
    """What a cache keeps of attacked images."""
    return {"x_adv": (clean + 0.1).clamp(0, 1), "undone": torch.tensor([True, False, False, True])}


@pytest.fixture
def deadly_plugin(tmp_path):
    """The file, loaded here."""
    path = tmp_path / "deadly.py"
    path.write_text(PLUGIN)
    load_plugins([path])
    yield path
    for name in [name for name in sys.modules if name.startswith("foolbench_plugin_deadly")]:
        del sys.modules[name]


@pytest.fixture
def every_kind():
    """Overrides: all kinds of attacks and defenses, which draw random numbers, learn, and go on from one another."""
    return (
        "batch_size=8",
        "knowledge=['oblivious', 'adaptive']",
        "draws=2",
        "eot_draws=2",
        "defenses=[{name='mean-pull'}, {name='random-noise'}]",
    )

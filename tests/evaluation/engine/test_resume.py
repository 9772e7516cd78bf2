"""A run that is killed at any moment is completed by the same command, with the table of an undisturbed run."""

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from foolbench.attacks import PGD
from foolbench.core import Model, Perturbation, UniversalAttack, register_attack, register_model
from foolbench.evaluation.engine.cache import shelf
from foolbench.evaluation.engine.crafting import crafter as adversarial
from foolbench.evaluation.engine.crafting.perturbation_file import PerturbationFile
from foolbench.evaluation.engine.executors import worker
from foolbench.evaluation.ledger.ledger import Ledger
from torch import nn

SETTINGS = ("batch_size=8", "samples=32")


@pytest.fixture(scope="module")
def memory():
    return {}


@pytest.fixture
def undisturbed(execute, memory):
    """The table to arrive at; it is made once."""
    if "table" not in memory:
        memory["table"] = execute("undisturbed", *SETTINGS)
    return memory["table"]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    ("owner", "function", "call"),
    [
        (adversarial.Crafter, "images", 7),
        (adversarial.Crafter, "craft", 1),
        (PerturbationFile, "keep", 1),
        (shelf.Shelf, "take", 5),
        (Perturbation, "save", 1),
        (Ledger, "write", 5),
        (Ledger, "write", 35),
        (Ledger, "write_costs", 1),
    ],
    ids=lambda part: getattr(part, "__name__", str(part)).rpartition(".")[2],
)
def test_interrupted_before_or_after_any_step(
    execute, assert_same, undisturbed, monkeypatch, owner, function, call, moment
):
    original, calls = getattr(owner, function), []

    def interrupted(*arguments, **options):
        calls.append(function)
        if len(calls) == call and moment == "before":
            raise KeyboardInterrupt
        result = original(*arguments, **options)
        if len(calls) == call:
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patched:
        patched.setattr(owner, function, interrupted)
        with pytest.raises(KeyboardInterrupt):
            execute("out", *SETTINGS)
    assert_same(execute("out", *SETTINGS), undisturbed)


def test_interrupted_within_an_attack(execute, assert_same, undisturbed, monkeypatch):
    ascend, calls = PGD._ascend, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return ascend(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(PGD, "_ascend", interrupted)
        with pytest.raises(KeyboardInterrupt):
            execute("out", *SETTINGS)
    assert_same(execute("out", *SETTINGS), undisturbed)
    assert len(calls) == 3


KILLED = ("batch_size=1", "samples=20", "attacks=[{name='uniform-noise'}, {name='pgd', steps=4}]")


@pytest.fixture
def unkilled(execute, memory):
    """The table to arrive at; it is made once."""
    if "unkilled" not in memory:
        memory["unkilled"] = execute("undisturbed", *KILLED)
    return memory["unkilled"]


def end_by(how, recipe_file, folder):
    """Send a signal to a run in another process after some of its 40 shards; the code it ends with."""
    shards = random.randint(1, 25)
    overrides = [part for setting in KILLED for part in ("--set", setting)]
    command = [Path(sys.executable).with_name("foolbench"), "run", recipe_file, "--out", folder, *overrides]
    with subprocess.Popen([*command, "--device", "cpu"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        kept = folder.parent / "cache" / "adversarial"
        while run.poll() is None and len(list(kept.glob("*/*.safetensors"))) < shards:
            time.sleep(0.005)
        run.send_signal(how)
    return run.returncode


def test_killed_by_the_system(execute, assert_same, unkilled, recipe_file, tmp_path):
    assert end_by(signal.SIGKILL, recipe_file, tmp_path / "out") == -9, "it ended before it could be killed"
    assert not (tmp_path / "out" / "leaderboard.csv").exists()
    assert_same(execute("out", *KILLED, crafted_anew=False), unkilled)


def test_ended_by_a_scheduler(execute, assert_same, unkilled, recipe_file, tmp_path):
    assert end_by(signal.SIGTERM, recipe_file, tmp_path / "out") == 130
    assert "pending" in (tmp_path / "out" / "leaderboard.csv").read_text()
    assert_same(execute("out", *KILLED, crafted_anew=False), unkilled)


def test_a_half_written_temporary_file_is_no_obstacle(execute, tmp_path):
    execute("out", *SETTINGS)
    (tmp_path / "out" / "ledger.sqlite").unlink()
    for path in (tmp_path / "out" / "adversarial").glob("*/*.safetensors"):
        path.with_suffix(".tmp").write_bytes(path.read_bytes()[:20])
        path.unlink()
    assert set(execute("out", *SETTINGS).status) == {"ok"}


@pytest.mark.parametrize("folder", ["perturbations", "adversarial"])
@pytest.mark.parametrize("damage", ["cut short", "one bit"])
def test_a_damaged_cached_file_is_made_anew(execute, assert_same, tmp_path, undisturbed, folder, damage):
    execute("out", *SETTINGS)
    for name in ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"):
        (tmp_path / "out" / name).unlink(missing_ok=True)
    path = next((tmp_path / "out" / folder).glob("**/*.safetensors"))
    content = bytearray(path.read_bytes())
    if damage == "one bit":
        content[-1] ^= 1
    path.write_bytes(content[:50] if damage == "cut short" else content)
    assert_same(execute("out", *SETTINGS), undisturbed)


def test_a_network_is_looked_at_once_unless_something_of_it_has_changed(execute, monkeypatch):
    """A further defense in a finished run costs its own passes; other samples are others' doubts."""
    looked, original = [], worker.look
    monkeypatch.setattr(worker, "look", lambda system, shard: looked.append(shard.samples) or original(system, shard))
    first = execute("run", *SETTINGS)
    assert len(looked) == 4  # shards
    more = execute("run", *SETTINGS, add='[[defenses]]\nname = "jpeg"')
    assert len(looked) == 4
    assert set(more.status) == {"ok"}
    assert list(more[more.defense != "jpeg"].gfr) == list(first.gfr)
    execute("run", "batch_size=8", "samples=40")
    assert len(looked) == 9


def test_what_was_seen_in_a_network_stands_at_the_rows_of_the_next_run(execute, digits_model):
    """Of one that says one class for everything."""
    net = deepcopy(digits_model.net)
    last = [module for module in net.modules() if isinstance(module, nn.Linear)][-1]
    with torch.no_grad():
        last.weight.mul_(1e-3)
        last.bias[3] = 100.0
    constant = Model(
        net, task=digits_model.task, shape=digits_model.shape, features=digits_model.feature_names, name="toy:constant"
    )
    register_model("toy:constant")(lambda: constant)
    flagged = []
    for add in ("", '[[defenses]]\nname = "jpeg"'):
        table = execute("run", "models=['toy:constant']", *SETTINGS, add=add)
        flagged.append(["one-class" in flags for flags in table.flagged])
    assert all(map(all, flagged))
    assert len(flagged[1]) > len(flagged[0]) > 0


def test_no_row_is_made_of_two_perturbations(execute, tmp_path):
    """Where the one that its first shards were scored with has gone, or is another, they are scored anew."""
    universal = "attacks=[{name='gd-uap', prior='none', max_iterations=20}]"
    execute("out", universal, "samples=16")
    whole = execute("whole", universal, "samples=32")
    (place,) = (tmp_path / "out" / "perturbations").glob("*.safetensors")
    kept = Perturbation.load(place)
    Perturbation(delta=torch.zeros_like(kept.delta), threat=kept.threat, source=kept.source).save(place)
    found = execute("out", universal, "samples=32")
    assert found[["clean", "gfr"]].equals(whole[["clean", "gfr"]])
    assert Perturbation.load(place).sha == kept.sha


def test_no_table_is_made_of_two_perturbations(execute, tmp_path, monkeypatch):
    """A search that another recipe has done again may have ended elsewhere, as on other hardware."""

    @register_attack("toy-elsewhere")
    @dataclass(frozen=True, kw_only=True)
    class Elsewhere(UniversalAttack):
        access = "gradient"

        def search(self, model, data, *, rng):
            return torch.full(data.validation.shape[1:], share * self.eps)

    attack, share = "attacks=[{name='toy-elsewhere'}]", 1.0
    whole = execute("out", attack, "defenses=[{name='bit-depth', bits=7}]")
    shutil.rmtree(tmp_path / "out" / "perturbations")
    share = 0.0
    execute("out", attack, "defenses=[{name='bit-depth', bits=6}]")
    again = execute("out", attack, "defenses=[{name='bit-depth', bits=7}]")
    assert (whole.gfr > 0).all()
    assert (again.linf_max == 0).all()


def test_networks_are_looked_at_with_the_very_images_of_a_table(execute, foolbench, digits_model, tmp_path):
    """Also where nothing else is left to do, and where what was seen is lost."""
    shuffled = Model(Shuffled(digits_model.net), task=digits_model.task, shape=digits_model.shape, name="toy:shuffled")
    register_model("toy:shuffled")(lambda: shuffled)
    settings = ("models=['toy:shuffled']", "attacks=[{name='fgsm'}]", "defenses=[]")
    assert execute("out", *settings, "samples=64").flagged.str.contains("label-order").all()
    assert execute("out", *settings, "samples=40").flagged.str.contains("label-order").all()
    for change in ("name = 'x' || name", "value = 'nothing'"):
        with closing(sqlite3.connect(tmp_path / "out" / "ledger.sqlite")) as connection, connection:
            assert connection.execute(f"UPDATE facts SET {change} WHERE kind = 'doubts'").rowcount
        code, _, err = foolbench("report", tmp_path / "out")
        assert code == 2, "unknown is not unflagged"
        assert "Run the recipe again" in err
        assert execute("out", *settings, "samples=40").flagged.str.contains("label-order").all()


class Shuffled(nn.Module):
    """Its classes in another order."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x).roll(1, dims=1)

"""Several processes make the table that one makes; one that is killed costs its unit a second try."""

import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from foolbench.core import ConfigError
from foolbench.evaluation.engine.executors.machines import Machines
from foolbench.evaluation.engine.networks import training_data

TWO = Machines(workers=2)


def test_the_same_table_though_a_worker_is_lost_and_an_attack_fails(
    execute, assert_same, deadly_plugin, every_kind, tmp_path
):
    mark = tmp_path / "mark"
    attacks = f"attacks=[{{name='pgd', steps=3}}, {{name='deadly-once', folder='{tmp_path}'}}, {{name='unlucky'}}]"
    mark.touch()
    alone = execute("alone", *every_kind, attacks)
    mark.unlink()
    table = execute("out", *every_kind, attacks, machines=TWO)
    assert mark.exists()
    assert_same(table, alone)
    assert set(table.status[table.attack != "unlucky"]) == {"ok"}
    assert set(table.error[table.attack == "unlucky"]) == {"RuntimeError: no luck today"}


@pytest.mark.slow
def test_what_kills_every_process_is_an_error_that_says_so(
    execute, assert_same, deadly_plugin, every_kind, monkeypatch
):
    monkeypatch.setattr(training_data, "SUBSTITUTES", 512)  # as in the processes
    universal = "{name='gd-uap', prior='none', max_iterations=10}"
    alone = execute("alone", *every_kind, f"attacks=[{universal}]")
    table = execute("out", *every_kind, f"attacks=[{{name='deadly'}}, {universal}]", machines=TWO)
    died = table.attack == "deadly"
    assert set(table.status[died]) == {"error"}
    assert table.error[died].str.contains(r"\d processes were lost over this, .* SIGKILL").all()
    assert_same(table[~died].reset_index(drop=True), alone)


KILLER = """
import os
from dataclasses import dataclass
from foolbench.core import *

@register_defense("killer")
@dataclass(frozen=True, kw_only=True)
class Killer(InputTransform):
    differentiable = True
    randomized = False

    def transform(self, x, *, rng):
        os._exit(3)
"""


@pytest.mark.slow
def test_a_defense_that_kills_its_process_takes_no_other_cell_along(foolbench, recipe_file, tmp_path):
    """Nor does a plugin that imports all names of foolbench.core call things otherwise in another process."""
    (tmp_path / "killer.py").write_text(KILLER)
    defenses = "defenses=[{name='jpeg'}, {name='killer'}, {name='bit-depth'}, {name='median'}]"
    settings = ["--set", "attacks=[{name='fgsm'}, {name='random-sign'}]", "--set", defenses]
    plugin = ["--plugin", tmp_path / "killer.py", "--out", tmp_path / "out", "--workers", "2"]
    foolbench("run", recipe_file, *settings, *plugin)
    table = pd.read_csv(tmp_path / "out" / "leaderboard.csv")
    died = table.defense == "killer"
    assert table.error[~died].isna().all(), table[["attack", "defense", "cell", "crafted", "error"]].to_string()
    assert table.error[died].str.contains("WorkerLost: .* exit code 3").all()


@pytest.mark.parametrize(
    ("machines", "sentence"),
    [
        ({"workers": 0}, "workers >= 1, got 0"),
        ({"executor": "slurm"}, "local or ray, got 'slurm'"),
        ({"address": "auto"}, "choose the executor ray"),
    ],
)
def test_what_makes_no_sense(machines, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Machines(**machines)


def test_without_ray_one_sentence_says_how_to_install_it(foolbench, recipe_file, monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.partition(".")[0] == "ray" or name.endswith(".on_ray")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)
    code, _, err = foolbench("run", recipe_file, "--executor", "ray", "--out", tmp_path / "out")
    assert code == 2
    assert "pip install 'foolbench[ray]'" in " ".join(err.split())


def begin(recipe_file, plugin, folder):
    """A run with two workers, of 12 shards that take a third of a second each, when it has kept three of them."""
    command = [Path(sys.executable).with_name("foolbench"), "run", recipe_file, "--out", folder, "--workers", "2"]
    command += ["--plugin", plugin, *(part for setting in SLOW for part in ("--set", setting))]
    heeds = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # also where tests in the background do not
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=heeds)
    kept = folder.parent / "cache" / "adversarial"
    while run.poll() is None and len(list(kept.glob("*/*.safetensors"))) < 3:
        time.sleep(0.01)
    return run


def children(process):
    """The ids of the processes that one has begun."""
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def are_gone(processes):
    """Within ten seconds."""
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{one}").exists() for one in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


SLOW = ("batch_size=2", "attacks=[{name='slow'}]", "defenses=[]")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's list of processes")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_with_the_run_its_workers_end_and_the_same_command_goes_on(
    execute, assert_same, deadly_plugin, recipe_file, tmp_path, how
):
    with begin(recipe_file, deadly_plugin, tmp_path / "out") as run:
        workers = children(run.pid)
        assert len(workers) >= 2
        run.send_signal(how)
        code = run.wait(timeout=30)
    assert code == (-9 if how == signal.SIGKILL else 130)
    assert are_gone(workers)
    if how != signal.SIGKILL:
        assert "pending" in (tmp_path / "out" / "leaderboard.csv").read_text()
    assert_same(execute("out", *SLOW, machines=TWO), execute("undisturbed", *SLOW))

"""A Ray cluster makes the table that one process makes, whatever of it is lost."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest
from foolbench.evaluation.engine.executors.machines import Machines

pytest.importorskip("ray", reason="needs foolbench[ray]")
import ray
from ray.cluster_utils import Cluster

NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}


@pytest.fixture
def cluster(monkeypatch):
    """Two machines, for all that Ray knows: one with this process, and one that may go."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    cluster.other = cluster.add_node(**NODE)
    cluster.wait_for_nodes()
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def images(folder):
    return len(list(folder.glob("adversarial/*/*.safetensors")))


@pytest.mark.slow
def test_the_same_table_though_a_machine_and_a_worker_are_lost(
    execute, assert_same, deadly_plugin, every_kind, cluster, tmp_path
):
    mark, out = tmp_path / "mark", tmp_path / "out"
    attacks = (
        f"attacks=[{{name='deadly-once', mark='{mark}'}}, {{name='unlucky'}}, {{name='slow', seconds=0.5}}, "
        "{name='autoattack', steps=2, queries=2}]"
    )
    mark.touch()
    alone = execute("alone", *every_kind, attacks)
    mark.unlink()
    gone = []

    def lose_a_machine():
        while images(out) < 4:
            time.sleep(0.05)
        cluster.remove_node(cluster.other)
        gone.append(images(out))

    Thread(target=lose_a_machine, daemon=True).start()
    table = execute("out", *every_kind, attacks, machines=Machines(executor="ray", address=cluster.address))
    assert mark.exists()
    assert gone[0] < images(out) == images(tmp_path / "alone")
    assert_same(table, alone)
    assert set(table.error[table.attack == "unlucky"]) == {"RuntimeError: no luck today"}
    assert set(table.status[table.attack != "unlucky"]) == {"ok"}


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_run_itself_ends_and_the_same_command_goes_on(
    execute, assert_same, deadly_plugin, recipe_file, cluster, tmp_path, how
):
    settings = ("batch_size=2", "attacks=[{name='slow'}]", "defenses=[{name='mean-pull'}]")
    command = [Path(sys.executable).with_name("foolbench"), "run", recipe_file, "--out", tmp_path / "out"]
    command += ["--executor", "ray", "--address", cluster.address, "--plugin", deadly_plugin]
    command += [part for setting in settings for part in ("--set", setting)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        while run.poll() is None and images(tmp_path / "out") < 3:
            time.sleep(0.01)
        run.send_signal(how)
        assert run.wait(timeout=60) == (-9 if how == signal.SIGKILL else 130)
    machines = Machines(executor="ray", address=cluster.address)
    assert_same(execute("out", *settings, machines=machines), execute("undisturbed", *settings))

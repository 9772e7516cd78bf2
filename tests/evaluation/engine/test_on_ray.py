"""A Ray cluster makes the table that one process makes, whatever of it is lost."""

import signal
import subprocess
import sys
import tempfile
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
    """The head, which only knows of the others, and two machines that may go; workers have their folders in `tmp`."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    tmp = tempfile.TemporaryDirectory(prefix="fb-")  # Ray's sockets have short names
    monkeypatch.setenv("TMPDIR", tmp.name)
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": 0, "include_dashboard": False})
    cluster.tmp = Path(tmp.name)
    cluster.others = [cluster.add_node(**NODE) for _ in range(2)]
    cluster.wait_for_nodes()
    yield cluster
    ray.shutdown()
    cluster.shutdown()
    tmp.cleanup()


def images(folder):
    return len(list(folder.glob("adversarial/*/*.safetensors")))


@pytest.mark.parametrize("graceful", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_same_table_though_a_worker_and_then_a_machine_are_lost_over_one_unit(
    execute, assert_same, deadly_plugin, every_kind, cluster, tmp_path, graceful
):
    mark, machine = tmp_path / "mark", tmp_path / "machine"
    attacks = (
        f"attacks=[{{name='ill-fated', folder='{tmp_path}'}}, {{name='unlucky'}}, {{name='slow', seconds=0.5}}, "
        "{name='autoattack', steps=2, queries=2}]"
    )
    mark.write_text("of no shard")
    alone = execute("alone", *every_kind, attacks)
    mark.unlink()

    def lose_the_machine():
        while not (machine.exists() and machine.read_text()):
            time.sleep(0.05)
        there = next(node for node in cluster.others if node.node_id == machine.read_text())
        cluster.remove_node(there, allow_graceful=graceful)

    Thread(target=lose_the_machine, daemon=True).start()
    table = execute("out", *every_kind, attacks, machines=Machines(executor="ray", address=cluster.address))
    assert len(cluster.worker_nodes) == 1
    assert_same(table, alone)
    assert images(tmp_path / "out") == images(tmp_path / "alone")
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
    if how == signal.SIGTERM:
        assert not list(cluster.tmp.glob("foolbench-worker-*"))
    machines = Machines(executor="ray", address=cluster.address)
    assert_same(execute("out", *settings, machines=machines), execute("undisturbed", *settings))

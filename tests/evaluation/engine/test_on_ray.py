"""A Ray cluster makes the table that one process makes, whatever of it is lost."""

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Thread

import pytest
import torch
from foolbench.evaluation.engine.cache.cache import Cache
from foolbench.evaluation.engine.cache.kinds import Kind
from foolbench.evaluation.engine.executors.machines import Machines
from foolbench.evaluation.engine.executors.shipping import Shipping
from foolbench.evaluation.engine.networks import training_data

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


@pytest.fixture
def as_workers_are(monkeypatch):
    """This process has the threads and the substitutes of Ray's workers, so it names what it crafts as they do."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(training_data, "SUBSTITUTES", 512)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


SHARED = (
    "attacks=[{name='pgd', steps=3}, {name='gd-uap', prior='none', max_iterations=5},"
    "{name='autoattack', steps=2, queries=5, knowledge=['oblivious']}]",
    "knowledge=['oblivious', 'adaptive']",
    "batch_size=8",
)
LESS = "defenses=[{name='pca', training_images=20, components=9}]"
MORE = "defenses=[{name='pca', training_images=20, components=9}, {name='bit-depth'}]"


@pytest.fixture
def sent(monkeypatch):
    """The files of the cache whose content workers have made and sent."""
    found, take = [], Shipping.take

    def noted(shipping, name, content):
        found.append(Cache.default().path(name))
        take(shipping, name, content)

    monkeypatch.setattr(Shipping, "take", noted)
    return found


def crafted():
    """The files of the cache with what attacks have crafted, and their content, which includes the time it took."""
    kinds = (Kind.adversarial, Kind.perturbations)
    return {entry.path: entry.path.read_bytes() for kind in kinds for entry in Cache.default().entries(kind)}


def test_what_is_crafted_is_shared_with_runs_here_and_there(
    execute, assert_same, as_workers_are, sent, cluster, tmp_path
):
    """Workers make what the cache lacks, for one more defense, and what is damaged, and nothing else."""
    apart = execute("apart", *SHARED, MORE)
    execute("first", *SHARED, LESS, crafted_anew=False)
    before = crafted()
    damaged = sorted(before)[::2]
    for path in damaged:
        path.write_bytes(before[path][:-1] + bytes([before[path][-1] ^ 1]))
    there = Machines(executor="ray", address=cluster.address)
    assert_same(execute("more", *SHARED, MORE, machines=there, crafted_anew=False), apart)
    after = crafted()
    new = after.keys() - before.keys()
    assert {path.parent.parent.name for path in new} == {"adversarial", "cache"}  # images, perturbations
    assert sorted(sent) == sorted([*damaged, *new])
    assert not (tmp_path / "more" / "adversarial").exists()
    assert_same(execute("here", *SHARED, MORE, crafted_anew=False), apart)
    assert crafted() == after


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
        while run.poll() is None and images(tmp_path / "cache") < 3:
            time.sleep(0.01)
        run.send_signal(how)
        assert run.wait(timeout=60) == (-9 if how == signal.SIGKILL else 130)
    if how == signal.SIGTERM:
        assert not list(cluster.tmp.glob("foolbench-worker-*"))
    machines = Machines(executor="ray", address=cluster.address)
    assert_same(execute("out", *settings, machines=machines), execute("undisturbed", *settings))

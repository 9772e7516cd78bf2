"""A run that loses its driver, workers and machines at random moments ends in the table of an undisturbed one."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from itertools import cycle, islice
from pathlib import Path

import pandas as pd
import pytest
from foolbench.evaluation.ledger.ledger import Ledger

pytest.importorskip("ray", reason="needs foolbench[ray]")
import ray
from ray.cluster_utils import Cluster

KILLS = 10
SAMPLES = 24
PATIENCE = 1800
"""Seconds for a run, also on a machine that does other things."""
SETTINGS = (
    f"samples={SAMPLES}",
    "batch_size=8",
    "knowledge=['oblivious', 'adaptive']",
    "draws=2",
    "eot_draws=2",
    "attacks=[{name='pgd', steps=20}, {name='deepfool', norm='l2', eps=1, knowledge=['oblivious']},"
    "{name='rays', queries=20, knowledge=['oblivious']},"
    "{name='gd-uap', prior='none', max_iterations=60, validate_every=20},"
    "{name='autoattack', steps=5, queries=20, knowledge=['oblivious']}]",
    "defenses=[{name='bit-depth'}, {name='random-noise'}, {name='k-wta'},"
    "{name='compose', steps=[{name='median'}, {name='pca', training_images=100, components=9}]}]",
)
NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}


@pytest.fixture
def cluster(monkeypatch):
    """The head, which only knows of the others, and two machines that may go."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": 0, "include_dashboard": False})
    cluster.others = [cluster.add_node(**NODE) for _ in range(2)]
    cluster.wait_for_nodes()
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def begin(cluster, recipe_file):
    """`begin(folder, *options)`: a run, in a process of its own."""

    def begin(folder, *options):
        command = [Path(sys.executable).with_name("foolbench"), "run", recipe_file, "--out", folder, "--device", "cpu"]
        command += [part for setting in SETTINGS for part in ("--set", setting)]
        return subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    return begin


@pytest.fixture
def lose(cluster):
    """`lose(what, run)`: without a warning."""

    def lose(what, run):
        if what == "driver":
            run.send_signal(signal.SIGKILL)
            run.wait()
        elif what == "machine":
            cluster.remove_node(cluster.others.pop(0), allow_graceful=False)
            cluster.others.append(cluster.add_node(**NODE))
        else:
            for worker in workers()[:1]:
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)

    return lose


def workers():
    """The ids of the processes of Ray's actors, which bear their names."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # gone meanwhile
            if path.read_bytes().startswith(b"ray::_Actor"):
                found.append(int(path.parent.name))
    return found


def table(folder):
    found = pd.read_csv(folder / "leaderboard.csv", keep_default_na=False)
    return found.drop(columns=["recipe", "run", "seconds"])


@pytest.mark.slow
@pytest.mark.minutes
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs Linux's list of processes")
def test_lost_at_random_moments(begin, lose, cluster, tmp_path):
    rng, out = random.Random(time.time_ns()), tmp_path / "out"
    alone = begin(tmp_path / "undisturbed", "--no-cache")
    assert alone.wait(timeout=PATIENCE) == 0
    expected = table(tmp_path / "undisturbed")
    assert len(expected) >= 30
    assert set(expected.status) == {"ok"}
    options = ("--no-cache", "--executor", "ray", "--address", cluster.address)
    run = begin(out, *options)
    for what in islice(cycle(["driver", "worker", "machine"]), KILLS):
        with suppress(subprocess.TimeoutExpired):
            run.wait(timeout=rng.uniform(1, 12))
        lose(what, run)
        if run.poll() is not None:
            run = begin(out, *options)
    run.wait(timeout=PATIENCE)
    assert begin(out, *options).wait(timeout=PATIENCE) == 0  # where one unit had lost two workers, it is tried again
    pd.testing.assert_frame_equal(table(out), expected)
    with closing(Ledger(out / "ledger.sqlite", read_only=True)) as ledger:
        keys = {key for row in expected.cell for key in row.split()}
        assert all(len(ledger.outcomes(key).samples) == len(ledger.finished(key)) == SAMPLES for key in keys)
        assert keys <= ledger.makers().keys()

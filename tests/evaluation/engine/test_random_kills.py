"""A run that is killed at random moments, again and again, ends in the table of one that was left alone."""

import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pandas as pd
import pytest
from foolbench.evaluation.ledger.ledger import Ledger

KILLS = 20
SAMPLES = 24
PATIENCE = 1800
"""Seconds for a run, also on a machine that does other things."""
SETTINGS = (
    f"samples={SAMPLES}",
    "batch_size=8",
    "knowledge=['oblivious', 'adaptive']",
    "draws=2",
    "eot_draws=2",
    "attacks=[{name='uniform-noise', group='both'}, {name='pgd', steps=20, group='both'},"
    "{name='deepfool', norm='l2', eps=1, knowledge=['oblivious']},"
    "{name='rays', queries=20, knowledge=['oblivious']},"
    "{name='square', queries=20, seeds=2, knowledge=['oblivious']},"
    "{name='gd-uap', prior='data', max_iterations=60, validate_every=20},"
    "{name='autoattack', steps=5, queries=20, knowledge=['oblivious']}]",
    "defenses=[{name='bit-depth'}, {name='random-noise'}, {name='k-wta'},"
    "{name='odds-are-odd', training_images=200},"
    "{name='compose', steps=[{name='median'}, {name='pca', training_images=100, components=9}]}]",
)


def begin(recipe_file, folder, *options):
    command = [Path(sys.executable).with_name("foolbench"), "run", recipe_file, "--out", folder, "--device", "cpu"]
    command += [part for setting in SETTINGS for part in ("--set", setting)]
    return subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def until(run, path):
    """The run has made a file, or is over."""
    while run.poll() is None and not path.exists():
        time.sleep(0.005)


def table(folder):
    found = pd.read_csv(folder / "leaderboard.csv", keep_default_na=False)
    return found.drop(columns=["recipe", "run", "seconds"])


@pytest.mark.slow
@pytest.mark.minutes
@pytest.mark.parametrize("options", [(), ("--no-cache",), ("--workers", "2")], ids=" ".join)
def test_killed_at_random_moments(recipe_file, tmp_path, options):
    rng, out, cache = random.Random(time.time_ns()), tmp_path / "out", tmp_path / "cache"
    run = begin(recipe_file, tmp_path / "undisturbed", *options)
    until(run, tmp_path / "undisturbed" / "manifest.json")
    start = time.monotonic()
    assert run.wait(timeout=PATIENCE) == 0
    lasts, expected = time.monotonic() - start, table(tmp_path / "undisturbed")
    assert len(expected) >= 30
    assert set(expected.status) == {"ok"}
    shutil.rmtree(cache, ignore_errors=True)
    killed = completed = 0
    while killed < KILLS or not completed:
        run = begin(recipe_file, out, *options)
        until(run, out / ("manifest.json" if rng.random() < 0.9 else "ledger.sqlite"))
        if killed < KILLS:
            with suppress(subprocess.TimeoutExpired):
                run.wait(timeout=rng.uniform(0, lasts / 2))
        if run.poll() is None and killed < KILLS:
            run.send_signal(signal.SIGKILL)
            run.wait()
            killed += 1
            continue
        assert run.wait(timeout=PATIENCE) == 0
        completed += 1
        pd.testing.assert_frame_equal(table(out), expected)
        with closing(Ledger(out / "ledger.sqlite", read_only=True)) as ledger:
            keys = {key for row in expected.cell for key in row.split()}
            assert all(ledger.finished(key) == set(ledger.outcomes(key).samples.tolist()) for key in keys)
            assert all(len(ledger.outcomes(key).samples) == SAMPLES for key in keys)
            assert keys <= ledger.makers().keys()
        shutil.rmtree(out)
        shutil.rmtree(cache, ignore_errors=True)

"""Runs that share a cache: the same table, of which each pays what nobody has paid before."""

import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from foolbench.attacks import PGD
from foolbench.attacks.universal.gd_uap import GDUAP
from foolbench.core.behaviour import Behaviour
from foolbench.defenses import PCA
from foolbench.defenses.regroup import REGroup
from foolbench.evaluation.engine.cache import shelf
from foolbench.evaluation.engine.cache.cache import Cache
from foolbench.evaluation.engine.crafting.crafter import Crafter
from foolbench.evaluation.engine.networks import school as learning
from foolbench.evaluation.engine.networks.networks import Network
from foolbench.evaluation.engine.scoring.system import System
from foolbench.evaluation.grid import cells

ATTACKS = (
    "attacks=[{name='uniform-noise'}, {name='pgd', steps=3},"
    "{name='gd-uap', prior='none', max_iterations=5},"
    "{name='autoattack', steps=3, queries=10, knowledge=['oblivious']}]"
)
SETTINGS = (ATTACKS, "samples=12", "draws=2", "eot_draws=2", "knowledge=['oblivious', 'adaptive']", "batch_size=8")
LESS = "defenses=[{name='pca', training_images=20, components=9}]"
MORE = "defenses=[{name='pca', training_images=20, components=9}, {name='jpeg'}, {name='random-noise'}]"


@pytest.fixture
def crafted(monkeypatch):
    """What is really crafted, by attack."""
    found = []
    attack, search = Crafter._attack, GDUAP.search

    def noted(crafter, *facts):
        found.append(type(crafter.attack).__name__)
        return attack(crafter, *facts)

    def noted_search(self, model, data, *, rng):
        found.append("GDUAP")
        return search(self, model, data, rng=rng)

    monkeypatch.setattr(Crafter, "_attack", noted)
    monkeypatch.setattr(GDUAP, "search", noted_search)
    return found


@pytest.mark.parametrize("attack", ["{name='confident-pgd'}", "{name='pgd', targeted=true}"])
def test_an_attack_that_counts_less_than_any_other_answer_is_found_again(execute, crafted, attack):
    settings = (f"attacks=[{attack}]", "samples=12", "defenses=[]")
    first = execute("first", *settings, crafted_anew=False)
    crafted.clear()
    again = execute("again", *settings, crafted_anew=False)
    assert crafted == []
    assert again.gfr.tolist() == first.gfr.tolist()
    assert again.at_target.isna().tolist() == first.at_target.isna().tolist() == ["confident" in attack]


@pytest.mark.parametrize(("cached", "known"), [(True, 4), (False, 5)])
def test_kept_images_are_read_once_and_ahead(execute, monkeypatch, cached, known):
    """While what came before is scored, which takes a moment here: all but the first, or, where the name of an attack's
    images in the cache has to be found out, but the first of each attack.
    """
    settings = ("attacks=[{name='fgsm'}, {name='pgd', steps=3}]", "samples=12", "batch_size=4")
    execute("run", *settings, "defenses=[]", crafted_anew=not cached)
    events = []
    read, score = shelf.unsealed, System.score

    def noted(path, content):
        if path.parent.parent.name == "adversarial":
            events.append(path)
        return read(path, content)

    def slow(system, *facts):
        found = score(system, *facts)
        time.sleep(0.1)
        events.append("scored")
        return found

    monkeypatch.setattr(shelf, "unsealed", noted)
    monkeypatch.setattr(System, "score", slow)
    more = execute("run", *settings, "defenses=[{name='jpeg'}]", crafted_anew=not cached)
    assert set(more.status) == {"ok"}
    reads = [event for event in events if event != "scored"]
    assert len(reads) == len(set(reads)) == 6
    before = [events[: events.index(path)].count("scored") for path in reads]
    assert sum(scored < place for place, scored in enumerate(before)) == known


def test_another_run_finds_all_and_says_the_same(execute, assert_same, crafted, tmp_path):
    apart = execute("apart", *SETTINGS, MORE)
    crafted.clear()
    first = execute("first", *SETTINGS, LESS, crafted_anew=False)
    assert crafted
    assert not (tmp_path / "first" / "adversarial").exists()
    crafted.clear()
    again = execute("again", *SETTINGS, LESS, crafted_anew=False)
    assert crafted == []
    assert (again.seconds == first.seconds).all()
    assert_same(again, first)
    more = execute("more", *SETTINGS, MORE, crafted_anew=False)
    assert set(crafted) == {"PGD", "GDUAP"}  # through the new defenses
    assert_same(more, apart)


def test_what_is_damaged_or_gone_is_made_anew(execute, assert_same, crafted, monkeypatch):
    lessons, learn = [], PCA.learn
    monkeypatch.setattr(PCA, "learn", lambda self, data, *, rng: lessons.append(1) or learn(self, data, rng=rng))
    first = execute("first", *SETTINGS, LESS, crafted_anew=False)
    made = [*crafted]
    for place, entry in enumerate(Cache.default().entries()):
        content = bytearray(entry.path.read_bytes())
        content[-1 - place] ^= 1
        entry.path.write_bytes(content)
    crafted.clear()
    assert_same(execute("again", *SETTINGS, LESS, crafted_anew=False), first)
    assert crafted == made
    assert lessons == [1, 1]
    crafted.clear()
    assert_same(execute("third", *SETTINGS, LESS, crafted_anew=False), first)
    assert crafted == []
    assert lessons == [1, 1]


def test_a_cache_of_hardly_any_size_changes_nothing(execute, assert_same, monkeypatch):
    monkeypatch.setenv("FOOLBENCH_CACHE_SIZE", "5e-6")
    apart = execute("apart", *SETTINGS, LESS)
    assert_same(execute("out", *SETTINGS, LESS, crafted_anew=False), apart)
    assert sum(entry.size for entry in Cache.default().entries()) <= 5000


def test_what_was_learned_otherwise_is_attacked_anew(execute, crafted, monkeypatch):
    execute("first", *SETTINGS, LESS, crafted_anew=False)
    for entry in Cache.default().entries("learned"):
        entry.path.unlink()
    learn = PCA.learn
    monkeypatch.setattr(
        PCA, "learn", lambda self, data, *, rng: {k: v + 1e-4 for k, v in learn(self, data, rng=rng).items()}
    )
    crafted.clear()
    execute("again", *SETTINGS, LESS, crafted_anew=False)
    assert set(crafted) == {"PGD", "GDUAP"}
    assert (
        len([name for name in crafted if name == "PGD"]) == 2
    )  # shards, through the defense; on the bare network none


OTHERWISE = torch.linspace(0, 1, 40).reshape(4, 10), None
ONE = ("attacks=[{name='pgd', steps=3}]", "defenses=[]", "batch_size=24")


@pytest.mark.parametrize(
    "setting",
    ["seed=1", "storage=uint8", "threat.eps=41/255", "attacks=[{name='pgd', steps=4}]", "samples=23", "batch_size=12"],
)
def test_what_decides_the_images_is_told_apart(execute, crafted, setting):
    execute("first", *ONE, crafted_anew=False)
    crafted.clear()
    execute("again", *ONE, setting, crafted_anew=False)
    assert crafted


def test_so_are_networks_by_their_last_bit_and_threads(execute, crafted, monkeypatch):
    execute("first", *ONE, crafted_anew=False)
    crafted.clear()
    answers = Network.answers.func
    with monkeypatch.context() as patched:
        patched.setattr(Network, "answers", property(lambda self: answers(self) + " but for one bit"))
        execute("another", *ONE, crafted_anew=False)
    assert crafted == ["PGD"]
    crafted.clear()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    execute("threads", *ONE, crafted_anew=False)
    assert crafted == ["PGD"]


def test_and_code(execute, crafted, monkeypatch):
    execute("first", *ONE, crafted_anew=False)
    crafted.clear()
    original = cells.source_hash
    monkeypatch.setattr(cells, "source_hash", lambda cls: original(cls) + ("edited" if cls is PGD else ""))
    execute("again", *ONE, crafted_anew=False)
    assert crafted == ["PGD"]


def test_a_network_of_the_same_name_that_answers_otherwise_is_not_taught_by_another(execute, monkeypatch):
    lessons, learn = [], REGroup.learn
    monkeypatch.setattr(REGroup, "learn", lambda self, data, *, rng: lessons.append(1) or learn(self, data, rng=rng))
    regroup = "defenses=[{name='regroup', training_images=40}]"
    execute("first", ONE[0], regroup)
    execute("again", ONE[0], regroup)
    assert lessons == [1]
    monkeypatch.setattr(learning.School, "_behaviour", property(lambda self: Behaviour(*OTHERWISE, 1e-4)))
    monkeypatch.setattr(Behaviour, "id", property(lambda self: "the same"))
    execute("another", ONE[0], regroup)
    execute("and again", ONE[0], regroup)
    monkeypatch.setattr(learning.School, "_behaviour", property(lambda self: Behaviour(OTHERWISE[0] + 1, None, 1e-4)))
    execute("a third", ONE[0], regroup)
    assert lessons == [1, 1, 1]


@pytest.mark.slow
def test_two_runs_at_once_craft_once(recipe_file, tmp_path):
    command = [Path(sys.executable).with_name("foolbench"), "run", recipe_file, "--device", "cpu", "--set"]
    command += ["attacks=[{name='pgd', steps=2000}, {name='gd-uap', prior='none', max_iterations=300}]", "--out"]
    runs = [subprocess.Popen([*command, tmp_path / name], stdout=subprocess.DEVNULL) for name in ("one", "two")]
    assert [run.wait(timeout=100) for run in runs] == [0, 0]
    one, two = (pd.read_csv(tmp_path / name / "leaderboard.csv") for name in ("one", "two"))
    assert (one.seconds == two.seconds).all()
    assert (one.gfr == two.gfr).all()


@pytest.mark.parametrize(("attack", "again"), [("foolbox:LinfPGD", True), ("pgd", False)])
def test_where_a_batch_decides_the_draws_its_size_is_a_part_of_the_name(execute, assert_same, crafted, attack, again):
    chosen = (f"attacks=[{{name='{attack}', eps='8/255', steps=1}}]", "defenses=[]", "samples=70")
    alone = execute("alone", *chosen, "batch_size=256")
    execute("automatic", *chosen, "batch_size='auto'", crafted_anew=False)
    crafted.clear()
    found = execute("found", *chosen, "batch_size=256", crafted_anew=False)
    assert bool(crafted) == again
    if again:
        assert_same(found, alone)

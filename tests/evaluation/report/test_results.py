"""The folder of a run: written whole, read back, refused with one sentence."""

import json
import random
from contextlib import closing

import pytest
import torch
from foolbench.core import ConfigError, OutputError
from foolbench.evaluation.opening.recipes import load_recipe
from foolbench.evaluation.report.makers import Makers
from foolbench.evaluation.report.manifest import read_manifest
from foolbench.evaluation.report.results import Results, choose_device

FASTEST = ("attacks=[{name='fgsm'}]", "defenses=[{name='median'}]")


def test_a_run_leaves_ledger_manifest_and_tables(execute, tmp_path):
    execute("out", *FASTEST)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"leaderboard.csv", "leaderboard.md", "ledger.sqlite", "manifest.json"} <= names
    assert not [name for name in names if name.endswith(".tmp") or name == ".writable"]


def test_the_manifest_says_what_ran(execute, tmp_path):
    table = execute("out", *FASTEST)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["run"] == table.run[0]
    assert manifest["identities"]["digits:convnet"]["model_sha"] == table.model_sha[0]
    assert manifest["recipe"]["samples"] == 24
    assert manifest["recipe"]["seed"] == 0
    assert {"python", "foolbench", "torch", "numpy"} <= set(manifest["versions"])
    assert manifest["hardware"]["device"] == "cpu"


def test_the_manifest_says_what_networks_come_from(execute, tmp_path, monkeypatch):
    timm = pytest.importorskip("timm")
    site = tmp_path / "site"
    (site / "mine_of_yours-4.5.dist-info").mkdir(parents=True)
    (site / "mine_of_yours-4.5.dist-info" / "METADATA").write_text("Name: mine-of-yours\nVersion: 4.5\n")
    (site / "mine_of_yours-4.5.dist-info" / "top_level.txt").write_text("mine_of_yours\n")
    (site / "mine_of_yours").mkdir()
    (site / "mine_of_yours" / "nets.py").write_text(
        "from torch import nn\n\n\ndef small():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
    )
    monkeypatch.syspath_prepend(site)
    mine = "{name='mine_of_yours.nets:small', size=[8, 8], mean=[0.5], std=[0.5]}"
    execute("out", *FASTEST, f"models=['digits:convnet', {mine}]")
    versions = json.loads((tmp_path / "out" / "manifest.json").read_text())["versions"]
    assert versions["mine-of-yours"] == "4.5"
    assert versions["timm"] == timm.__version__


def test_the_manifest_names_all_who_have_made_rows(execute, tmp_path, monkeypatch):
    def made_by():
        manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
        return [made["hardware"]["threads"] for made in manifest["makers"]], manifest["hardware"]["threads"]

    here = torch.get_num_threads()
    execute("out", *FASTEST)
    assert made_by() == ([here], here)
    monkeypatch.setattr(torch, "get_num_threads", lambda: here + 1)
    execute("out", *FASTEST)
    assert made_by() == ([here], here + 1), "whoever finds all done has made nothing"
    execute("out", *FASTEST, "defenses=[{name='median'}, {name='gaussian'}]")
    assert made_by() == ([here, here + 1], here + 1)


def test_of_a_row_all_are_known_who_have_a_part_in_it():
    job, ours, theirs = "0123456789abcdef", {"versions": {"torch": "1"}}, {"versions": {"torch": "2", "timm": "3"}}
    makers = Makers(last={"torch": "4"}, known={"cell": [ours], job: [theirs, ours]})
    assert makers.of({"cell": "cell", "crafted": "adversarial/another"}) == {"torch": "1"}
    searched = f"perturbations/net-gd-uap-{job}.safetensors"
    assert makers.of({"cell": "cell", "crafted": searched}) == {"torch": "1 and 2", "timm": "3"}
    assert makers.of({"cell": "of before", "crafted": "adversarial/another"}) == {"torch": "4"}


def test_recipe_and_facts_are_read_back(execute, tmp_path):
    execute("out", *FASTEST)
    with Results(tmp_path / "out") as results:
        recipe, facts = read_manifest(tmp_path / "out")
        assert recipe == load_recipe(str(tmp_path / "recipe.toml"), list(FASTEST))
        before = (tmp_path / "out" / "leaderboard.csv").read_text()
        results.write_leaderboard(results.run(recipe, facts))
        assert (tmp_path / "out" / "leaderboard.csv").read_text() == before


@pytest.mark.parametrize("content", [None, "", "{}", "[]", "null", '{"recipe": {}}', '{"recipe": 3, "run": "r"}'])
def test_a_manifest_that_cannot_be_read_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(OutputError, match=r"manifest.json"):
        read_manifest(tmp_path)


def test_no_bit_of_a_manifest_can_change(execute, tmp_path):
    execute("out", *FASTEST)
    path = tmp_path / "out" / "manifest.json"
    content, rng = path.read_bytes(), random.Random(0)
    for bit in rng.sample(range(8 * len(content)), 300):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(OutputError, match=r"manifest.json"):
            read_manifest(tmp_path / "out")
    path.write_bytes(content)
    assert read_manifest(tmp_path / "out")[0].samples == 24


@pytest.mark.parametrize("folder", ["file", "file/below"])
def test_a_folder_that_cannot_be_made_is_refused(tmp_path, folder):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="folder"):
        Results(tmp_path / folder)


def test_a_failed_write_leaves_the_old_file(execute, tmp_path, monkeypatch):
    execute("out", *FASTEST)
    results = Results(tmp_path / "out")
    before = (tmp_path / "out" / "leaderboard.csv").read_text()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with closing(results.ledger):
        recipe, facts = read_manifest(tmp_path / "out")
        with pytest.raises(OutputError, match="No space left"):
            results.write_leaderboard(results.run(recipe, facts))
    assert (tmp_path / "out" / "leaderboard.csv").read_text() == before


def test_devices(monkeypatch):
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") in ("cpu", "cuda")


@pytest.mark.parametrize("device", ["nonsense", "cuda:99", "cpu:x", "", "meta"])
def test_a_device_that_cannot_compute_is_refused(device):
    with pytest.raises(ConfigError, match="--device") as caught:
        choose_device(device)
    assert "\n" not in str(caught.value)


def test_an_infinite_budget_survives_the_manifest(foolbench, recipe_file, tmp_path):
    endless = ("--set", "attacks=[{name='deepfool', norm='l2', eps=inf}]", "--out", tmp_path / "out", "--device", "cpu")
    assert foolbench("run", recipe_file, *endless)[0] == 0
    written = (tmp_path / "out" / "leaderboard.csv").read_text()
    code, _, err = foolbench("report", tmp_path / "out")
    assert (code, err) == (0, "")
    assert (tmp_path / "out" / "leaderboard.csv").read_text() == written

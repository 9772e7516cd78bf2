"""Names, paths, files and values that nobody means well: one sentence, or taken as they are, never a traceback."""

import errno
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from foolbench.core import Attack, register_attack
from foolbench.core.errors import OutputError
from foolbench.datasets.scenes import splits
from foolbench.evaluation.engine.networks.setup import Plugin
from foolbench.evaluation.grid.digest import digest
from foolbench.evaluation.report import results
from foolbench.evaluation.report.lock import lock
from foolbench.models import ENTRIES
from foolbench.models.training import Training, fit
from torch import nn

FAST = ("--device", "cpu", "--set", "attacks=[{name='fgsm'}]", "--set", "defenses=[]")
UNIVERSAL = ("--device", "cpu", "--set", "attacks=[{name='gd-uap', max_iterations=3}]", "--set", "defenses=[]")


@pytest.fixture
def refused(foolbench):
    """`refused(*arguments)` is the one sentence that the command line ends with."""

    def refused(*arguments):
        code, out, err = foolbench(*arguments)
        assert code == 2
        assert err.startswith("foolbench: ")
        assert err.count("\n") == 1
        assert "pydantic" not in err
        assert "Traceback" not in out + err
        return err

    return refused


@pytest.mark.parametrize("name", ["m[/b]x", "[red]", b"caf\xe9".decode(errors="surrogateescape"), "a b|c"], ids=ascii)
def test_any_folder_can_be_written_to(foolbench, recipe_file, tmp_path, name):
    code, out, err = foolbench("run", recipe_file, "--out", tmp_path / name, *UNIVERSAL)
    assert (code, err) == (0, "")
    assert name.encode(errors="replace").decode() in out.replace("\n", "")
    assert list((tmp_path / name / "perturbations").glob("*.png"))
    assert foolbench("report", tmp_path / name)[0] == 0


@pytest.mark.parametrize("name", ["[/nope]", "=cmd|' /C calc'!A0", "<script>", "a|b", "@:x:", "../../x"])
def test_any_name_is_only_a_name(foolbench, recipe_file, tmp_path, name):
    @register_attack(name)
    @dataclass(frozen=True, kw_only=True)
    class Named(Attack):
        """Changes nothing."""

        access = "none"

        def perturb(self, model, x, y, *, rng):
            return x

    arguments = ("--device", "cpu", "--set", "defenses=[]", "--set", f'attacks=[{{name="{name}"}}]')
    code, out, err = foolbench("run", recipe_file, "--out", tmp_path / "out", *arguments)
    assert (code, err) == (0, "")
    assert name in out
    (shown,) = pd.read_csv(tmp_path / "out" / "leaderboard.csv").attack
    assert shown.removeprefix("'") == name
    assert not shown.startswith(("=", "@"))
    page = (tmp_path / "out" / "leaderboard.md").read_text()
    assert "<script>" not in page
    assert "a|b" not in page
    assert name in foolbench("list", "attacks")[1]


def test_an_empty_folder_name_is_no_folder(foolbench, recipe_file):
    code, _, err = foolbench("run", recipe_file, "--out", "", *FAST)
    assert code == 2
    assert "expected the name of a folder" in err


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"a;b\n1;2\n",
        b"recipe,run\n",
        b'recipe,status\n"x,ok\n',
        b"\0" * 99,
        b"status\nok\nok,1\n",
    ],
)
def test_a_damaged_table_is_made_anew(foolbench, finished, content):
    path = finished / "leaderboard.csv"
    before = path.read_bytes()
    path.write_bytes(content)
    assert foolbench("report", finished)[::2] == (0, "")
    assert path.read_bytes() == before


@pytest.fixture
def finished(foolbench, recipe_file, shared, tmp_path):
    """The folder of a run."""
    if not shared.exists():
        assert foolbench("run", recipe_file, "--out", shared, *FAST)[0] == 0
    return shutil.copytree(shared, tmp_path / "out")


def test_a_read_only_folder_shows_its_run(foolbench, finished, monkeypatch):
    def refuse(folder):
        raise results.OutputError("Expected a folder that can be written to.")

    monkeypatch.setattr(results, "writable_folder", refuse)  # nothing is read-only for root, by whom tests may be run
    names = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    code, out, err = foolbench("report", finished)
    assert (code, err) == (0, "")
    assert "fgsm" in out
    assert "Nothing was written: Expected a folder that can be written to." in out
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == names


def test_of_two_runs_in_one_folder_the_second_stops(foolbench, refused, finished, recipe_file):
    held = lock(finished)
    before = (finished / "manifest.json").read_bytes()
    assert "Another run is writing to" in refused("run", recipe_file, "--out", finished, *FAST, "--set", "seed=1")
    assert (finished / "manifest.json").read_bytes() == before
    assert "Nothing was written: Another run" in foolbench("report", finished)[1]
    held.release()
    assert foolbench("run", recipe_file, "--out", finished, *FAST)[0] == 0


def test_what_a_killed_run_had_not_finished_to_write_is_cleared_away(foolbench, finished, recipe_file):
    left = [finished / ".manifest.json.123.tmp", finished / "adversarial" / "key" / ".0.safetensors.7.tmp"]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    assert foolbench("run", recipe_file, "--out", finished, *FAST)[0] == 0
    assert not [path for path in left if path.exists()]


LONG = "a" * 5000


@pytest.mark.parametrize(
    "arguments",
    [
        ("describe", f"hf:{LONG}"),
        ("describe", f"{LONG}.py:net"),
        ("describe", "torchvision:squeezenet1_1", "--set", f"weights={LONG}.pt"),
        ("describe", "torchvision:squeezenet1_1", "--set", f"weights={LONG}"),
        ("run", "quickstart", "--set", f"dataset=image-folder:{LONG}"),
        ("run", "quickstart", "--set", f"dataset=imagenet:{LONG}"),
        ("run", "quickstart", "--set", f"dataset=cifar10:{LONG}"),
        ("run", "quickstart", "--set", "models=['digits:convnet']", "--out", LONG),
        ("run", LONG),
        ("run", f"{LONG}.toml"),
        ("list", "attacks", "--plugin", f"{LONG}.py"),
        ("report", LONG),
        ("demo", LONG, "--model", "scenes:resnet"),
        ("demo", "--model", "scenes:resnet", "--out", f"{LONG}.png"),
    ],
    ids=lambda arguments: " ".join(arguments).replace(LONG, "LONG"),
)
def test_what_is_too_long_for_a_path(refused, arguments):
    refused(*arguments)


@pytest.mark.parametrize("value", ["[" * 5000, "[" * 5000 + "]" * 5000, "{a=" * 3000 + "1" + "}" * 3000])
@pytest.mark.parametrize("key", ["defenses", "seed", "x.y"])
def test_nesting_without_end(refused, recipe_file, key, value):
    refused("run", recipe_file, "--set", f"{key}={value}")


def test_a_recipe_of_brackets(refused, tmp_path):
    path = tmp_path / "deep.toml"
    path.write_text("name = " + "[" * 5000 + "]" * 5000)
    assert "deep.toml" in refused("plan", path)


def test_a_key_of_thousands_of_parts(refused, recipe_file):
    assert "at most 20 dots" in refused("run", recipe_file, "--set", f"{'.'.join('a' * 3000)}=1")


@pytest.mark.parametrize("device", ["hpu", "meta", "xla", "mps:9", "privateuseone"])
def test_devices_that_are_not_there(refused, recipe_file, device):
    assert device in refused("run", recipe_file, "--device", device)


def test_a_plugin_that_raises_anything(refused, recipe_file, tmp_path):
    plugin = tmp_path / "plugin.py"
    for error in ("GeneratorExit", "SystemExit(3)", "RecursionError", "StopIteration"):
        plugin.write_text(f"raise {error}")
        assert error.partition("(")[0] in refused("run", recipe_file, "--plugin", plugin)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("samples", 10**30),
        ("samples", "many"),
        ("models", 3),
        ("attacks", [[]]),
        ("name", None),
        ("threat", {"eps": {}}),
    ],
)
def test_a_manifest_with_other_values(refused, finished, key, value):
    manifest = json.loads((finished / "manifest.json").read_text())
    manifest["recipe"][key] = value
    del manifest["checksum"]
    (finished / "manifest.json").write_text(json.dumps(manifest | {"checksum": digest(manifest)}))
    assert "manifest.json" in refused("report", finished)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("samples=many", "Expected a whole number, got 'many'."),
        ("draws=0", "Expected more than 0, got 0."),
        ("models=[]", "Expected at least 1 of them, got []."),
        ("storage=uint16", "Expected one of 'float32' or 'uint8', got 'uint16'."),
        ("threat=5", "Expected a table, got 5."),
        ("name='..'", "name: Expected the name of a folder, without slashes and not hidden, got '..'."),
        ("expect_clean=high", "expect_clean: Expected expect_clean in percent, a number in 0..100, got 'high'."),
        ("expect_clean={'digits:convnet'=nan}", "a number in 0..100, got nan."),
        ("attacks=[{name = 'pgd', group = ''}]", "Expected the name of a group, without blanks around it, got ''."),
        ("attacks=[{name = 'pgd', steps = 'few'}]", "Expected a whole number, got 'few'."),
        ("attacks=[{name = 'pgd', norm = 'l7'}]", "got 'l7'."),
        ("defenses=[{name = 'jpeg', quality = 1.5}]", "Expected a whole number, got 1.5."),
    ],
)
def test_wrong_values_are_explained_in_our_words(refused, recipe_file, override, says):
    assert says in refused("plan", recipe_file, "--set", override)


@pytest.mark.parametrize("command", [["report", ""], ["run", "quickstart", "--out", " "]], ids=lambda c: c[0])
def test_a_variable_that_was_not_set_is_not_the_current_folder(foolbench, command):
    code, _, err = foolbench(*command)
    assert code == 2
    assert "expected the name of a folder" in " ".join(err.replace("│", " ").split())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("arguments", [["list", "recipes"], ["--version"]])
def test_a_full_standard_output(arguments):
    command = [Path(sys.executable).with_name("foolbench"), *arguments]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env={**os.environ})
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "Standard output cannot be written: No space left on device." in done.stderr


def test_a_full_disk_is_not_taken_for_standard_output(monkeypatch, tmp_path):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    monkeypatch.setattr(splits, "render_shard", lambda *arguments: SimpleNamespace(_asdict=dict))
    with pytest.raises(OutputError, match=r"weights\.safetensors cannot be written: No space left"):
        replace(ENTRIES["digits:linear"], net="weights", folder=tmp_path).save(nn.Linear(1, 1), "train", 0.5, "cpu")
    with pytest.raises(OutputError, match=r"checkpoint\.pt cannot be written: No space left"):
        fit(
            nn.Sequential(nn.Flatten(), nn.Linear(4, 2)),
            torch.zeros(4, 1, 2, 2, dtype=torch.uint8),
            torch.zeros(4, dtype=torch.int64),
            Training(epochs=1, shift=0),
            normalize=lambda x: x,
            checkpoint=tmp_path / "checkpoint.pt",
        )
    with pytest.raises(OutputError, match=r"000000\.npz cannot be written: No space left"):
        splits._render_into(tmp_path / "000000.npz", "test", 0, 8)
    (tmp_path / "plugins").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match=r"mine\.py cannot be written: "):
        Plugin(tmp_path / "mine.py", b"x = 1").load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" + b"\0" * 99, b"\x80\x02cos\nsystem\n.", b"\0" * 4096])
def test_a_foreign_checkpoint_is_refused_without_advice_to_trust_it(tmp_path, content):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content)
    with pytest.raises(Exception, match="Expected a checkpoint of foolbench") as caught:
        fit(
            nn.Linear(1, 1),
            torch.zeros(1, 1),
            torch.zeros(1),
            Training(epochs=1),
            normalize=lambda x: x,
            checkpoint=path,
        )
    assert "weights_only" not in str(caught.value)

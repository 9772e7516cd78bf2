"""`foolbench verify`: a true row holds, and of one that does not is said why."""

import shutil
import sys

import pandas as pd
import pytest
import torch
from foolbench.attacks import FGSM
from foolbench.core import OutputError
from foolbench.datasets import Digits, digits
from foolbench.evaluation.board.runs import read_run
from foolbench.evaluation.engine.provenance import maker
from foolbench.evaluation.ledger.ledger import Ledger
from foolbench.evaluation.recipe.plugins import REGISTRIES

FAST = ("samples=12", "attacks=[{name='fgsm'}]", "defenses=[{name='median'}]")

PLUGIN = '''
"""An attack that nobody else has."""
from dataclasses import dataclass
from foolbench.core import Attack, register_attack

@register_attack("my-shift")
@dataclass(frozen=True, kw_only=True)
class Shift(Attack):
    """Makes images darker."""
    access = "none"
    def perturb(self, model, x, y, *, rng):
        return x - self.eps
'''

NET = """
import torch
from torch import nn

def net():
    torch.manual_seed(SEED)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
"""


@pytest.fixture
def honest(execute, shared, tmp_path):
    """The folder of a run of two rows."""
    if not shared.exists():
        execute(shared, *FAST)
    return shutil.copytree(shared, tmp_path / "out")


@pytest.fixture
def falsify(tmp_path):
    """`falsify(row, column=text)` changes a table as an editor would."""

    def falsify(row, **changes):
        path = tmp_path / "out" / "leaderboard.csv"
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        for column, text in changes.items():
            table.loc[row - 1, column] = text
        table.to_csv(path, index=False)

    return falsify


def forget(file, name):
    """As if the process began anew: the file of an attack is imported again."""
    del REGISTRIES["attacks"]._classes[name]
    for key in [key for key, module in sys.modules.items() if getattr(module, "__file__", None) == str(file)]:
        del sys.modules[key]


def test_every_row_of_an_honest_run_holds_to_the_digit(execute, verify, tmp_path, monkeypatch):
    attacks = (
        "attacks=[{name='uniform-noise'}, {name='fgsm', group='both'}, {name='pgd', steps=3, group='both'},"
        "{name='gd-uap', prior='none', max_iterations=5},"
        "{name='autoattack', steps=5, queries=10, knowledge=['oblivious']}]"
    )
    defenses = "defenses=[{name='random-noise'}, {name='pca', training_images=20, components=9}]"
    few = ("samples=6", "draws=2", "eot_draws=2")
    table = execute("out", *few, "knowledge=['oblivious', 'adaptive']", "storage='uint8'", attacks, defenses)
    assert set(table.status) == {"ok"}
    for crafted in ("adversarial", "perturbations"):
        shutil.rmtree(tmp_path / "out" / crafted)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    code, out = verify("--all")
    assert code == 0, out
    assert out.count("every rate to the digit") == len(table) > 30
    assert f"{len(table)} of {len(table)} rows hold." in out
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


def test_a_table_with_its_manifest_beside_it_needs_no_recipe(honest, verify, tmp_path):
    table = shutil.copy(honest / "leaderboard.csv", tmp_path / "published.csv")
    shutil.copy(honest / "manifest.json", tmp_path / "published.manifest.json")
    code, out = verify("--all", of=table)
    assert code == 0, out
    assert "2 of 2 rows hold." in out
    (alone, by_folder) = (read_run(path) for path in (table, honest))
    for told in ("recipe", "data", "command", "commit", "written"):
        assert getattr(alone, told) == getattr(by_folder, told)
    assert not alone.has_folder
    frame = pd.read_csv(table, dtype=str, keep_default_na=False)
    frame.assign(run="0" * 12).to_csv(tmp_path / "other.csv", index=False)
    shutil.copy(honest / "manifest.json", tmp_path / "other.manifest.json")
    with pytest.raises(OutputError, match="it is of the run"):
        read_run(tmp_path / "other.csv")
    (tmp_path / "published.manifest.json").write_text("{}")
    code, err = verify("--all", of=table)
    assert code == 2
    assert "published.manifest.json" in err


def test_transfer_rows_hold_and_say_where_they_were_crafted(execute, verify, tmp_path):
    (tmp_path / "net.py").write_text(NET.replace("SEED", "1"))
    other = f"{tmp_path / 'net.py'}:net"
    execute(
        "out",
        *FAST,
        f"models=[{{name='{other}', weights='none'}}, 'digits:convnet']",
        "source_models=['digits:convnet']",
    )
    code, out = verify("--all")
    assert code == 0, out
    assert f"digits:convnet > {other} (weights=none) x fgsm" in out
    assert "4 of 4 rows hold." in out


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"gfr": "0.0"}, ", not 0.0, which nothing explains"),
        ({"gfr_low": "1.5"}, "not 1.5, which nothing explains"),
        ({"clean": "50.0"}, "not 50.0, which nothing explains"),
        ({"clean_drop": "44.0"}, "not 44.0, which nothing explains"),
        ({"floor": "20.0"}, "floor is 0.0, not 20.0"),
        ({"robust_high": "100"}, "not 100"),
        ({"n": "5000"}, "n is '12', not '5000'."),
        ({"sampling": "the best"}, "sampling is 'balanced, seed 0', not 'the best'."),
        ({"access": "none"}, "access is 'gradient', not 'none'."),
        ({"attack": "pgd"}, "has no attack pgd"),
        ({"defense_params": '{"size":7}'}, 'has no defense median {"size":7}'),
        ({"model_sha": "0123"}, "digits:convnet is another network: hash "),
        ({"behaviour": "0123"}, "digits:convnet does not answer to fixed images as it did."),
        ({"status": "pending"}, "It claims nothing: its status is pending."),
        ({"status": "error"}, "It failed then, and does not fail here."),
    ],
)
def test_a_falsified_row_is_told(honest, verify, falsify, changes, says):
    falsify(2, **changes)
    code, out = verify("--all")
    assert code == 1
    assert "row 2 DOES NOT HOLD" in out
    assert says in out
    assert "1 of 2 rows hold." in out, "the other row is as it was"


def test_a_number_that_changed_though_nothing_did_is_the_tables_fault(honest, verify, falsify):
    falsify(1, gfr="0.0")
    assert "All that is known of what decides it is as it was" in verify("--row", 1)[1]


def test_one_image_more_is_rounding_and_is_told(honest, verify, falsify):
    true = pd.read_csv(honest / "leaderboard.csv").gfr[0]
    one_more = round(true - 100 / 12, 2)
    falsify(1, gfr=str(one_more))
    code, out = verify("--row", 1)
    assert code == 0
    assert f"gfr is {true}, not {one_more}: within rounding" in out
    assert "to the digit" not in out


@pytest.mark.parametrize(
    ("edited", "code", "says", "told"),
    [
        (("x - self.eps", "x"), 1, "which nothing explains", True),
        (("x - self.eps", "x - 1 * self.eps"), 0, "row 1 holds", True),
        (("darker", "darker than before"), 0, "row 1 holds", False),  # in the docstring
    ],
)
def test_edited_code_of_a_plugin_is_told_whether_or_not_it_matters(
    foolbench, recipe_file, verify, tmp_path, edited, code, says, told
):
    plugin = tmp_path / "shift.py"
    plugin.write_text(PLUGIN)
    settings = [part for setting in ("attacks=[{name='my-shift'}]", "threat.eps=0.5") for part in ("--set", setting)]
    assert foolbench("run", recipe_file, "--plugin", plugin, "--out", tmp_path / "out", *settings)[0] == 0
    assert verify("--row", 1, "--plugin", plugin)[0] == 0
    forget(plugin, "my-shift")
    plugin.write_text(PLUGIN.replace(*edited))
    found, out = verify("--row", 1, "--plugin", plugin)
    assert found == code
    assert says in out
    assert ("The code behind my-shift is another now." in out) is told


def test_edited_code_of_a_defense_is_told_at_its_rows_only(honest, verify, monkeypatch):
    monkeypatch.setattr("foolbench.evaluation.grid.defenses._sources", lambda defense: ["edited"])
    code, out = verify("--all")
    assert code == 0
    assert out.count("is another now") == 1
    assert "The code behind median is another now." in out


def test_a_network_that_is_gone_is_told_and_the_other_is_verified(execute, verify, tmp_path):
    (tmp_path / "net.py").write_text(NET.replace("SEED", "1"))
    mine = f"{{name='{tmp_path / 'net.py'}:net', weights='none'}}"
    execute("out", *FAST, f"models=[{mine}, 'digits:convnet']")
    (tmp_path / "net.py").unlink()
    code, out = verify("--all")
    assert code == 1
    assert out.count("It cannot be computed here: ") == 2
    assert "net.py" in out
    assert "2 of 4 rows hold." in out


def test_a_source_that_is_gone_is_not_called_another_network(execute, verify, tmp_path):
    (tmp_path / "net.py").write_text(NET.replace("SEED", "1"))
    mine = f"{{name='{tmp_path / 'net.py'}:net', weights='none'}}"
    execute("out", *FAST, "models=['digits:convnet']", f"source_models=[{mine}]")
    (tmp_path / "net.py").unlink()
    code, out = verify("--row", 1)
    assert code == 1
    assert "net.py" in out
    assert "another network" not in out


def test_a_network_with_other_weights_is_another_one(execute, verify, tmp_path):
    path = tmp_path / "net.py"
    path.write_text(NET.replace("SEED", "1"))
    execute("out", *FAST, f"models=[{{name='{path}:net', weights='none'}}]")
    for key in [key for key, module in sys.modules.items() if getattr(module, "__file__", None) == str(path)]:
        del sys.modules[key]
    path.write_text(NET.replace("SEED", "2"))
    code, out = verify("--row", 1)
    assert code == 1
    assert "is another network: hash " in out


def test_other_data_are_told_whether_they_say_so_or_not(honest, verify, monkeypatch):
    (images, labels), fingerprint = digits._all(), Digits().fingerprint
    with monkeypatch.context() as patched:
        patched.setattr(Digits, "fingerprint", "another")
        assert "The data for digits:convnet are others: fingerprint another, not " in verify("--row", 1)[1]
    monkeypatch.setattr(digits, "_all", lambda: (images.roll(1, dims=-1), labels))
    monkeypatch.setattr(Digits, "fingerprint", fingerprint)
    code, out = verify("--row", 1)
    assert code == 1
    assert "It cannot be computed here: The data say that they are as when this run began" in out


def test_other_versions_and_hardware_are_a_reason_where_numbers_differ(execute, verify, falsify, monkeypatch):
    """Those that made the row, and not those of who went on with the run later."""
    execute("out", *FAST)
    here, threads = maker.versions, torch.get_num_threads()
    monkeypatch.setattr(maker, "versions", lambda addresses: here(addresses) | {"torch": "9.9"})
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads + 1)
    table = execute("out", *FAST, "attacks=[{name='fgsm'}, {name='pgd', steps=1}]")
    later = table.attack.tolist().index("pgd") + 1
    assert "It was made elsewhere" not in verify("--row", 1)[1]
    for row in (1, later):
        falsify(row, gfr="0.0")
    then, now = f"threads {threads} (here {threads + 1})", f"torch {here([])['torch']} (here 9.9)"
    out = verify("--row", 1)[1]
    assert f"It was made elsewhere: {now}, {then}." in out
    assert "It was made elsewhere" not in verify("--row", later)[1]


def test_a_network_is_known_again_in_spite_of_rounding(execute, verify, monkeypatch, tmp_path):
    """Its name in the run's ledger is kept; by outputs alone it would have another."""
    write = Ledger.write_behaviour
    with monkeypatch.context() as patched:
        patched.setattr(
            "foolbench.evaluation.engine.networks.prepare.recognized",
            lambda ledger, sha, found: write(ledger, sha, "as-rounded-there", found.to_bytes()) or "as-rounded-there",
        )
        assert set(execute("out", *FAST).behaviour) == {"as-rounded-there"}
    code, out = verify("--all")
    assert code == 0, out
    assert "does not answer" not in out
    (tmp_path / "out" / "ledger.sqlite").unlink()
    code, out = verify("--row", 1)
    assert code == 0, "without the ledger it may be rounding"
    assert "does not answer" in out


def test_an_error_is_a_claim_that_can_hold(execute, verify, monkeypatch):
    def broken(*arguments, **options):
        raise RuntimeError("out of order")

    execute("sound", *FAST)
    with monkeypatch.context() as patched:
        patched.setattr(FGSM, "perturb", broken)
        execute("out", *FAST)
        code, out = verify("--row", 1)
        assert code == 0
        assert "It fails here, too: RuntimeError: out of order" in out
    assert "It failed then, and does not fail here." in verify("--row", 1)[1]

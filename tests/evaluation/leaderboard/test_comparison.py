"""`foolbench.compare`: which rows are compared, with what, and that the numbers are those of the ledger's images."""

from contextlib import closing

import foolbench
import numpy as np
import pandas as pd
import pytest
from foolbench.core import ConfigError, InputError, OutputError, UnknownNameError
from foolbench.datasets import Digits
from foolbench.evaluation.ledger.ledger import Ledger
from foolbench.evaluation.report.comparison import COLUMNS
from foolbench.models import ENTRIES
from scipy.stats import binomtest
from torch.utils.data import TensorDataset

ATTACKS = "attacks=[{name='pgd', steps=3}, {name='uniform-noise'}]"
BOTH = 'knowledge=["oblivious", "adaptive"]'


@pytest.fixture
def run(execute, tmp_path):
    """`run(folder, *overrides)` runs the small recipe and returns where its results are."""

    def run(folder, *overrides):
        execute(folder, ATTACKS, *overrides)
        return tmp_path / folder

    return run


def fooled(folder, cell):
    """Image by image, as the ledger has it."""
    with closing(Ledger(folder / "ledger.sqlite", read_only=True)) as ledger:
        return ledger.outcomes(cell).frame("top1").set_index("sample").gfr


def test_every_defense_with_none_on_the_same_images(run):
    folder = run("out")
    found = foolbench.compare(folder)
    assert list(found.columns) == list(COLUMNS)
    assert found[["attack", "first", "second"]].to_numpy().tolist() == [
        [attack, "none", defense] for attack in ("pgd", "uniform-noise") for defense in ("bit-depth", "median")
    ]
    table = pd.read_csv(folder / "leaderboard.csv").set_index(["attack", "defense"])
    for _, row in found.iterrows():
        assert row.rate_first == table.gfr[row.attack, "none"]
        assert row.rate_second == table.gfr[row.attack, row.second]
        first, second = fooled(folder, row.cell_first), fooled(folder, row.cell_second)
        change = second - first  # by sample
        assert row.difference == pytest.approx(100 * change.mean(), abs=0.005)
        assert (row.only_first, row.only_second) == ((change < 0).sum(), (change > 0).sum())
        if change.any():
            p = binomtest(int((change > 0).sum()), int((change != 0).sum())).pvalue
            assert row.p == pytest.approx(p)
    assert (found.p_holm >= found.p).all()
    assert found.p_holm[found.p.idxmin()] == pytest.approx(min(1, 4 * found.p.min()))


def test_each_with_each_and_another_baseline(run):
    folder = run("out", "attacks=[{name='pgd', steps=3}]")
    pairs = foolbench.compare(folder, all_pairs=True)[["first", "second"]].to_numpy().tolist()
    assert pairs == [["none", "bit-depth"], ["none", "median"], ["bit-depth", "median"]]
    pairs = foolbench.compare(folder, baseline="median")[["first", "second"]].to_numpy().tolist()
    assert pairs == [["median", "none"], ["median", "bit-depth"]]


def test_attacks_and_what_they_know(run):
    folder = run("out", "defenses=[{name='median'}]", BOTH)
    found = foolbench.compare(folder, by="attack")
    assert found[["first", "second", "defense", "knowledge"]].to_numpy().tolist() == [
        ["pgd", "uniform-noise", defense, "oblivious"] for defense in ("none", "median")
    ]  # noise that knows a defense is the same noise
    (known,) = foolbench.compare(folder, by="knowledge").to_dict("records")
    assert (known["first"], known["second"], known["defense"]) == ("oblivious", "adaptive", "median")
    gap = pd.read_csv(folder / "leaderboard.csv").gfr_gap.dropna()
    assert known["difference"] == pytest.approx(gap.item(), abs=0.011)


def test_defenses_that_attacks_know_are_compared_with_the_bare_network(run):
    found = foolbench.compare(run("out", "defenses=[{name='median'}]", BOTH))
    told = found[["attack", "knowledge", "first", "second"]].to_numpy().tolist()
    assert told == [
        [*what, "none", "median"]
        for what in (("pgd", "oblivious"), ("uniform-noise", "oblivious"), ("pgd", "adaptive"))
    ]
    assert found.rate_first[0] == found.rate_first[2]


def test_namesakes_are_told_apart(run):
    folder = run("out", "attacks=[{name='pgd', steps=3}, {name='pgd', steps=1}]", "defenses=[]")
    (pair,) = foolbench.compare(folder, by="attack").to_dict("records")
    assert (pair["first"], pair["second"]) == ("pgd steps 3", "pgd steps 1")


def test_a_worst_case_is_compared_with_others_than_its_members(run):
    group = "{name='fgsm', group='g'}, {name='uniform-noise', group='g'}, {name='pgd', steps=3}"
    found = foolbench.compare(run("out", f"attacks=[{group}]", "defenses=[]"), by="attack")
    pairs = {frozenset(name.partition(" ")[0] for name in pair) for pair in found[["first", "second"]].to_numpy()}
    assert pairs == {
        frozenset(pair) for pair in (("fgsm", "uniform-noise"), ("fgsm", "pgd"), ("uniform-noise", "pgd"), ("g", "pgd"))
    }


def test_two_models(tmp_path):
    data = TensorDataset(*Digits().load(range(16)))
    nets = {name: ENTRIES["digits:convnet"].load() for name in ("one", "two")}
    foolbench.evaluate(nets, data, attacks=["fgsm"], eps="40/255", out=tmp_path / "out", silent=True, device="cpu")
    (pair,) = foolbench.compare(tmp_path / "out", by="model").to_dict("records")
    assert (pair["first"], pair["second"], pair["difference"], pair["p"]) == ("one", "two", 0, 1)
    assert pd.isna(pair["images_needed"])
    assert pair["model"] is None
    (pair,) = foolbench.compare(tmp_path / "out", by="model", of="robust").to_dict("records")
    assert pair["rate"] == "robust"
    table = pd.read_csv(tmp_path / "out" / "leaderboard.csv")
    assert pair["rate_first"] == table.robust[0]


def test_randomized_systems_are_compared_by_permutations(run):
    found = foolbench.compare(run("out", "defenses=[{name='random-noise', scale=0.3}]", "draws=3", "samples=40"))
    assert set(found.test) == {"permutation"}
    assert found.only_first.isna().all()


def test_clusters_are_what_is_compared(tmp_path):
    class Paired(Digits):
        def clusters(self, samples):
            return [sample // 2 for sample in samples]

    foolbench.evaluate(
        ENTRIES["digits:convnet"].load(),
        Paired(),
        attacks=["fgsm"],
        defenses=["median"],
        eps="20/255",
        samples=24,
        sampling="first",
        out=tmp_path / "out",
        silent=True,
        device="cpu",
    )
    (pair,) = foolbench.compare(tmp_path / "out").to_dict("records")
    assert (pair["test"], pair["n"], pair["clusters"]) == ("permutation", 24, 12)


def test_equal_rows_of_two_runs(run):
    one, two = run("one"), run("two", "defenses=[{name='median'}]", "attacks=[{name='pgd', steps=3}, {name='fgsm'}]")
    found = foolbench.compare(one, two)
    assert found[["setting", "first", "second"]].to_numpy().tolist() == [
        [f"digits:convnet x pgd x {defense}, oblivious", str(one), str(two)] for defense in ("none", "median")
    ]
    assert np.allclose(found.difference, 0)


def test_other_attacks_and_defenses_of_another_run(run):
    one = run("one", "defenses=[]")
    two = run("two", "defenses=[{name='median'}]", "attacks=[{name='fgsm'}]")
    pairs = foolbench.compare(one, two, by="attack", baseline="pgd")
    assert pairs[["first", "second", "defense"]].to_numpy().tolist() == [["pgd", "fgsm", "none"]]
    assert foolbench.compare(one, run("three"), by="defense").second.tolist() == ["bit-depth", "median"] * 2
    with pytest.raises(InputError, match=r"no attack is in both \(pgd, uniform-noise; fgsm\)"):
        foolbench.compare(one, two)


@pytest.mark.parametrize(
    ("overrides", "differs"),
    [
        (["samples=23"], r"number of images \(24, 23\)"),
        (["seed=1"], "sampling"),
        (["sampling=first"], r"sampling \(balanced, seed 0, first\)"),
    ],
)
def test_other_images_are_refused(run, overrides, differs):
    with pytest.raises(InputError, match=differs):
        foolbench.compare(run("one", "defenses=[]"), run("two", "defenses=[]", *overrides))


def test_other_data_and_another_version_are_refused(tmp_path, monkeypatch):
    def evaluate(folder, x, y):
        data = TensorDataset(x, y)
        net = {"net": ENTRIES["digits:convnet"].load()}
        foolbench.evaluate(net, data, attacks=["fgsm"], eps=0.1, out=tmp_path / folder, silent=True, device="cpu")
        return tmp_path / folder

    x, y = Digits().load(range(16))
    one, two = evaluate("one", x, y), evaluate("two", 1 - x, y)
    with pytest.raises(InputError, match="hash of the images"):
        foolbench.compare(one, two)
    monkeypatch.setattr("foolbench.evaluation.grid.identity.version", lambda name: "99.0")
    with pytest.raises(InputError, match=r"version of foolbench \([^,]+, 99\.0\)"):
        foolbench.compare(one, evaluate("three", x, y))


@pytest.mark.usefixtures("broken_attack")
def test_failed_rows_have_an_error_and_unfinished_ones_are_refused(run):
    folder = run("out", "attacks=[{name='toy-broken'}, {name='fgsm'}]", "defenses=[{name='median'}]")
    broken, fine = foolbench.compare(folder).to_dict("records")
    assert (broken["status"], fine["status"]) == ("error", "ok")
    assert "no luck today" in broken["error"]
    assert pd.isna(broken["p"])
    assert fine["p_holm"] == fine["p"]  # the only one
    with closing(Ledger(folder / "ledger.sqlite")) as ledger:
        ledger.forget(fine["cell_second"])
    with pytest.raises(InputError, match="digits:convnet x fgsm x median is not run yet"):
        foolbench.compare(folder)


def test_what_cannot_be_compared(run, tmp_path):
    folder = run("out", "defenses=[]")
    for arguments, error, says in (
        ({}, InputError, "Nothing in .* can be compared by defense"),
        ({"by": "colour"}, ConfigError, "by to be one of defense, attack"),
        ({"of": "clean"}, ConfigError, "of to be one of gfr, robust"),
        ({"by": "attack", "baseline": "pdg"}, UnknownNameError, "did you mean 'pgd'"),
        ({"baseline": "none", "all_pairs": True}, ConfigError, "baseline"),
        ({"other": folder, "baseline": "none"}, ConfigError, "baseline"),
        ({"other": tmp_path / "nowhere"}, OutputError, "nowhere"),
    ):
        with pytest.raises(error, match=says):
            foolbench.compare(folder, **arguments)


def test_without_labels_nothing_is_right(tmp_path):
    net, images = ENTRIES["digits:convnet"].load(), Digits().load(range(8))[0]
    options = {"attacks": ["fgsm"], "defenses": ["median"], "eps": 0.1, "silent": True, "device": "cpu"}
    foolbench.evaluate(net, images, out=tmp_path / "out", **options)
    assert len(foolbench.compare(tmp_path / "out")) == 1
    with pytest.raises(InputError, match="no labels"):
        foolbench.compare(tmp_path / "out", of="robust")

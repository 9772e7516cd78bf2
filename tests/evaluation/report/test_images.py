"""Image by image: the means are the rates of the table, and a worst case is the union of its members."""

import foolbench as package
import pandas as pd
import pytest
from foolbench.core import ConfigError


@pytest.fixture
def run(execute, tmp_path):
    grouped = "attacks=[{name='uniform-noise', group='both'}, {name='pgd', steps=2, group='both'}]"
    return tmp_path / "run", execute("run", grouped, "defenses=[{name='bit-depth'}]", "samples=16")


def test_the_means_are_the_rates_of_the_rows(run):
    folder, table = run
    found = package.image_scores(folder)
    assert len(found) == 16 * len(table)
    means = found.groupby("row")[["gfr", "clean", "robust", "floor"]].mean() * 100
    assert list(means.index) == list(range(1, len(table) + 1))
    for rate in ("gfr", "clean", "robust", "floor"):
        assert means[rate].to_numpy() == pytest.approx(table[rate].to_numpy(), abs=0.006)
    names = found.groupby("row")[["attack", "defense"]].first()
    assert list(names.attack) == list(table.attack)
    assert list(names.defense) == list(table.defense)


def test_a_worst_case_is_fooled_where_a_member_is(run):
    folder, table = run
    of = {
        attack: package.image_scores(folder, int(number) + 1).set_index("sample").gfr
        for number, attack in table.query("defense == 'bit-depth'").attack.items()
    }
    assert (of["both"] == pd.concat([of["uniform-noise"], of["pgd"]], axis=1).max(axis=1)).all()


def test_robust_is_the_lower_of_clean_and_attacked(run):
    folder, table = run
    found = package.image_scores(folder)
    single = found[found.row.isin(table.index[table.attack != "both"] + 1)]
    assert (single.robust == single[["clean", "attacked"]].min(axis=1)).all()
    assert (found.robust <= found[["clean", "attacked"]].min(axis=1)).all()


def test_the_command_writes_them(run, foolbench):
    folder, _ = run
    assert foolbench("report", folder, "--images")[0] == 0
    written, found = pd.read_csv(folder / "images.csv"), package.image_scores(folder)
    for empty in ("seed", "source_defense", "source_defense_params"):
        assert written.pop(empty).isna().all()
        assert found.pop(empty).isna().all()
    pd.testing.assert_frame_equal(written, found, check_dtype=False)


@pytest.mark.parametrize("number", [0, 99])
def test_a_row_that_is_not_there(run, number):
    with pytest.raises(ConfigError, match="row from 1 to 6"):
        package.image_scores(run[0], number)


def test_attacks_with_seeds_stand_beside_attacks_without(execute, tmp_path, foolbench):
    table = execute("some", "attacks=[{name='random-sign', seeds=2}, {name='fgsm'}]", "defenses=[]", "samples=8")
    found = package.image_scores(tmp_path / "some")
    means = found.groupby("row").gfr.mean() * 100
    assert means.to_numpy() == pytest.approx(table.gfr.to_numpy(), abs=0.006)
    assert found.groupby("row").seed.first().fillna("none").tolist() == ["0", "1", "mean", "none"]
    assert foolbench("report", tmp_path / "some", "--images")[0] == 0


def test_each_seed_is_a_row_of_its_own(execute, tmp_path):
    table = execute("seeds", "attacks=[{name='random-sign', seeds=3, eps=0.3}]", "defenses=[]", "samples=16")
    found = package.image_scores(tmp_path / "seeds")
    means = found.groupby("row").gfr.mean() * 100
    assert list(means.index) == [1, 2, 3, 4]
    assert means.to_numpy() == pytest.approx(table.gfr.to_numpy(), abs=0.006)
    assert list(found.groupby("row").seed.first().astype(str)) == ["0", "1", "2", "mean"]

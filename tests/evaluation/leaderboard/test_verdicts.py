"""Gates are judged with the interval, and the number of images that would decide is the one that does."""

import numpy as np
import pytest
from foolbench.core import ConfigError
from foolbench.evaluation.grid.planned import planned
from foolbench.evaluation.leaderboard.stats import Estimate, estimate
from foolbench.evaluation.leaderboard.verdicts import images_to_decide
from foolbench.evaluation.opening.recipes import load_recipe


def of(successes, count):
    return estimate(np.arange(count) < successes, proportion=True)


@pytest.mark.parametrize(("successes", "count", "limit"), [(0, 16, 0.1), (3, 24, 0.3), (24, 24, 0.9), (50, 100, 0.45)])
def test_with_so_many_images_wilsons_interval_leaves_the_limit_out(successes, count, limit):
    rate = of(successes, count)
    assert rate.low < limit < rate.high
    needed = images_to_decide(rate, limit, count, wilson=True)

    def decides(images):
        low, high = of_rate(rate.mean, images)
        return not low < limit < high

    assert decides(needed)
    assert not decides(needed - 1)


def of_rate(rate, count, z=1.959963984540054):
    """Wilson's interval of any rate, by its closed form (1927)."""
    middle = (rate + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * (rate * (1 - rate) / count + z * z / (4 * count**2)) ** 0.5
    return middle - half, middle + half


def test_the_closed_form_is_the_interval_of_the_tables():
    rate = of(7, 40)
    assert of_rate(7 / 40, 40) == pytest.approx((rate.low, rate.high))


def test_other_intervals_shrink_with_the_root_of_the_count():
    assert images_to_decide(Estimate(0.2, 0.1, 0.3), 0.25, 100, wilson=False) == 400
    assert images_to_decide(Estimate(0.2, 0.1, 0.3), 0.18, 100, wilson=False) == 2500


def test_of_a_rate_on_its_limit_no_number_of_images_decides():
    assert images_to_decide(of(5, 50), 0.1, 50, wilson=True) is None
    assert images_to_decide(of(0, 50), 0.0, 50, wilson=True) is None


@pytest.fixture
def loaded(tmp_path, quick_text):
    def loaded(more="", beside=None, text=quick_text):
        path = tmp_path / "gated.toml"
        path.write_text(text + more)
        if beside is not None:
            (tmp_path / "gated.gates.toml").write_text(beside)
        return load_recipe(str(path))

    return loaded


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("gfr_max = 5\nattack = 'pdg'", "Unknown attack in a gate: 'pdg': did you mean 'pgd'"),
        ("gfr_max = 5\ndefense = 'median size 3'", "Unknown defense in a gate"),
        ("gfr_max = 5\nattack = 'pgd'\nknowledge = 'adaptive'", "Unknown knowledge in a gate: 'adaptive'"),
        ("attack = 'pgd'", "Expected a gate with gfr_max, drop_max, clean_min or robust_min"),
        ("gfr_max = 105", "a number in 0..100, got 105"),
        ("gfr_max = '5'", "Expected a number, got '5'"),
        ("gfr_mx = 5", "did you mean 'gfr_max'"),
    ],
)
def test_a_gate_that_says_nothing_is_an_error(loaded, gate, message):
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        loaded(f"[[gates]]\n{gate}\n")


def test_things_that_do_not_meet_in_a_row_are_an_error(loaded):
    both = "[[gates]]\nattack = 'uniform-noise'\ndefense = 'median'\nknowledge = 'adaptive'\ngfr_max = 5\n"
    with pytest.raises(ConfigError, match="none is of attack = 'uniform-noise', defense = 'median'"):
        loaded(both, text='knowledge = ["oblivious", "adaptive"]\n' + RECIPE)


RECIPE = """
name = "gated"
dataset = "digits"
samples = 24
models = ["digits:convnet"]
[threat]
eps = "40/255"
[[attacks]]
name = "uniform-noise"
[[attacks]]
name = "pgd"
steps = 5
[[attacks]]
name = "pgd"
steps = 2
[[defenses]]
name = "median"
"""


def test_gates_beside_the_recipe_are_added_to_its_own(loaded):
    recipe = loaded("[[gates]]\ngfr_max = 5\n", beside="[[gates]]\nattack = 'pgd'\nrobust_min = 50\n")
    assert [gate.chosen for gate in recipe.gates] == [{}, {"attack": "pgd"}]
    assert [str(bound) for gate in recipe.gates for bound in gate.bounds] == ["gfr_max = 5", "robust_min = 50"]


@pytest.mark.parametrize("beside", ["", "samples = 3\n", "[[gates]]\ngfr_max = 5\n[other]\n", "[["])
def test_a_file_of_gates_that_holds_something_else_is_an_error(loaded, beside):
    with pytest.raises(ConfigError, match=r"gated\.gates\.toml"):
        loaded(beside=beside)


def test_gates_change_no_number(loaded):
    assert loaded("[[gates]]\ngfr_max = 5\n").content == loaded().content


def test_rows_have_short_names_and_gates_name_them_as_tables_do(loaded):
    recipe = loaded("[[gates]]\nattack = 'pgd steps 2'\ngfr_max = 5\n", text=RECIPE)
    rows = planned(recipe)
    assert [row.name for row in rows] == [
        f"convnet-{defense}-{attack}"
        for attack in ("uniform-noise", "pgd-steps-5", "pgd-steps-2")
        for defense in ("none", "median")
    ]
    (gate,) = recipe.gates
    assert [row.name for row in rows if gate.matches(row.facts, row.labels)] == [
        "convnet-none-pgd-steps-2",
        "convnet-median-pgd-steps-2",
    ]


def test_names_tell_networks_sources_and_knowledge_apart(tmp_path):
    path = tmp_path / "transfer.toml"
    text = RECIPE.replace('models = ["digits:convnet"]', 'models = ["digits:convnet", "a.py:net", "b.py:net"]')
    for file in ("a.py", "b.py"):
        (tmp_path / file).write_text("def net(): ...\n")
    text = text.replace("a.py", f"{tmp_path}/a.py").replace("b.py", f"{tmp_path}/b.py")
    path.write_text('knowledge = ["oblivious", "adaptive"]\nsource_models = ["digits:convnet"]\n' + text)
    names = [row.name for row in planned(load_recipe(str(path)))]
    assert len(set(names)) == len(names)
    assert {"convnet-none-uniform-noise", "convnet-median-pgd-steps-5-adaptive"} <= set(names)
    assert any(name.startswith("convnet-to-") and name.endswith("a.py-net-none-pgd-steps-2") for name in names)

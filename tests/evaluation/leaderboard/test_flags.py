"""The signs of masked gradients, on scores made by hand."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from foolbench.attacks import FGSM, GDUAP, PGD, UAP, ConfidentPGD, Square, UniformNoise
from foolbench.attacks.adaptive import MoreDraws, Transfer
from foolbench.evaluation.leaderboard.flags import Finding, compare, fingerprint, resistance_flags, twice
from foolbench.evaluation.leaderboard.stats import larger

EPS = 8 / 255


def finding(attack, fooled, count=200, direct=True, **facts):
    gfr = np.zeros(count)
    gfr[: round(fooled * count)] = 1
    return Finding(attack, pd.DataFrame({"gfr": gfr}), direct, **facts)


def flags(*findings):
    for pair in combinations(findings, 2):
        compare(*pair)
    return [found.flags for found in findings]


def resists(attack, fooled, **facts):
    """Within an interval that reaches three points further."""
    return resistance_flags(finding(attack, fooled, **facts), lambda: 100 * fooled + 3) == {"resists-any-eps"}


def test_nothing_is_wrong_with_what_grows_stronger():
    found = flags(
        finding(UniformNoise(eps=EPS), 0.05), finding(FGSM(eps=EPS), 0.5), finding(PGD(eps=EPS), 0.9),
        finding(PGD(eps=2 * EPS), 0.95), finding(Square(eps=EPS), 0.8),
    )  # fmt: skip
    assert found == [set()] * 5


def test_one_step_beats_iterative():
    assert flags(finding(FGSM(eps=EPS), 0.6), finding(PGD(eps=EPS), 0.5)) == [{"one-step-beats-iterative"}] * 2


@pytest.mark.parametrize("attack", [Square(eps=EPS), UniformNoise(eps=EPS)], ids=lambda a: type(a).__name__)
def test_black_box_beats_white_box(attack):
    assert flags(finding(attack, 0.6), finding(PGD(eps=EPS), 0.5)) == [{"black-box-beats-white-box"}] * 2


def test_what_an_ensemble_transfers_first_may_be_weaker_than_a_black_box():
    assert flags(finding(Square(eps=EPS), 0.6), finding(Transfer(eps=EPS), 0.5)) == [set()] * 2


def test_a_black_box_that_goes_on_where_others_failed_beats_nobody():
    survivors = finding(Square(eps=EPS), 0.6)
    survivors.after = PGD(eps=EPS)
    assert flags(survivors, finding(PGD(eps=EPS), 0.5)) == [set()] * 2


@pytest.mark.parametrize(
    ("strong", "weak"),
    [
        (PGD(eps=EPS), PGD(eps=2 * EPS)),
        (PGD(eps=EPS, steps=5), PGD(eps=EPS, steps=50)),
        (FGSM(eps=EPS), PGD(eps=EPS)),
        (PGD(eps=EPS), PGD(eps=EPS)),
    ],
    ids=["budget", "steps", "one step", "same attack"],
)
def test_what_is_crafted_on_two_other_networks_is_not_compared(strong, weak):
    elsewhere = [
        finding(attack, rate, direct=False, source=source)
        for attack, rate, source in ((strong, 0.6, "one"), (weak, 0.5, "another"))
    ]
    assert flags(*elsewhere) == [set()] * 2


def test_a_transfer_attack_beats_the_one_that_sees_the_network():
    transfer = finding(PGD(eps=EPS), 0.6, direct=False, source="another")
    assert flags(transfer, finding(PGD(eps=EPS), 0.5, source="own")) == [{"transfer-beats-white-box"}] * 2


def test_a_transfer_attack_need_not_fool_all_within_any_budget():
    huge = PGD(eps=0.5)
    assert not resists(huge, 0.5, direct=False, source="another")
    assert resists(huge, 0.5, source="own")


def test_a_smaller_budget_fools_more():
    found = flags(finding(PGD(eps=EPS), 0.6), finding(PGD(eps=2 * EPS), 0.5))
    assert found == [{"falls-with-eps"}] * 2


@pytest.mark.parametrize(
    "pair",
    [
        (FGSM(eps=2 * EPS), PGD(eps=EPS)),  # another budget
        (FGSM(eps=EPS, norm="l2"), PGD(eps=EPS)),  # another norm
        (Square(eps=EPS), FGSM(eps=EPS)),  # one step is easily beaten
        (UniformNoise(eps=EPS), GDUAP(eps=EPS)),  # a universal perturbation, too
        (PGD(eps=EPS, steps=5), PGD(eps=2 * EPS, steps=50)),  # other parameters
    ],
    ids=["eps", "norm", "one step", "universal", "parameters"],
)
def test_what_cannot_be_compared_is_not(pair):
    assert flags(finding(pair[0], 0.9), finding(pair[1], 0.3)) == [set(), set()]


def test_an_attack_that_did_not_see_the_system_need_not_win():
    pair = [finding(FGSM(eps=0.5), 0.6, direct=False), finding(PGD(eps=0.5), 0.5, direct=False)]
    assert flags(*pair) == [set(), set()]


@pytest.mark.parametrize("attack", [FGSM(eps=EPS), PGD(eps=EPS), GDUAP(eps=EPS)], ids=lambda a: type(a).__name__)
def test_transfer_beats_white_box(attack):
    pair = finding(attack, 0.6, direct=False), finding(PGD(eps=EPS, steps=7), 0.5)
    assert flags(*pair) == [{"transfer-beats-white-box"}] * 2


def test_budgets_are_compared_with_equal_knowledge():
    pair = finding(PGD(eps=EPS), 0.6, direct=False), finding(PGD(eps=2 * EPS), 0.5)
    assert flags(*pair) == [set(), set()]


def test_chance_is_no_sign():
    found = [finding(FGSM(eps=EPS), 0.52), finding(PGD(eps=EPS), 0.5)]
    found[0].scores["gfr"] = found[0].scores.gfr[::-1].to_numpy()  # 104 images against 100 others
    assert flags(*found) == [set(), set()]


@pytest.mark.parametrize(("fooled", "eps", "flagged"), [(0.8, 0.5, True), (0.99, 0.5, False), (0.8, 0.1, False)])
def test_a_huge_budget_must_fool_almost_all(fooled, eps, flagged):
    assert resists(PGD(eps=eps), fooled) == flagged
    assert flags(finding(FGSM(eps=eps), fooled)) == [set()]


def test_larger_is_a_sign_test():
    a, b = np.zeros(100), np.zeros(100)
    assert not larger(a, b)
    a[:6] = 1
    assert not larger(a, b)  # 2 ** -6 = 0.0156
    a[:7] = 1
    assert larger(a, b)  # 2 ** -7 = 0.0078
    assert not larger(b, a)
    b[7:10] = 1
    assert not larger(a, b)  # 7 against 3


def test_images_of_one_cluster_are_one_witness():
    a, b = np.repeat([1.0, 0.0], 50), np.zeros(100)
    assert larger(a, b, clusters=range(100))
    assert not larger(a, b, clusters=np.arange(100) // 10)  # 5 of 5 clusters: 2 ** -5 = 0.03
    assert larger(a, b, clusters=np.arange(100) // 7)  # 8 of 8
    b[10:20] = 3  # the cluster as a whole goes the other way
    assert not larger(a, b, clusters=np.arange(100) // 7)  # 5 against 3


def test_what_an_attack_knows_should_not_mislead_it():
    """FGSM as well, from which nothing else is asked."""
    twins = finding(FGSM(eps=EPS), 0.44, direct=False), finding(FGSM(eps=EPS), 0.23)
    assert flags(*twins) == [{"oblivious-beats-adaptive"}] * 2
    others = finding(FGSM(eps=EPS), 0.44, direct=False), finding(FGSM(eps=EPS, norm="l2"), 0.23)
    assert flags(*others) == [set()] * 2


@pytest.mark.parametrize(
    ("better", "worse", "flagged"),
    [
        (PGD(eps=EPS, steps=5), PGD(eps=EPS, steps=50), True),
        (PGD(eps=EPS, steps=5), PGD(eps=EPS, steps=50, restarts=2), True),
        (PGD(eps=EPS, steps=50), PGD(eps=EPS, steps=5), False),
        (PGD(eps=EPS, steps=50), PGD(eps=EPS, steps=5, restarts=2), False),
        (PGD(eps=EPS, steps=5), PGD(eps=EPS, steps=50, step_size=0.1), False),
        (Square(eps=EPS, queries=10), Square(eps=EPS, queries=100), True),
    ],
    ids=repr,
)
def test_a_longer_run_should_not_be_weaker(better, worse, flagged):
    assert flags(finding(better, 0.6), finding(worse, 0.5)) == [{"shorter-run-wins"} if flagged else set()] * 2


@pytest.mark.parametrize(("fooled", "flagged"), [(0.6, True), (0.5, False)])
def test_an_expectation_that_has_not_settled(fooled, flagged):
    half, all_of_them = MoreDraws(eps=EPS, most=0.5), MoreDraws(eps=EPS, least=1.0)
    found = [finding(half, 0.5), finding(all_of_them, fooled)]
    found[0].after, found[1].after = PGD(eps=EPS), half
    assert flags(*found) == [{"draws-not-settled"} if flagged else set()] * 2


@pytest.mark.parametrize(
    ("seconds", "jobs", "flagged"),
    [((1.5, 1.5), "ab", True), ((1.5, 1.6), "ab", False), ((1.5, 1.5), "aa", False), ((0.0, 0.0), "ab", False)],
)
def test_one_result_under_two_names(seconds, jobs, flagged):
    found = [finding(PGD(eps=EPS), 0.5), finding(FGSM(eps=EPS), 0.5)]
    for one, spent in zip(found, seconds, strict=True):
        one.scores["seconds"] = spent
    cells = {
        str(place): (job, fingerprint(one.scores)) for place, (job, one) in enumerate(zip(jobs, found, strict=True))
    }
    assert twice(cells) == ({"0", "1"} if flagged else set())


def test_an_attack_that_wants_something_else_need_not_win():
    aimed = PGD(eps=EPS, aim="nearer")
    assert flags(finding(FGSM(eps=EPS), 0.6), finding(aimed, 0.1), finding(UniformNoise(eps=EPS), 0.5)) == [set()] * 3
    assert not resists(PGD(eps=0.6, aim="nearer"), 0.1)
    assert flags(finding(FGSM(eps=EPS), 0.6), finding(ConfidentPGD(eps=EPS, confidence=0.9), 0.1)) == [set()] * 2
    assert resists(PGD(eps=0.6), 0.1)


@pytest.mark.parametrize(
    ("strong", "weak"),
    [
        (UAP(eps=EPS), UAP(eps=2 * EPS)),
        (GDUAP(eps=EPS, max_iterations=10), GDUAP(eps=EPS, max_iterations=100)),
    ],
    ids=["budget", "length"],
)
def test_attacks_that_saw_other_training_images_are_not_compared(strong, weak):
    alike = flags(finding(strong, 0.6, training="many"), finding(weak, 0.5, training="many"))
    assert alike[0] == alike[1]
    assert len(alike[0]) == 1
    assert flags(finding(strong, 0.6, training="many"), finding(weak, 0.5, training="few")) == [set()] * 2


def test_attacks_that_saw_other_training_images_are_no_twins():
    attack = GDUAP(eps=EPS, prior="data")
    twins = [finding(attack, 0.6, direct=False), finding(attack, 0.4, through="the defense")]
    assert flags(*twins) == [{"oblivious-beats-adaptive"}] * 2
    others = [finding(attack, 0.6, direct=False, training="photographs"), finding(attack, 0.4, through="the defense")]
    assert flags(*others) == [set()] * 2

"""What explains that a number came out otherwise, and what does not."""

from pathlib import Path

import pytest
from foolbench.evaluation.leaderboard.columns import COLUMNS, TEXTS
from foolbench.evaluation.leaderboard.stats import estimate
from foolbench.evaluation.report.agreement import deviations


def row(n=256, gfr=128, clean=250, robust=100, floor=0.0, **changed):
    """As a table would have it, for so many images of `n`."""
    numbers = {}
    for name, count in {"gfr": gfr, "clean": clean, "robust": robust}.items():
        rate = estimate([1] * count + [0] * (n - count), proportion=True)
        numbers |= {name: rate.mean, f"{name}_low": rate.low, f"{name}_high": rate.high}
    rates = {name: f"{round(100 * value, 2)}" for name, value in numbers.items()}
    return {"n": f"{n}", "unit": "percent", "floor": f"{floor}", "clean_drop": "1.5", **rates, **changed}


def explained(claimed, found, *, chance=False):
    return {one.column: one.explained for one in deviations(claimed, found, chance=chance)}


NOT_COMPARED = {"clean_drop_rel", "gfr_gap", "gfr_over_pgd10", "forwards_mean", "backwards_mean", "seconds"}
GIVEN = {"n", "clusters", "eps", "error"}


@pytest.mark.parametrize("column", sorted(set(COLUMNS) - set(TEXTS) - GIVEN))
def test_every_number_is_compared_or_said_not_to_be(column):
    """One that is out by far, in a row that has them all."""
    whole = {**dict.fromkeys(set(COLUMNS) - set(TEXTS), "0.031"), **row(successes="31")}
    assert explained(whole, whole, chance=True) == {}
    found = explained(whole | {column: "-99"}, whole, chance=True)
    assert found == ({} if column in NOT_COMPARED else {column: ""})
    told = (Path(__file__).parents[3] / "docs" / "numbers.md").read_text()
    assert column not in NOT_COMPARED or f"`{column}`" in told


@pytest.mark.parametrize("successes", ["", "0", "0.0"])
def test_where_no_attack_succeeded_nothing_can_be_recovered(successes):
    claimed = row(successes=successes, recovered="")
    assert explained(claimed, claimed) == {}


@pytest.mark.parametrize("column", ["linf_max", "l2_mean", "layer_shift"])
@pytest.mark.parametrize(("claimed", "holds"), [("0.0311", True), ("0.5", False), ("0.01", False), ("lots", False)])
def test_a_size_may_be_out_by_a_tenth(column, claimed, holds):
    assert explained(row(**{column: claimed}), row(**{column: "0.031"})) == {column: "rounding" if holds else ""}


def test_equal_numbers_are_no_difference_however_they_are_written():
    assert explained(row(), row(gfr_low=f"{float(row()['gfr_low']):.4f}", floor="0")) == {}


def test_images_without_labels_have_no_clean_rate_and_that_is_no_difference():
    empty = dict.fromkeys([f"{rate}{end}" for rate in ("clean", "robust") for end in ("", "_low", "_high")], "")
    assert explained(row() | empty, row() | empty) == {}


@pytest.mark.parametrize(("n", "off", "holds"), [(24, 1, True), (24, 2, False), (256, 2, True), (256, 3, False)])
@pytest.mark.parametrize("rate", ["gfr", "clean", "robust"])
def test_rounding_is_one_image_or_one_in_a_hundred(n, off, holds, rate):
    base = {"n": n, "gfr": n // 2, "clean": n - 4, "robust": n // 3}
    found = explained(row(**base), row(**base | {rate: base[rate] - off}))
    assert bool(found.pop(rate)) == holds
    assert all(found.values()), "the ends of an interval follow its rate"


def test_where_chance_has_a_part_the_interval_counts_for_attacked_rates_only():
    claimed, found = row(), row(gfr=138, robust=108, clean=244)
    assert explained(claimed, found, chance=True)["gfr"] == "its interval"
    assert explained(claimed, found, chance=True)["robust"] == "its interval"
    assert explained(claimed, found, chance=True)["clean"] == ""
    assert explained(claimed, found)["gfr"] == ""


def test_beyond_the_interval_chance_explains_nothing():
    assert explained(row(), row(gfr=160), chance=True)["gfr"] == ""


def test_an_interval_that_was_widened_excuses_nothing():
    """63 points lie in 40-70, but 50 does not lie in the interval that 63 has."""
    found = explained(row(gfr_low="40.0", gfr_high="70.0"), row(gfr=161), chance=True)
    assert found["gfr"] == ""
    assert explained(row(gfr_low="0.0"), row(), chance=True) == {"gfr_low": ""}


@pytest.mark.parametrize("column", ["gfr", "gfr_high", "clean", "floor", "robust_low", "clean_drop"])
@pytest.mark.parametrize("text", ["nan", "lots", "99.99"])
def test_any_number_that_is_none_or_far_off_is_unexplained(column, text):
    claimed = row(floor=2.0) | {column: text}
    assert explained(claimed, row(floor=2.0))[column] == ""


@pytest.mark.parametrize("column", ["clean", "robust", "gfr_low", "floor", "clean_drop", "layer_shift", "detected"])
def test_what_a_table_does_not_claim_is_no_difference(column):
    """As older tables that have no such column. A number that is gone now is one, and a finished row without a rate."""
    whole = row(layer_shift="0.2", detected="40.0")
    without = {name: text for name, text in whole.items() if name != column}
    assert explained(whole | {column: ""}, whole) == explained(without, whole) == {}
    assert explained(whole, whole | {column: ""}) == {column: ""}
    assert explained(whole | {"gfr": ""}, whole)["gfr"] == ""


@pytest.mark.parametrize("column", ["detected", "rejected_clean", "corrected", "gfr_area", "gfr_area_queries"])
def test_rates_without_an_interval_are_compared_too(column):
    claimed = row(**{column: "40.0"})
    assert explained(claimed, row(**{column: "40.0"})) == {}
    assert explained(claimed, row(**{column: "40.9"})) == {column: "rounding"}
    assert explained(claimed, row(**{column: "48.0"})) == {column: ""}
    assert explained(claimed, row(**{column: "48.0"}), chance=True) == {column: "its interval"}
    assert explained(claimed, row(**{column: "80.0"}), chance=True) == {column: ""}


def of_error(clean=0.092, robust=0.61, drop=0.0, gfr=0.38):
    """Of 240 images whose errors have a standard deviation of a third of their mean."""
    numbers = {"clean": clean, "robust": robust, "gfr": gfr}
    half = 1.96 / 3 / 240**0.5
    ends = {
        f"{name}_{end}": f"{value * (1 + sign * half):.5f}"
        for name, value in numbers.items()
        for end, sign in (("low", -1), ("high", 1))
    }
    rates = {name: f"{value:.5f}" for name, value in numbers.items()}
    return {"n": "240", "unit": "error", "floor": "0.0", "clean_drop": f"{drop:.5f}", **rates, **ends}


@pytest.mark.parametrize("chance", [False, True])
@pytest.mark.parametrize(("column", "forged"), [("clean", 0.05), ("robust", 0.3), ("drop", 0.05), ("gfr", 0.1)])
def test_a_forged_error_is_seen_however_small_its_unit(column, forged, chance):
    found = explained(of_error(**{column: forged}), of_error(), chance=chance)
    assert found["clean_drop" if column == "drop" else column] == ""


def test_an_error_that_is_off_by_the_hundredth_part_of_what_images_differ_is_rounded():
    assert explained(of_error(robust=0.61 + 0.01 * 0.61 / 3), of_error())["robust"] == "rounding"
    assert explained(of_error(robust=0.61 + 0.02 * 0.61 / 3), of_error())["robust"] == ""

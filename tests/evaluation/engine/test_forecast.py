"""What a run will cost is what it then costs, as far as counts go; seconds are a matter of the machine."""

from contextlib import closing
from dataclasses import dataclass
from typing import ClassVar

import pytest
from foolbench.core import LearnedTransform, Perturbation, register_defense
from foolbench.core.passes import Passes
from foolbench.evaluation.engine.cache.cache import Cache
from foolbench.evaluation.engine.forecast import calibration, trial
from foolbench.evaluation.engine.forecast.calibration import Calibration, Calibrator
from foolbench.evaluation.engine.forecast.forecast import forecast
from foolbench.evaluation.engine.forecast.foreseen import Foreseen
from foolbench.evaluation.engine.forecast.impatience import Enough, Impatience, Watch
from foolbench.evaluation.engine.forecast.rates import Call, Rate
from foolbench.evaluation.engine.forecast.remaining import Remaining
from foolbench.evaluation.engine.networks.networks import batches
from foolbench.evaluation.engine.networks.prepare import prepare
from foolbench.evaluation.engine.networks.setup import Setup
from foolbench.evaluation.engine.work.planning import Pending, Plan
from foolbench.evaluation.ledger.ledger import Costs, Ledger
from foolbench.evaluation.opening.recipes import load_recipe


@pytest.mark.parametrize(("once", "call", "each"), [(0, 0, 3), (5, 0, 1), (5, 2, 1), (0, 2, 4)])
def test_a_line_is_found_again(once, call, each):
    calls = [Call(n, Costs(once * (k == 0) + call + n * each, 0, 1)) for k, n in enumerate((2, 4, 12))]
    rate = Rate.of(calls)
    assert rate.costs(60, first=True).forwards == pytest.approx(once + call + 60 * each)
    assert rate.costs(60, first=False).forwards == pytest.approx(call + 60 * each)
    assert rate.costs(60, first=False).backwards == 0


def test_a_hiccup_in_a_small_call_makes_no_image_free():
    rate = Rate.of([Call(2, Costs(seconds=1)), Call(4, Costs(seconds=30)), Call(12, Costs(seconds=6))])
    assert rate.each.seconds >= 0.25


@pytest.mark.parametrize(
    ("calls", "each"),
    [([Call(1, Costs(7))], 7), ([Call(2, Costs(20)), Call(4, Costs(12))], 3), ([Call(4, Costs(9))] * 3, 2.25)],
)
def test_fewer_calls_tell_what_they_can(calls, each):
    assert Rate.of(calls).each.forwards == each


def watch(validations, reports, total=40, patience=0.0):
    """What a watch takes a search for whose reports are (iterations done, forwards by then)."""
    passes = Passes()
    found = Watch(passes, validations, patience)
    for done, forwards in reports:
        passes.forwards = forwards
        found.look(done, total)


@pytest.mark.parametrize(
    ("validations", "reports", "whole"),
    [
        (0, [(10, 120), (20, 220)], 120 + 30 * 10),
        (0, [(0, 100), (1, 130), (4, 200)], 100 + 40 * 30),
        (4, [(0, 100), (1, 155), (2, 160)], 100 + 50 + 40 * 5 + 4 * 50),
        (4, [(0, 100), (1, 155), (1, 155), (5, 175)], 100 + 50 + 40 * 5 + 4 * 50),
    ],
)
def test_of_a_search_that_is_broken_off_iterations_and_validations_are_extrapolated(validations, reports, whole):
    with pytest.raises(Enough) as caught:
        watch(validations, reports)
    assert caught.value.whole.forwards == pytest.approx(whole)


def test_validations_among_the_iterations_that_were_seen_are_not_counted_twice(monkeypatch):
    """With patience for thirty iterations, three of whose validations are seen."""
    reports = [(done, 100 + (done > 0) * 50 + 5 * done + done // 10 * 50) for done in range(31)]
    clock = iter(range(1000))
    monkeypatch.setattr("foolbench.evaluation.engine.forecast.impatience.time.perf_counter", lambda: next(clock))
    with pytest.raises(Enough) as caught:
        watch(4, reports, patience=30.0)
    assert caught.value.whole.forwards == pytest.approx(100 + 50 + 40 * 5 + 4 * 50)


def test_a_search_that_is_over_is_not_broken_off():
    watch(0, [(0, 0), (40, 100)])
    watch(4, [(0, 0), (1, 10), (40, 100)])
    watch(0, [(0, 0), (1, 10)], patience=100.0)


def test_only_a_watched_step_is_broken_off(silent):
    impatience = Impatience(silent)
    with impatience.step("", 1, "") as bar:
        bar.at(0, 4, "")
        bar.at(1, 4, "")
    with impatience.watched(Watch(Passes(), 0, 0.0)), impatience.step("", 1, "") as bar:
        bar.at(0, 4, "")
        with pytest.raises(Enough):
            bar.at(1, 4, "")


@pytest.fixture
def calibrate(tmp_path, quick_text, silent):
    """`calibrate(*overrides)`: the prepared recipe with its calibration."""

    def calibrate(*overrides):
        path = tmp_path / "recipe.toml"
        path.write_text(quick_text)
        recipe = load_recipe(str(path), list(overrides))
        with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
            prepared = prepare(recipe, ledger)
            setup = Setup.of(prepared, ledger, tmp_path / "pilot", "cpu")
            return prepared, Calibrator(prepared, setup, silent).calibrate()

    return calibrate


SETTINGS = (
    "samples=40",
    "knowledge=['oblivious', 'adaptive']",
    "attacks=[{name='pgd', steps=5}, {name='gd-uap', prior='none', max_iterations=40, validate_every=10},"
    "{name='autoattack', steps=3, queries=10, knowledge=['oblivious']}]",
    "defenses=[{name='bit-depth'}, {name='random-noise'}]",
)


@pytest.fixture(scope="module")
def memory():
    return {}


@pytest.fixture
def spent(execute, monkeypatch, memory):
    """The passes of the run itself, forwards and backwards; it is run once."""
    if not memory:
        made, begin = [], Passes.__init__
        with monkeypatch.context() as patch:
            patch.setattr(Passes, "__init__", lambda self: (made.append(self), begin(self))[1])
            execute("out", *SETTINGS)
        memory.update({name: sum(getattr(one, name) for one in made) for name in ("forwards", "backwards")})
    return memory


@pytest.mark.parametrize("patience", [100.0, 0.0], ids=["whole searches", "searches broken off"])
def test_the_passes_of_a_run_are_foreseen(spent, calibrate, monkeypatch, patience):
    monkeypatch.setattr(calibration, "PATIENCE", patience)
    prepared, found = calibrate(*SETTINGS)
    foreseen = forecast(prepared, found)
    assert found.failed == {}
    assert foreseen.cells == 22
    assert foreseen.backwards == pytest.approx(spent["backwards"], rel=0.1)
    assert foreseen.forwards == pytest.approx(
        spent["forwards"], rel=0.25
    )  # how many images are left to an ensemble is chance
    assert foreseen.memory > 1e8
    assert foreseen.disk > 40 * 64 * 4 * 2


@dataclass(frozen=True, kw_only=True)
class Diligent(LearnedTransform):
    """Asks the network about each training image twice, and needs a few of them."""

    training_images: int = 100
    differentiable = True
    randomized = False
    needs_model = True
    least: ClassVar[int] = 2
    lessons: ClassVar[list[int]] = []

    def learn(self, data, *, rng):
        self.lessons.append(len(data.images))
        if len(data.images) < self.least:
            raise ValueError("too few")
        for _ in range(2):
            data.model.predict(data.images)
        return {"mean": data.images.mean(dim=0)}

    def transform(self, x, learned, *, rng):
        return x


@pytest.mark.parametrize(
    ("long", "quick", "least", "lessons", "left"),
    [
        (0.0, 0.0, 2, [8], 200),
        (0.0, 1000.0, 2, [8, 32], 200),
        (1000.0, 0.0, 2, [8, 100], 0),
        (0.0, 0.0, 50, [8, 100], 0),
    ],
    ids=["long", "two trials", "short", "needs more"],
)
def test_what_a_defense_learns_is_foreseen_or_kept(calibrate, monkeypatch, tmp_path, long, quick, least, lessons, left):
    register_defense("diligent")(Diligent)
    Diligent.lessons.clear()
    monkeypatch.setattr(Diligent, "least", least)
    monkeypatch.setattr(trial, "LONG", long)
    monkeypatch.setattr(trial, "QUICK", quick)
    settings = "attacks=[{name='fgsm'}, {name='pgd', steps=1}]", "defenses=[{name='diligent'}]"
    prepared, found = calibrate(*settings)
    assert found.failed == {}
    assert Diligent.lessons == lessons
    assert sum(costs.forwards for costs in found.lessons.values()) == pytest.approx(left)
    assert len(list((tmp_path / "pilot" / "learned").glob("*"))) == (not left)
    assert (forecast(prepared, found).learning > 0) == bool(left)


def test_what_fails_is_said_and_costs_nothing(calibrate, broken_attack):
    prepared, found = calibrate("attacks=[{name='toy-broken'}, {name='fgsm'}]")
    assert set(found.failed.values()) == {"RuntimeError: no luck today"}
    assert forecast(prepared, found).backwards >= 24


def test_two_processes_share_the_work(calibrate):
    prepared, found = calibrate("samples=64", "attacks=[{name='fgsm'}]", "defenses=[]", "batch_size=8")
    rate = Rate(once=Costs(), call=Costs(), each=Costs(1, 1, 1.0))
    even = Calibration(looks=dict.fromkeys(found.looks, rate), scores=dict.fromkeys(found.scores, rate))
    one, two = forecast(prepared, even, 1), forecast(prepared, even, 2)
    assert (one.seconds, two.seconds) == (128, 64)
    assert one.forwards == two.forwards == 128


def test_a_stand_in_is_no_perturbation_of_the_run(calibrate, tmp_path):
    calibrate("attacks=[{name='gd-uap', prior='none', max_iterations=5}]")
    (kept,) = (tmp_path / "pilot" / "perturbations").glob("*.safetensors")
    assert not Perturbation.load(kept).delta.any()


def test_what_was_foreseen_lies_in_the_cache_for_the_run(calibrate, tmp_path, monkeypatch):
    settings = "attacks=[{name='fgsm'}, {name='gd-uap', prior='none', max_iterations=5, validate_every=5}]"
    register_defense("diligent")(Diligent)
    monkeypatch.setattr(trial, "LONG", 0.0)
    prepared, found = calibrate(settings, "batch_size=16", "defenses=[{name='diligent'}]")
    cache, grid, samples = Cache(tmp_path / "cache"), prepared.grid, prepared.facts.samples
    Foreseen(cache, grid, "cpu").keep(found)
    plan = Plan(grid=grid, batches=list(batches(samples, prepared.recipe.shard)), known=(), kept=())
    for job, row in grid.rows:
        plan.add(job, [Pending(cell, grid.key(cell), set(samples)) for cell in row])
    remaining = Remaining(plan.waits, Foreseen(cache, grid, "cpu").seconds(plan), 1)
    assert remaining.seconds() == pytest.approx(forecast(prepared, found).seconds)
    assert Foreseen(Cache(tmp_path / "empty"), grid, "cpu").seconds(plan) == {}

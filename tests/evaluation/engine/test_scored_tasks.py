"""The key `task` of a recipe says how predictions are scored, for tasks that leave it open."""

from dataclasses import replace

import pytest
import torch
from foolbench import compare
from foolbench.attacks import PGD
from foolbench.core import ConfigError, Draws, InputError
from foolbench.datasets import load_dataset
from foolbench.evaluation.report.manifest import read_manifest
from foolbench.models import load_model
from foolbench.tasks import Depth
from foolbench.tasks.segmentation import mean_iou

DEPTH = ("dataset='scenes-depth'", "models=['scenes:monodepth-vgg']", "samples=3", "sampling='first'", "defenses=[]")
MAPS = ("dataset='scenes-segmentation'", "models=['scenes:fcn-alex']", "samples=3", "sampling='first'", "defenses=[]")
ATTACK = "attacks=[{name='pgd', eps=0.02, norm='linf', steps=2, random_start=false}]"


def test_depth_is_scored_and_attacked_within_the_crop(execute, tmp_path):
    table = execute("out", *DEPTH, ATTACK, "task={crop='garg', max_depth=6.0}").set_index("metric")
    model, (x, y) = load_model("scenes:monodepth-vgg"), load_dataset("scenes-depth").load(range(3))
    cropped = replace(model.task, crop="garg", max_depth=6.0)
    assert read_manifest(tmp_path / "out")[1].task == cropped
    found = PGD(eps=0.02, steps=2, random_start=False)(model.doing(cropped), x, rng=Draws.of(0, samples=range(3)))
    clean, attacked = cropped.predict(model(x)), cropped.predict(model(found))
    for name in ("delta1", "abs-rel"):
        metric = cropped.metrics[name]
        right, fooled = metric.per_image(clean, y).mean(), metric.lack(metric.per_image(attacked, clean)).mean()
        assert table.clean[name] == pytest.approx(float(right) * (100 if name == "delta1" else 1), abs=0.006)
        assert table.gfr[name] == pytest.approx(100 * float(fooled), abs=0.006)
    assert table.gfr["delta1"] > 1
    whole = execute("whole", *DEPTH, ATTACK).set_index("metric")
    assert whole.clean["abs-rel"] != table.clean["abs-rel"]
    assert whole.model_sha.iloc[0] != table.model_sha.iloc[0]


def test_classes_that_no_map_shows_count_where_they_are_asked_for(execute):
    table = execute("out", *MAPS, ATTACK, "task={absent_as_zero=true}").set_index("metric")
    model = load_model("scenes:fcn-alex")
    x, y = load_dataset("scenes-segmentation").load(range(3))
    counts = model.task.metrics["miou"].statistics(model.predict(x), y).numpy().astype(float).sum(axis=0)
    assert table.clean["miou"] == pytest.approx(100 * mean_iou(counts, absent_as_zero=True), abs=0.006)
    assert mean_iou(counts, absent_as_zero=True) < mean_iou(counts)


def test_what_is_scored_otherwise_is_not_compared(execute, tmp_path):
    for name, more in (("one", ()), ("other", ("task={crop='garg'}",))):
        execute(name, *DEPTH, ATTACK, *more)
    with pytest.raises(InputError, match="differ in task"):
        compare(tmp_path / "one", tmp_path / "other")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("task={classes=3}", "set min_depth, max_depth, crop of depth, got 'classes'"),
        ("task={crop='middle'}", "'middle'"),
        ("task={max_depth=0.0}", "max_depth"),
        ("task=3", "task"),
    ],
)
def test_what_is_no_setting_of_the_task_is_refused(execute, settings, says):
    with pytest.raises(ConfigError, match=says):
        execute("out", *DEPTH, ATTACK, settings)


def test_recognition_has_nothing_to_set(execute):
    with pytest.raises(ConfigError, match="be left out, for recognition"):
        execute("out", "task={classes=10}")


def test_a_model_for_another_task_is_another_model():
    model = load_model("scenes:monodepth-vgg")
    other = model.doing(Depth(crop="eigen"))
    assert (other.task.crop, model.task.crop) == ("eigen", "none")
    assert other.sha != model.sha
    assert torch.equal(other.net(torch.zeros(1, *model.shape)), model.net(torch.zeros(1, *model.shape)))

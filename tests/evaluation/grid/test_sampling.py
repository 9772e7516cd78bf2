"""Which images a run takes: some of every class, and with more of them the same ones first."""

import json
from collections import Counter

import pytest
import torch
from foolbench.core import OutputError
from foolbench.datasets import Digits, digits
from foolbench.evaluation.engine.scoring.system import System
from foolbench.evaluation.grid.sampling import sample
from torch.nn import functional as F


class Sorted:
    """Labels of a folder sorted by class: 50 of the first, 30, 10, and 2 of the last."""

    labels = torch.tensor([0] * 50 + [1] * 30 + [2] * 10 + [3] * 2)

    def __len__(self):
        return 92


class Unlabelled(Sorted):
    labels = None


@pytest.mark.parametrize("count", [1, 4, 7, 40])
def test_classes_take_turns_as_long_as_they_last(count):
    classes = Counter(Sorted.labels[list(sample(Sorted(), count, "balanced", 0))].tolist())
    most = max(classes.values())
    for label, there in enumerate([50, 30, 10, 2]):
        assert min(there, most - 1) <= classes[label] <= most


@pytest.mark.parametrize("sampling", ["balanced", "random", "first"])
@pytest.mark.parametrize("dataset", [Sorted(), Unlabelled(), Digits()])
def test_more_samples_begin_with_fewer_and_none_comes_twice(dataset, sampling):
    everything = sample(dataset, len(dataset), sampling, 3)
    assert sorted(everything) == list(range(len(dataset)))
    for count in (1, 5, 33):
        assert sample(dataset, count, sampling, 3) == everything[:count]


def test_it_is_seeded_and_first_is_as_they_lie():
    for sampling in ("balanced", "random"):
        assert sample(Sorted(), 9, sampling, 0) == sample(Sorted(), 9, sampling, 0) != sample(Sorted(), 9, sampling, 1)
    assert sample(Sorted(), 9, "first", 0) == tuple(range(9))


def test_random_keeps_the_shares_of_the_classes():
    classes = Counter(Sorted.labels[list(sample(Sorted(), 46, "random", 0))].tolist())
    assert 17 <= classes[0] <= 33  # 25 expected of 46, standard deviation 2.4
    assert sample(Unlabelled(), 9, "balanced", 5) == sample(Sorted(), 9, "random", 5)


@pytest.fixture
def changing(monkeypatch):
    """The digits under a constant fingerprint; `changing(images=..., labels=...)` gives them other content."""
    whole = tuple(part.clone() for part in digits._all())
    monkeypatch.setattr(Digits, "fingerprint", "constant")
    monkeypatch.setattr(digits, "_all", lambda: whole)

    def change(images=lambda x: x, labels=lambda y: y):
        before = digits._all()
        monkeypatch.setattr(digits, "_all", lambda: (images(before[0]), labels(before[1])))

    return change


def blurred(x):
    """Of each four pixels their mean, which leaves all that a thumbnail shows."""
    return F.interpolate(F.avg_pool2d(x.float(), 2), scale_factor=2).round().byte()


CHANGES = {
    "image of sample": {"images": lambda x: x.roll(1, dims=-1)},
    "the image of sample": {"images": lambda x: blurred(x)},
    "target of sample": {"labels": lambda y: (y + 1) % 10},
}


@pytest.mark.parametrize("what", CHANGES)
def test_changed_data_are_noticed_under_a_fingerprint_that_stayed(execute, changing, what):
    execute("out", "attacks=[{name='fgsm'}]", "defenses=[]")
    changing(**CHANGES[what])
    with pytest.raises(OutputError, match=f"fingerprint constant.*{what} .* choose another --out"):
        execute("out", "attacks=[{name='fgsm'}]", "defenses=[]")


def test_another_rounding_is_no_change(execute, changing, assert_same):
    first = execute("out", "attacks=[{name='fgsm'}]", "defenses=[]")
    changing(images=lambda x: x.clamp(max=254) + (torch.arange(64).reshape(8, 8) % 2).byte())
    assert_same(execute("out", "attacks=[{name='fgsm'}]", "defenses=[]"), first)


def test_the_manifest_lists_the_samples_and_the_rows_say_how_they_were_chosen(execute, tmp_path):
    table = execute("out", "attacks=[{name='fgsm'}]", "defenses=[]", "samples=20", "seed=4")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert set(table.sampling) == {manifest["sampling"]} == {"balanced, seed 4"}
    labels = Digits().labels[manifest["samples"]].tolist()
    assert Counter(labels) == Counter(list(range(10)) * 2)


def test_the_images_scored_are_those_of_the_sample(execute, monkeypatch):
    scored, score = [], System.score
    monkeypatch.setattr(System, "score", lambda self, *rest: scored.append(rest[0]) or score(self, *rest))
    execute("out", "attacks=[{name='fgsm'}]", "defenses=[]", "samples=20", "batch_size=8")
    assert [len(shard.samples) for shard in scored] == [8, 8, 4]
    for shard in scored:
        assert torch.equal(shard.x, Digits().load(shard.samples)[0])
        assert torch.equal(shard.y, Digits().labels[list(shard.samples)])

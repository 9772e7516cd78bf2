"""Defenses that learn: once for all runs, kept on this machine, and each with a sentence where it cannot."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
import torch
from foolbench.core import Learned, LearnedTransform, register_defense
from foolbench.datasets import Digits
from foolbench.defenses import PCA, Compose, OddsAreOdd, Quilting
from foolbench.evaluation.cli import train
from foolbench.evaluation.engine.cache.shelf import Shelf
from foolbench.evaluation.engine.networks.school import School
from PIL import Image
from safetensors.torch import load_file

FOR_DEFENSES = (("--set", "share=1"), ("--seed", "0"), ("--dataset", "x"), ("--model", "x"))
BOTH = "knowledge=['oblivious', 'adaptive']"
PGD_ONLY = "attacks=[{name='pgd', steps=5, norm='linf'}]"


@dataclass(frozen=True, kw_only=True)
class MeanPull(LearnedTransform):
    """Part of the way to the mean of the training images."""

    training_images: int = 20
    part: float = 0.2
    differentiable = True
    randomized = False
    lessons = []  # noqa: RUF012 (counts the calls of the test)

    def learn(self, data, *, rng):
        self.lessons.append(len(data.images))
        data.progress(1, 1)
        return {"mean": data.images.mean(dim=0)}

    def transform(self, x, learned, *, rng):
        return torch.lerp(x, learned["mean"].expand_as(x), self.part)


@pytest.fixture
def mean_pull():
    MeanPull.lessons.clear()
    register_defense("mean-pull")(MeanPull)
    return MeanPull


def test_a_defense_that_learns_does_so_once(execute, mean_pull, tmp_path):
    settings = (BOTH, PGD_ONLY, "defenses=[{name='mean-pull'}]")
    first = execute("out", *settings)
    assert set(first.status) == {"ok"}
    again = execute("again", *settings)
    assert mean_pull.lessons == [20]
    pd.testing.assert_frame_equal(first.drop(columns="seconds"), again.drop(columns="seconds"))
    (kept,) = (tmp_path / "cache" / "learned").iterdir()
    kept.write_bytes(b"damaged")
    execute("third", *settings)
    assert mean_pull.lessons == [20, 20]


def test_python_learns_the_same(execute, digits_model, tmp_path):
    execute("out", PGD_ONLY, "defenses=[{name='quilting', patches=50, training_images=20}]", "seed=3")
    images = Digits().training(20)[0].float() / 255
    (kept,) = (tmp_path / "cache" / "learned").iterdir()
    for seed, same in ((3, True), (4, False)):
        fitted = Quilting(patches=50, training_images=20).fit(images, model=digits_model, seed=seed)
        assert (fitted.learned == Learned(load_file(kept))) is same


def test_another_configuration_or_seed_learns_anew(execute, mean_pull):
    execute("out", PGD_ONLY, "defenses=[{name='mean-pull'}, {name='mean-pull', part=0.4}]")
    execute("out", PGD_ONLY, "defenses=[{name='mean-pull'}]", "seed=1")
    assert len(mean_pull.lessons) == 3


def test_a_chain_may_hold_what_learns(execute, mean_pull):
    chain = "defenses=[{name='compose', steps=[{name='mean-pull'}, {name='jpeg'}]}]"
    assert set(execute("out", BOTH, PGD_ONLY, chain).status) == {"ok"}
    assert mean_pull.lessons == [20]


def test_what_cannot_learn_fails_alone(execute, mean_pull, monkeypatch):
    monkeypatch.setattr(mean_pull, "learn", lambda self, data, *, rng: {}["lesson"])
    table = execute("out", BOTH, PGD_ONLY, "defenses=[{name='mean-pull'}, {name='jpeg'}]").set_index("defense")
    assert table.status.groupby(level=0).agg(set).to_dict() == {"none": {"ok"}, "jpeg": {"ok"}, "mean-pull": {"error"}}
    assert set(table.error["mean-pull"]) == {"ConfigError: mean-pull cannot learn: KeyError: 'lesson'"}


def test_what_cannot_learn_is_not_taught_for_every_attack(execute, mean_pull, monkeypatch):
    def fail(self, data, *, rng):
        self.lessons.append(len(data.images))
        raise ValueError("too dull")

    monkeypatch.setattr(mean_pull, "learn", fail)
    table = execute("out", BOTH, "attacks=[{name='fgsm'}, {name='pgd', steps=2}]", "defenses=[{name='mean-pull'}]")
    assert (table.status == "error").sum() == 4
    assert mean_pull.lessons == [20]


def test_where_nothing_can_be_kept_a_run_goes_on_and_a_lesson_is_not_begun(
    execute, foolbench, mean_pull, tmp_path, capsys
):
    (tmp_path / "cache").write_text("a file where the folder should be")
    table = execute("out", PGD_ONLY, "defenses=[{name='mean-pull'}, {name='jpeg'}]")
    assert set(table.status) == {"ok"}
    assert capsys.readouterr().err.count("cannot be written (Not a directory)") == 1
    assert mean_pull.lessons == [20]
    code, _, err = foolbench("train", "mean-pull", "--dataset", "digits", "--model", "digits:convnet")
    assert code == 2
    assert "Expected a folder that can be written to" in " ".join(err.split())
    assert mean_pull.lessons == [20]


def test_scores_of_what_was_learned_before_and_anew_are_not_mixed(execute, mean_pull, monkeypatch, tmp_path):
    settings = (PGD_ONLY, "defenses=[{name='mean-pull'}, {name='jpeg'}]")
    execute("out", *settings, "samples=8")
    _forget(tmp_path / "cache", tmp_path / "out")
    monkeypatch.setattr(mean_pull, "learn", lambda self, data, *, rng: {"mean": data.images.mean(dim=0) / 2})
    table = execute("out", *settings, "samples=24").set_index("defense")
    assert table.status.to_dict() == {"none": "ok", "mean-pull": "error", "jpeg": "ok"}
    assert "learned anew since this run began" in table.error["mean-pull"]


def test_a_run_goes_on_with_what_it_has_learned_though_the_cache_is_cleared(execute, mean_pull, tmp_path):
    settings = (PGD_ONLY, "defenses=[{name='mean-pull'}]")
    execute("out", *settings, "samples=8")
    _forget(tmp_path / "cache")
    table = execute("out", *settings, "samples=24")
    assert set(table.status) == {"ok"}
    assert mean_pull.lessons == [20]
    assert list((tmp_path / "cache" / "learned").iterdir())  # for other runs


def _forget(*folders):
    for folder in folders:
        for kept in (folder / "learned").iterdir():
            kept.unlink()


def test_a_parameter_that_the_repr_hides_is_another_lesson(execute, tmp_path):
    @register_defense("hidden-pull")
    @dataclass(frozen=True, kw_only=True)
    class HiddenPull(MeanPull):
        share: float = field(default=1.0, repr=False)

        def learn(self, data, *, rng):
            return {"mean": self.share * data.images.mean(dim=0)}

    def clean(*shares):
        defenses = ", ".join(f"{{name='hidden-pull', part=0.9, share={share}}}" for share in shares)
        table = execute("-".join(map(str, shares)), PGD_ONLY, f"defenses=[{defenses}]")
        return table.clean.tolist()[1:]

    assert clean(1.0, 0.0) == [*clean(1.0), *clean(0.0)]
    assert len(set(clean(1.0, 0.0))) == 2


def test_who_asks_the_network_while_it_learns_must_say_so(execute, mean_pull, monkeypatch):
    """Or what one network taught it would be used for all."""

    def learn(self, data, *, rng):
        return {"mean": data.images.mean(dim=0) * data.model.logits(data.images).mean().sigmoid()}

    monkeypatch.setattr(mean_pull, "learn", learn)
    table = execute("out", PGD_ONLY, "defenses=[{name='mean-pull'}]").set_index("defense")
    assert "add needs_model = True" in table.error["mean-pull"]
    monkeypatch.setattr(mean_pull, "needs_model", True)
    assert set(execute("out", PGD_ONLY, "defenses=[{name='mean-pull'}]").status) == {"ok"}


def test_train_teaches_a_defense_for_later_runs(foolbench, execute, mean_pull):
    digits = ("--dataset", "digits", "--model", "digits:convnet")
    code, out, _ = foolbench("train", "mean-pull", *digits, "--set", "part=0.3")
    assert code == 0
    assert "MeanPull-" in out
    execute("out", PGD_ONLY, "defenses=[{name='mean-pull', part=0.3}]")
    assert mean_pull.lessons == [20]
    foolbench("train", "mean-pull", *digits, "--set", "part=0.3")
    assert mean_pull.lessons == [20, 20]


def test_train_refuses_a_defense_that_changes_the_network(foolbench, mean_pull, monkeypatch, tmp_path):
    def learn(self, data, *, rng):
        data.model.net.register_forward_hook(lambda module, inputs, output: -output)
        return {"mean": data.images.mean(dim=0)}

    monkeypatch.setattr(mean_pull, "learn", learn)
    monkeypatch.setattr(mean_pull, "needs_model", True)
    code, _, err = foolbench("train", "mean-pull", "--dataset", "digits", "--model", "digits:convnet")
    assert code == 2
    assert "MeanPull has changed digits:convnet" in " ".join(err.split())
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


def test_train_teaches_on_pictures_what_a_run_finds(foolbench, execute, mean_pull, tmp_path):
    for place, pixels in enumerate((Digits().load(range(30))[0] * 255).round().byte()):
        Image.fromarray(pixels[0].numpy()).save(tmp_path / f"{place}.png")
    (tmp_path / "data.py").write_text(
        "from foolbench.datasets import load_dataset\n"
        f"pictures = lambda: load_dataset('image-folder:{tmp_path}', train_share=0.5)\n"
    )
    code, _, _ = foolbench(
        "train", "mean-pull", "--dataset", f"{tmp_path}/data.py:pictures", "--model", "digits:convnet"
    )
    assert (code, len(mean_pull.lessons)) == (0, 1)
    where = f"dataset='{tmp_path}/data.py:pictures'"
    table = execute("out", PGD_ONLY, where, "samples=8", "defenses=[{name='mean-pull'}]")
    assert set(table.status) == {"ok"}
    assert len(mean_pull.lessons) == 1, "what was taught is found"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["jpeg"], "jpeg learns nothing"),
        (["mean-pull", "--set", "share=1"], "Unknown parameter"),
        (["mean-pull", "--model", "nonesuch"], "Unknown model"),
        (["mean-pull", "--dataset", "nonesuch"], "Unknown dataset"),
        (["nonesuch"], "Unknown network or defense to train"),
        (["mean-pull", "--out", "."], "--out is for networks"),
        *((["digits:convnet", *option], f"{option[0]} is for defenses") for option in FOR_DEFENSES),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(foolbench, mean_pull, monkeypatch, arguments, sentence):
    monkeypatch.setattr(train, "fit", None)  # nor does anything begin
    code, _, err = foolbench("train", *arguments)
    assert code == 2
    assert sentence in " ".join(err.split())


def test_the_names_of_a_chain_are_known_as_far_as_it_has_learned(digits_model, tmp_path, silent):
    """What a detector in it learns depends on what the steps before it have learned."""
    school = School(Digits(), digits_model, 0, silent, Shelf(tmp_path))
    pca, odds = PCA(components=9), OddsAreOdd(draws=1, training_images=200, false_positives=0.05)
    chain = Compose(steps=(pca, odds))
    first, complete = school.names(chain)
    assert (first, complete) == ([school.name(pca)], False)
    chain.with_learned(school.learned)
    names, complete = school.names(chain)
    assert complete
    assert names[0] == first[0]
    assert names[1] != school.name(odds)
    assert sorted(path.stem for path in (tmp_path / "learned").iterdir()) == sorted(Path(name).name for name in names)

"""The demonstration: names, a picture that shows what it says, one sentence for bad input."""

import numpy as np
import pytest
import torch
from foolbench.datasets import Digits, Scenes
from foolbench.evaluation.demo.answers import answers, attacked
from foolbench.evaluation.demo.subject import network
from foolbench.models import ENTRIES
from foolbench.models.scenes.zoo import CLASSES
from PIL import Image

DIGITS = ("--model", "digits:convnet", "--eps", "64/255")


@pytest.fixture
def subject():
    return network("digits:convnet"), Digits().load([0])[0]


@pytest.fixture
def paths(tmp_path):
    Image.fromarray(np.full((20, 30, 3), 128, dtype=np.uint8)).save(tmp_path / "grey.jpg")
    (tmp_path / "words.jpg").write_text("no picture")
    return {name: str(tmp_path / name) for name in ("grey.jpg", "words.jpg", "none.jpg", "out.png", "out.jpg")}


def test_embedded_networks_know_the_names_of_their_classes():
    assert {entry.load().class_names for entry in ENTRIES.values() if entry.dataset == "scenes"} == {CLASSES}
    assert ENTRIES["digits:convnet"].load().class_names[7] == "seven"


def test_attacked_images_are_within_the_budget_and_reach_what_they_should(subject):
    model, x = subject
    images = attacked(model, x, "Three", "64/255")
    assert images.target == "three"
    assert model.predict(images.untargeted) != model.predict(x)
    assert model.predict(images.targeted).item() == 3
    assert all(float((found - x).abs().max()) <= 64 / 255 + 1e-6 for found in images[1:3])
    bare = next(answers(model, images))
    assert [answer.fooled for answer in bare.answers] == [False, True, True]
    probability = model(images.targeted).softmax(dim=1)[0, 3].item()
    assert bare.answers[2].label == "three"
    assert bare.answers[2].confidence == pytest.approx(probability, abs=1e-5)


def test_without_a_target_the_most_unlikely_class_is_reached_for(subject):
    model, x = subject
    assert attacked(model, x, None, "64/255").target == model.class_names[int(model(x).argmin())]


def test_the_table_has_a_line_for_each_defense_that_need_not_learn(foolbench, paths):
    code, out, err = foolbench("demo", *DIGITS, "--out", paths["out.png"])
    assert (code, err) == (0, "")
    lines = {line.split()[1]: line for line in out.splitlines() if line.startswith("│")}
    assert {"none", "jpeg", "median", "ten-crop", "tv"} <= set(lines)
    assert not {"pca", "prn", "quilting", "compose"} & set(lines)
    assert "%" in lines["none"]


def test_the_sheet_shows_the_clean_image_and_the_change(foolbench, paths, subject):
    foolbench("demo", *DIGITS, "--target", "three", "--out", paths["out.png"])
    page = torch.from_numpy(np.array(Image.open(paths["out.png"]))).permute(2, 0, 1)
    clean = (subject[1][0] * 255).round().to(torch.uint8)
    enlarged = clean.repeat_interleave(42, dim=1).repeat_interleave(42, dim=2).expand(3, -1, -1)
    assert torch.equal(page[:, 38 : 38 + 336, 16 : 16 + 336], enlarged)
    changes = page[0, 38 + 336 + 22 + 16 + 22 :, 16 + 336 + 16 :]
    assert changes[:300, :300].float().std() > 50  # 64/255, fifty times as large, is black or white


def test_a_picture_of_any_size_becomes_an_image_of_the_network(foolbench, paths):
    code, out, err = foolbench("demo", paths["grey.jpg"], *DIGITS, "--out", paths["out.png"])
    assert (code, err) == (0, "")
    assert "on grey.jpg" in out


@pytest.mark.parametrize("name", ["scenes:fcn-alex", "scenes:monodepth-resnet"])
def test_maps_are_drawn_and_told_by_their_share_that_is_as_before(foolbench, paths, name):
    given = ("demo", "--model", name, "--eps", "8/255", "--target", "flip-up-down", "--out", paths["out.png"])
    code, out, err = foolbench(*given)
    assert (code, err) == (0, "")
    line = next(line for line in out.splitlines() if "none" in line)
    shares = [int(words.rstrip("% ")) for words in line.replace("│", "").split("as before")[1:]]
    model, x = network(name), Scenes().load([0])[0]
    images = attacked(model, x, "flip-up-down", "8/255")
    clean, away, there = (model.predict(one) for one in images[:3])
    assert shares == [100, *(round(100 * float(model.task.agreement(one, clean))) for one in (away, there))]
    assert max(shares[1:]) < 95
    assert model.task.agreement(there, clean.flip(1)) > model.task.agreement(clean, clean.flip(1))
    drawn = model.task.draw(torch.cat([clean, away, there]), str).pictures[0].numpy()
    top = 16 + 22 + (336 + 2 * 22 + 16)
    shown = Image.open(paths["out.png"]).crop((16, top, 16 + 336, top + 336))
    enlarged = Image.fromarray(drawn).resize((336, 336), Image.Resampling.NEAREST)
    assert np.array_equal(np.array(shown), np.array(enlarged))


def test_maps_have_no_classes_to_aim_at(foolbench, paths):
    code, _, err = foolbench("demo", "--model", "scenes:fcn-alex", "--target", "cube", "--out", paths["out.png"])
    assert (code, err.count("\n")) == (2, 1)
    assert "choose from flip-left-right, flip-up-down" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.jpg"], "none.jpg"),
        (["words.jpg"], "words.jpg"),
        (["--target", "sevn"], "'seven'"),
        (["--target", "7"], "choose from"),
        (["--eps", "-1"], "eps > 0"),
        (["--eps", "two"], "fraction"),
        (["--eps", "inf"], "finite"),
        (["--out", "out.jpg"], "PNG"),
        (["--out", "/proc/none/demo.png"], "/proc/none"),
        (["--model", "digits:confnet"], "'digits:convnet'"),
    ],
)
def test_bad_input_is_one_sentence(foolbench, paths, arguments, says):
    given = [paths.get(argument, argument) for argument in arguments]
    code, _, err = foolbench("demo", *DIGITS, "--out", paths["out.png"], *given)  # the last of an option counts
    assert (code, err.count("\n")) == (2, 1)
    assert says in err


def test_a_class_that_is_seen_already_is_no_target(foolbench, paths, subject):
    model, x = subject
    seen = model.class_names[int(model.predict(x))]
    code, _, err = foolbench("demo", *DIGITS, "--target", seen, "--out", paths["out.png"])
    assert code == 2
    assert f"sees {seen} there already" in err

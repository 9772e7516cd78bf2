"""What a run keeps to look at is what the network was given, and what it said."""

import numpy as np
import pytest
import torch
from foolbench.datasets import Digits
from foolbench.defenses import BitDepth
from foolbench.evaluation.engine.scoring.example import FOLDER, read_example


@pytest.fixture(scope="module")
def rows(hostile_board, hostile_names):
    script = hostile_names[0]
    return [row for row in hostile_board.rows if row.ok and row["model"] == script]


def shown(row):
    return read_example(row.run.path, row["cell"])


def levels(x):
    return (x[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def test_all_rows_of_a_network_show_the_first_image_that_it_knows(rows, digits_model, hostile_run):
    (sample,) = {shown(row).sample for row in rows}
    x, y = Digits().load([sample])
    assert digits_model.predict(x).item() == y.item()
    for row in rows:
        assert np.array_equal(shown(row).pictures["clean"], levels(x))
        assert shown(row).truth.endswith(f" {y.item()}")


def test_an_answer_is_the_systems_with_its_probability(rows, digits_model):
    row = next(row for row in rows if row["defense"] == "bit-depth")
    example = shown(row)
    x, _ = Digits().load([example.sample])
    for name, system in (("bare clean", digits_model), ("clean", BitDepth(bits=3).defend(digits_model))):
        confidence, label = system(x).softmax(dim=1)[0].max(dim=0)
        assert example.answers[name].label.endswith(f" {label.item()}")
        assert example.answers[name].confidence == pytest.approx(confidence.item(), abs=1e-4)


def test_the_defended_picture_is_what_the_defense_makes_of_the_image(rows):
    row = next(row for row in rows if row["defense"] == "bit-depth")
    x, _ = Digits().load([shown(row).sample])
    assert np.array_equal(shown(row).pictures["clean defended"], levels(BitDepth(bits=3)(x)))


def test_the_change_is_that_from_clean_to_attacked_and_within_the_budget(rows):
    for row in rows:
        example = shown(row)
        clean, attacked, change = (
            example.pictures[name].astype(float) / 255 for name in ("clean", "attacked", "change")
        )
        assert np.abs(attacked - clean).max() <= row["eps"] + 1 / 255
        assert example.amplified >= 1
        expected = np.clip(0.5 + example.amplified * (attacked - clean), 0, 1)
        assert change == pytest.approx(expected, abs=(example.amplified + 1) / 255)


def test_a_damaged_one_is_none(rows, tmp_path):
    row = rows[0]
    there, copy = (folder / FOLDER / f"{row['cell']}.safetensors" for folder in (row.run.path, tmp_path))
    copy.parent.mkdir()
    copy.write_bytes(there.read_bytes()[:-1] + b"\0\0")
    assert read_example(tmp_path, row["cell"]) is None
    assert read_example(tmp_path, "nothing") is None

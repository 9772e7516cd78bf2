"""What one network sees of a picture, brought to another one's input, is what that sees of it there."""

import numpy as np
import pytest
import torch
from foolbench.core import Model, Preprocess
from foolbench.datasets import Digits, load_dataset
from foolbench.evaluation.engine.crafting.placing import placed
from foolbench.tasks import Recognition
from PIL import Image
from torch import nn

WHOLE = Preprocess(size=(48, 48), crop="squash")
MIDDLE = Preprocess(size=(24, 24), resize=40)
ALL_OF_THE_MIDDLE = Preprocess(size=(32, 32), resize=32)
AS_IT_LIES = Preprocess(size=(60, 60))


@pytest.fixture
def seen_by(tmp_path):
    """`seen_by(preprocess)`: two pictures, one lying and one standing, whose colours rise in three directions."""
    down, across = np.meshgrid(np.linspace(0, 1, 60), np.linspace(0, 1, 90), indexing="ij")
    levels = (np.stack([across, down, (across + down) / 2], axis=2) * 200 + 20).round().astype(np.uint8)
    Image.fromarray(levels).save(tmp_path / "0.png")
    Image.fromarray(levels.transpose(1, 0, 2)).save(tmp_path / "1.png")

    def make(preprocess):
        model = Model(nn.Flatten(), task=Recognition(classes=2), shape=(3, *preprocess.size), preprocess=preprocess)
        return load_dataset(f"image-folder:{tmp_path}").for_model(model)

    return make


@pytest.mark.parametrize(
    ("source", "model"),
    [(WHOLE, MIDDLE), (ALL_OF_THE_MIDDLE, MIDDLE), (WHOLE, ALL_OF_THE_MIDDLE), (AS_IT_LIES, MIDDLE)],
)
def test_a_part_is_found_where_it_is_in_the_picture(seen_by, source, model):
    there, here = seen_by(source), seen_by(model)
    images, expected = there.load([1, 0])[0], here.load([1, 0])[0]
    found = placed(images, [1, 0], there, here)
    inner = (..., slice(1, -1), slice(1, -1))  # at an edge there is nothing to interpolate with
    assert float((found - expected)[inner].abs().max()) < 0.02


def test_nothing_is_added_to_what_the_source_does_not_see(seen_by):
    there, here = seen_by(MIDDLE), seen_by(ALL_OF_THE_MIDDLE)
    found = placed(torch.ones(2, 3, 24, 24), [0, 1], there, here)
    assert found.shape == (2, 3, 32, 32)
    rim = torch.ones(32, 32, dtype=torch.bool)
    rim[6:-6, 6:-6] = False  # 24 of 40 are 19.2 of 32, between 6.4 and 25.6
    assert not found[..., rim].any()
    assert torch.allclose(found[..., 8:-8, 8:-8], torch.tensor(1.0))
    assert float(found[0, 0].sum()) == pytest.approx(19.2**2, rel=0.02)


def test_what_shows_the_same_and_what_is_no_picture_is_resized(seen_by):
    change = torch.rand(2, 3, 24, 24)
    same = seen_by(Preprocess(size=(12, 12), resize=20))
    expected = torch.nn.functional.interpolate(change, (12, 12), mode="bilinear", antialias=True)
    assert torch.allclose(placed(change, [0, 1], seen_by(MIDDLE), same), expected)
    assert placed(torch.ones(1, 1, 4, 4), [0], Digits(), Digits()).shape == (1, 1, 8, 8)


def test_images_that_have_the_networks_size_are_whole():
    data = load_dataset(torch.rand(2, 3, 24, 24))
    model = Model(nn.Flatten(), task=Recognition(classes=2), shape=(3, 24, 24), preprocess=MIDDLE)
    assert data.for_model(model).windows([0]).tolist() == [[1, 1]]
    assert load_dataset(torch.rand(2, 3, 30, 30)).for_model(model).windows([0]).tolist() == [[0.6, 0.6]]

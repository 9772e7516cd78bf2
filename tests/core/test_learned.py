"""What a defense learns is kept, known by its hash, and part of the defended system's identity."""

from dataclasses import dataclass

import pytest
import torch
from foolbench.core import ConfigError, Draws, InputError, Learned, LearnedTransform, WeightsError
from foolbench.defenses import JPEG, Compose

SHAPE = (1, 3, 5)


@dataclass(frozen=True, kw_only=True)
class MeanImage(LearnedTransform):
    """Part of the way to the mean of the training images."""

    part: float = 0.5
    differentiable = True
    randomized = False

    def learn(self, data, *, rng):
        return {"mean": data.images.mean(dim=0)}

    def transform(self, x, learned, *, rng):
        return torch.lerp(x, learned["mean"].expand_as(x), self.part)


@pytest.fixture
def model(linear_model):
    return linear_model(4, SHAPE)


@pytest.fixture
def images(mid_images):
    return mid_images(6, SHAPE)


def test_it_defends_with_what_it_has_learned(model, images):
    fitted = MeanImage(part=1.0).fit(images, model=model)
    x = torch.rand(3, *SHAPE)
    assert torch.equal(fitted.defend(model)(x), model(images.mean(dim=0).expand(3, *SHAPE)))
    assert (fitted.differentiable, fitted.randomized) == (True, False)


def test_it_does_not_defend_before(model):
    with pytest.raises(ConfigError, match=r"call fit\(images, model=model\) first"):
        MeanImage().defend(model)


def test_identity_is_the_configuration_and_what_was_learned(model, images):
    systems = [MeanImage(part=part).fit(images[:n], model=model).defend(model) for part in (0.5, 0.7) for n in (3, 6)]
    assert len({system.sha for system in systems}) == 4
    assert MeanImage().fit(images, model=model).defend(model).sha == systems[1].sha


def test_a_chain_fits_its_steps(model, images):
    fitted = Compose(steps=(MeanImage(), MeanImage(part=0.1))).fit(images, model=model)
    x = torch.rand(2, *SHAPE)
    mean = images.mean(dim=0)
    expected = model(torch.lerp(torch.lerp(x, mean.expand_as(x), 0.5), mean.expand_as(x), 0.1))
    torch.testing.assert_close(fitted.defend(model)(x, rng=Draws.of(samples=range(2))), expected)


def test_what_learns_nothing_stays_as_it_is(model, images):
    assert JPEG().fit(images, model=model) == JPEG()


def test_it_learns_from_images_only(model, images):
    with pytest.raises(InputError):
        MeanImage().fit(images * 255, model=model)


def test_it_is_saved_and_loaded(tmp_path):
    learned = Learned({"a": torch.rand(3, 4), "b": torch.arange(5)})
    learned.save(tmp_path / "learned.safetensors")
    again = Learned.load(tmp_path / "learned.safetensors")
    assert again.sha == learned.sha
    assert repr(again) == f"Learned({learned.sha})"
    assert {name: tensor.tolist() for name, tensor in again.items()} == {
        name: tensor.tolist() for name, tensor in learned.items()
    }


def test_names_shapes_types_and_values_tell_them_apart():
    kinds = [{"a": torch.zeros(4)}, {"b": torch.zeros(4)}, {"a": torch.zeros(2, 2)}, {"a": torch.ones(4)}]
    assert len({Learned(kind).sha for kind in [*kinds, {"a": torch.zeros(4).int()}]}) == 5


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:-4], lambda b: b[:-4] + b"abcd", lambda b: b"x" * 99])
def test_a_damaged_file_is_refused(tmp_path, damage):
    path = tmp_path / "learned.safetensors"
    Learned({"a": torch.rand(9)}).save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(WeightsError, match="Expected what a defense has learned at"):
        Learned.load(path)
    with pytest.raises(WeightsError):
        Learned.load(tmp_path / "missing")

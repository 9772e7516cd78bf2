"""Every built-in learner learns on a data set of fewer and smaller images than its defaults are made for."""

import foolbench.defenses  # noqa: F401 (registers)
import pytest
from foolbench.core import ConfigError, Draws, LearnedTransform, defenses
from foolbench.datasets import Digits

LEARNERS = [name for name in defenses if issubclass(defenses[name], LearnedTransform)]
QUICK = {
    "autoencoder": {"epochs": 4},
    "prn": {"perturbations": 1, "epochs": 1, "width": 4, "blocks": 1},
    "quilting": {"patches": 2000},
}


def test_they_are_found():
    assert {"autoencoder", "pca", "prn", "quilting"} <= set(LEARNERS)


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize(("wanted", "given"), [(400, 400), (5000, 1285)])
def test_learns_on_digits(digits_model, name, wanted, given):
    data, part = Digits(), defenses.create(name, QUICK.get(name, {}) | {"training_images": wanted})
    images = data.training(part.training_images)[0].float() / 255
    assert len(images) == given
    defense = part.fit(images, model=digits_model)
    x, y = data.load(range(128))
    of_the_mean_image = (x - images.mean(dim=0)).square().mean()
    assert (defense(x) - x).square().mean() < 0.6 * of_the_mean_image
    found = defense.defend(digits_model).predict(x, rng=Draws.of(0, samples=range(128)))
    assert (found == y).float().mean() > 0.5


@pytest.mark.parametrize("name", LEARNERS)
def test_how_many_images_is_a_parameter(name):
    few, many = (defenses.create(name, {"training_images": count}) for count in (10, 20))
    assert repr(few) != repr(many)
    with pytest.raises(ConfigError, match="Expected training_images >= 1, got 0"):
        defenses.create(name, {"training_images": 0})

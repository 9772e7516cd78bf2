"""Every image attack of the registry on networks that are not as usual."""

import pytest
import torch
from foolbench.core import GradientError, InputError, MinimalAttack, Model
from foolbench.core.norms import size
from foolbench.tasks import Recognition


class Head(torch.nn.Module):
    """A trained network whose logits are passed on changed."""

    def __init__(self, net, change):
        super().__init__()
        self.net, self.change = net, change

    def forward(self, x):
        return self.change(self.net(x))


CHANGES = {
    "usual": lambda logits: logits,
    "negative": lambda logits: logits - 1000,
    "positive": lambda logits: logits + 1000,
    "probabilities": lambda logits: logits.softmax(dim=1),
}


def answering(digits_model, change):
    return Model(Head(digits_model.net, change), task=digits_model.task, mean=(0.5,), std=(0.5,))


def test_any_logits(attack, digits_model, images):
    x = torch.cat([images, images.flip(2), images.flip(3), images.transpose(2, 3)])
    y, fooled = digits_model.predict(x), {}
    for kind, change in CHANGES.items():
        model = answering(digits_model, change)
        adversarial = attack(model, x, rng=0)
        assert torch.isfinite(adversarial).all(), kind
        fooled[kind] = int((model.predict(adversarial) != y).sum())
    if attack.access in ("gradient", "score"):
        assert fooled["usual"] > (25 if attack.leaves else 15)
        assert min(fooled.values()) >= fooled["usual"] - 2, fooled  # of 40: probabilities have other gradients


def test_logits_that_say_nothing(attack, digits_model, images):
    model = answering(digits_model, lambda logits: logits * 0 + torch.arange(10.0))
    adversarial = attack(model, images, rng=0)
    assert torch.isfinite(adversarial).all()
    assert torch.equal(adversarial, images) or not isinstance(attack, MinimalAttack), "there is nothing to be found"


def test_nan_is_no_other_class(attack, digits_model, images):
    """Given labels, nothing but the attack itself looks at the outputs."""
    if attack.access == "none":
        return  # it never asks
    head = Head(digits_model.net, lambda logits: logits.index_fill(1, torch.tensor(7), torch.nan))
    with pytest.raises((InputError, GradientError), match="NaN"):
        attack(Model(head, task=digits_model.task), images, digits_model.predict(images), rng=0)


@pytest.mark.parametrize("shape", [(1, 3, 9), (3, 6, 4), (2, 1, 1)], ids=str)
@pytest.mark.parametrize("classes", [2, 5])
def test_any_shape_and_number_of_classes(attack, linear_model, mid_images, shape, classes):
    model, x = linear_model(classes, shape), mid_images(4, shape)
    adversarial = attack(model, x, rng=0)
    assert adversarial.shape == x.shape
    assert size(adversarial - x, attack.norm).max() <= attack.eps + 1e-6


def test_a_network_without_parameters(attack):
    model = Model(torch.nn.Flatten(), task=Recognition(classes=4))
    assert attack(model, torch.full((3, 1, 2, 2), 0.5), rng=0).shape == (3, 1, 2, 2)

"""An attack waits for the device once a step: what else it asks there it asks together, and rows come by their numbers.

A processor is never waited for, so what would wait on a GPU is counted: reading a number, and finding what a mask
chooses.
"""

import pytest
import torch
from foolbench.attacks import APGD, PGD, CarliniWagner, DeepFool, Momentum, deepfool
from foolbench.attacks.sea import ShrinkingAscent
from foolbench.core import Model
from foolbench.tasks import Segmentation
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

READS = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2", "unique_dim", "is_nonzero"}
BY_MASK = {"index", "index_put", "index_put_", "_index_put_impl_"}

BEFORE = 9
"""What an attack asks before it begins, and checks in the end: as often as FGSM."""


class Waits(TorchDispatchMode):
    """`count` says how often a GPU would have been waited for."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        name = operator.overloadpacket.__name__
        masks = [part for part in tree_leaves(args[1:2]) if isinstance(part, Tensor) and part.dtype == torch.bool]
        self.count += name in READS or (name in BY_MASK and bool(masks))
        return operator(*args, **(kwargs or {}))


class Lists(TorchFunctionMode):
    """Made of a tensor, which reads it at once, and is no operator."""

    def __init__(self, waits):
        super().__init__()
        self.waits = waits

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.waits.count += function is Tensor.tolist
        return function(*args, **(kwargs or {}))


def waits(attack, model, x, y):
    with Waits() as counted, Lists(counted):
        attack(model, x, y, rng=0)
    return counted.count


@pytest.fixture
def images():
    return torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("short", "long"),
    [
        (PGD(eps=0.1, steps=2, early_stop=True), PGD(eps=0.1, steps=8, step_size=0.125, early_stop=True)),
        (APGD(eps=0.05, steps=2), APGD(eps=0.05, steps=8)),
        (APGD(eps=0.1, norm="l2", steps=2, early_stop=False), APGD(eps=0.1, norm="l2", steps=8, early_stop=False)),
        (CarliniWagner(steps=2, searches=1), CarliniWagner(steps=8, searches=1)),
        (Momentum(eps=0.1, steps=2), Momentum(eps=0.1, steps=8)),
    ],
    ids=repr,
)
def test_once_a_step(short, long, digits_model, images):
    y = digits_model.predict(images)
    assert waits(long, digits_model, images, y) - waits(short, digits_model, images, y) <= long.steps - short.steps


def test_deepfool_waits_once_a_pass_and_a_step(digits_model, images, monkeypatch):
    """It goes on by what each gradient says."""
    y, passes = digits_model.predict(images), []
    forward, differentiate = deepfool._forward, deepfool._Faces._differentiate
    monkeypatch.setattr(deepfool, "_forward", lambda *given: passes.append("forward") or forward(*given))
    monkeypatch.setattr(
        deepfool._Faces, "_differentiate", lambda *given: passes.append("back") or differentiate(*given)
    )
    found = waits(DeepFool(steps=4), digits_model, images, y)
    assert found <= len(passes) + 4 + BEFORE


@pytest.mark.parametrize("loss", ["masked", "divergence"])
def test_on_maps_the_loss_of_the_task_waits_too(loss, images):
    """Whether logits are large; the ascents of SEA themselves wait once."""
    torch.manual_seed(0)
    model = Model(nn.Conv2d(1, 3, 3, padding=1), task=Segmentation(classes=3), shape=(1, 8, 8), mean=0.5, std=0.5)
    y, (short, long) = model.predict(images), (ShrinkingAscent(eps=0.1, steps=steps, loss=loss) for steps in (20, 40))
    assert waits(long, model, images, y) - waits(short, model, images, y) <= 2 * (long.steps - short.steps)

"""What every defense in the registry owes: images in, images out, each by itself, nothing changed on the way."""

import foolbench.defenses  # noqa: F401 (registers)
import pytest
import torch
from foolbench.core import ConfigError, InputError, InputTransform, Model, UnknownNameError, defenses
from foolbench.tasks import Recognition
from torch import nn

NAMES = [name for name in defenses if issubclass(defenses[name], InputTransform)]


@pytest.fixture(params=NAMES)
def defense(request):
    return defenses.create(request.param, {})


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(32, 40), (17, 9)])
def test_images_stay_images(defense, photos, channels, height, width):
    x = photos(3, channels, height, width)
    before = x.clone()
    after = defense(x)
    assert (after.dtype, after.shape, after.device) == (torch.float32, x.shape, x.device)
    assert 0 <= after.min() <= after.max() <= 1
    assert torch.equal(x, before)
    assert not torch.equal(after, before)


def test_an_image_does_not_depend_on_its_batch(defense, photos):
    x = photos(6)
    together = defense(x)
    assert torch.equal(defense(x.flip(0)), together.flip(0))
    for row in range(6):
        torch.testing.assert_close(defense(x[row : row + 1])[0], together[row], rtol=0, atol=1e-6)


def test_views_of_memory_are_images_too(defense, photos):
    x = photos(2)
    stored = x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    torch.testing.assert_close(defense(stored), defense(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 51 / 255, 128 / 255, 1.0])
def test_a_constant_grey_image_stays_constant(defense, value):
    # and, but for the levels that a bit depth lacks, as it is
    after = defense(torch.full((1, 3, 24, 16), value))
    assert float(after.max() - after.min()) < 1e-6
    if "BitDepth" not in repr(defense):
        torch.testing.assert_close(after, torch.full_like(after, value), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "spoil", [lambda x: x * 255, lambda x: x.double(), lambda x: x[0], lambda x: x[:0], lambda x: x * torch.nan]
)
def test_refuses_what_is_no_image(defense, photos, spoil):
    with pytest.raises(InputError):
        defense(spoil(photos()))


def test_defended_model(defense, photos):
    x = photos()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 5))
    model = Model(net, task=Recognition(classes=5))
    torch.testing.assert_close(defense.defend(model)(x), model(defense(x)))


def test_gradients_pass_exactly_where_declared(defense, photos):
    x = photos().requires_grad_()
    after = defense(x)
    flows = after.requires_grad and bool(torch.autograd.grad(after.sum(), x)[0].any())
    assert flows == defense.differentiable


BAD = {
    "jpeg": [("quality", 0), ("quality", 101), ("quality", -5), ("quality", "high")],
    "bit-depth": [("bits", 0), ("bits", 9), ("bits", 2.5), ("levels", "other")],
    "gaussian": [("sigma", 0), ("sigma", -1), ("sigma", "nan"), ("sigma", "inf"), ("sigma", None)],
    "median": [("size", 0), ("size", 1), ("size", 2), ("size", 4), ("size", -3)],
}


@pytest.mark.parametrize(("name", "key", "value"), [(name, *bad) for name, bads in BAD.items() for bad in bads])
def test_bad_parameters(name, key, value):
    with pytest.raises(ConfigError, match=key) as caught:
        defenses.create(name, {key: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_unknown_parameters(name):
    with pytest.raises(UnknownNameError, match=f"parameter of defense {name}"):
        defenses.create(name, {"magic": 1})

"""What every defense in the registry owes beyond the conformance kit (tests/evaluation/test_conformance.py)."""

import functools

import pytest
import torch
from foolbench.attacks import FGSM
from foolbench.core import ConfigError, UnknownNameError, defenses
from foolbench.defenses import adaptive
from foolbench.evaluation.conformance import check, model, prepared, streams

KEEPS_GREY = ["bilateral", "crop-ensemble", "downsampling", "gaussian", "jpeg", "median", "ten-crop", "tv"]


@pytest.fixture(scope="session")
def ready(quick):
    """`ready(name)` has learned, where it learns."""
    return functools.cache(lambda name: prepared(defenses.create(name, quick(name))))


def stages(defense, x, seed=0):
    return defense.defend(model()).seen(x, rng=streams(len(x), seed))


@pytest.mark.parametrize("name", sorted(defenses))
def test_memory_may_be_laid_out_otherwise(name, ready, photos):
    defense, x = ready(name), photos(2)
    stored = x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    torch.testing.assert_close(stages(defense, stored), stages(defense, x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", sorted(defenses))
def test_it_does_something(name, ready, photos):
    x, system = photos(8), ready(name).defend(model())
    assert not torch.equal(system(x, rng=streams(8)), model()(x))


@pytest.mark.parametrize("name", KEEPS_GREY)
@pytest.mark.parametrize("value", [0.0, 51 / 255, 128 / 255, 1.0])
def test_a_constant_grey_image_stays_as_it_is(name, value):
    after = stages(defenses.create(name, {}), torch.full((1, 3, 24, 16), value))
    torch.testing.assert_close(after, torch.full_like(after, value), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", sorted(defenses))
def test_a_single_step_finds_its_way_from_black_and_from_white_paper(name, ready):
    """Where a `clamp` would have no gradient."""
    defense, x = ready(name), torch.tensor([0.0, 0, 1, 1]).reshape(4, 1, 1, 1).repeat(1, 3, 32, 40)
    system = adaptive(defense, model(), draws=4)
    y = system.averaged(x, rng=streams(4)).argmax(dim=1)
    moved = FGSM(eps=0.1)(system, x, y, rng=0)
    assert ((moved - x).abs() > 0.09).flatten(1).any(dim=1).all()


BAD = {
    "bilateral": [("size", 2), ("size", 0), ("sigma_color", 0.0), ("sigma_space", -1.0), ("sigma_color", "nan")],
    "bit-depth": [("bits", 0), ("bits", 9), ("bits", 2.5), ("levels", "other")],
    "crop-ensemble": [("crops", 0), ("crops", 2.5), ("fraction", 0.0), ("fraction", 1.5)],
    "downsampling": [("keep", 0), ("keep", 101), ("interpolation", "best")],
    "gaussian": [("sigma", 0), ("sigma", -1), ("sigma", "nan"), ("sigma", "inf"), ("sigma", None)],
    "jpeg": [("quality", 0), ("quality", 101), ("quality", -5), ("quality", "high")],
    "median": [("size", 0), ("size", 1), ("size", -3), ("size", 2.5)],
    "pca": [("share", 0.0), ("share", 1.5), ("components", 0)],
    "quilting": [("size", 1.5), ("neighbours", 0), ("overlap", -1)],
    "random-noise": [("scale", 0.0), ("scale", -1.0), ("distribution", "pink")],
    "resize-pad": [("min_scale", 0.0), ("min_scale", 1.5)],
    "ten-crop": [("fraction", 0.0), ("fraction", 1.5)],
    "tv": [("drop", -0.1), ("drop", 1.0), ("weight", 0.0), ("iterations", 0)],
}


@pytest.mark.parametrize(("name", "key", "value"), [(name, *bad) for name, bads in BAD.items() for bad in bads])
def test_bad_parameters(name, key, value):
    with pytest.raises(ConfigError, match=key) as caught:
        defenses.create(name, {key: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(defenses))
def test_unknown_parameters(name):
    with pytest.raises(UnknownNameError, match=f"parameter of defense {name}"):
        defenses.create(name, {"magic": 1})


def test_what_draws_nothing_is_not_randomized():
    for name, still in (("tv", {"drop": 0.0}), ("quilting", {"neighbours": 1})):
        assert defenses.create(name, {}).randomized
        assert not defenses.create(name, still).randomized
        kept = check(prepared(defenses.create(name, still)))
        assert kept["randomness_is_declared"] is None

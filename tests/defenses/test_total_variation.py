"""TV minimisation reaches the minimum that scikit-image and SciPy find, masked or not."""

import numpy as np
import pytest
import torch
from foolbench.core import ConfigError, Draws, InputError
from foolbench.defenses import BPDA, TotalVariation, _primal_dual
from scipy.optimize import minimize
from skimage.restoration import denoise_tv_bregman, denoise_tv_chambolle

MANY = 1000


def variation(z: torch.Tensor, isotropic: bool = True) -> torch.Tensor:
    """Per image; differences across the border are zero."""
    right, down = torch.zeros_like(z), torch.zeros_like(z)
    right[..., :-1], down[..., :-1, :] = z.diff(dim=-1), z.diff(dim=-2)
    return (torch.hypot(right, down) if isotropic else right.abs() + down.abs()).sum(dim=(1, 2, 3))


def energy(z: torch.Tensor, x: torch.Tensor, defense: TotalVariation, kept: torch.Tensor | float = 1.0) -> torch.Tensor:
    z, x = z.double(), x.double()
    return ((z - x).square() * kept).sum(dim=(1, 2, 3)) / 2 + defense.weight * variation(z, defense.isotropic)


def per_plane(x: torch.Tensor, function) -> torch.Tensor:
    return torch.stack(
        [torch.stack([torch.from_numpy(function(plane.double().numpy())) for plane in image]) for image in x]
    ).float()


def streams(x: torch.Tensor, seed: int = 0) -> Draws:
    return Draws.of(seed, samples=range(len(x)))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("weight", [0.03, 0.1])
def test_isotropic_denoising_is_scikit_images(photos, channels, weight):
    # Chambolle's method: the same differences and the same border
    x, defense = photos(2, channels, 24, 20), TotalVariation(drop=0, weight=weight, iterations=MANY)
    expected = per_plane(x, lambda plane: denoise_tv_chambolle(plane, weight=weight, eps=1e-12, max_num_iter=3000))
    torch.testing.assert_close(defense(x), expected, rtol=0, atol=1e-3)
    assert (energy(defense(x), x, defense) <= energy(expected, x, defense) * (1 + 1e-5)).all()


@pytest.mark.parametrize("weight", [0.03, 0.05])
def test_anisotropic_denoising_is_scikit_images_inside(photos, weight):
    # Its weight is the inverse of ours. Its border rows take differences to mirrored pixels of the noisy image, so the
    # comparison is 10 pixels from the border, and on the whole its energy is higher.
    x = photos(2, 3, 40, 48)
    defense = TotalVariation(drop=0, weight=weight, isotropic=False, iterations=MANY)
    theirs = per_plane(
        x, lambda plane: denoise_tv_bregman(plane, weight=1 / weight, eps=1e-9, max_num_iter=MANY, isotropic=False)
    )
    inside = (..., slice(10, -10), slice(10, -10))
    torch.testing.assert_close(defense(x)[inside], theirs[inside], rtol=0, atol=5e-3)
    assert (energy(defense(x), x, defense) < energy(theirs, x, defense)).all()


def test_isotropic_energy_is_below_that_of_scikit_images_bregman(photos):
    # its isotropic shrinkage is not that of the Euclidean length: it converges to another image
    x, defense = photos(2, 3, 40, 48), TotalVariation(drop=0, weight=0.1, iterations=MANY)
    theirs = per_plane(x, lambda plane: denoise_tv_bregman(plane, weight=10, eps=1e-9, max_num_iter=MANY))
    assert (energy(defense(x), x, defense) < 0.98 * energy(theirs, x, defense)).all()


@pytest.mark.parametrize("isotropic", [True, False])
def test_restoring_dropped_pixels_is_optimal(photos, isotropic):
    # against L-BFGS on the energy with lengths rounded off at 1e-4
    x = photos(1, 1, 10, 12)
    defense = TotalVariation(isotropic=isotropic, iterations=MANY)
    kept = defense._kept(x, streams(x))

    def smooth(flat):
        z = torch.tensor(flat, dtype=torch.float64).reshape(x.shape).requires_grad_()
        right, down = torch.zeros_like(z), torch.zeros_like(z)
        right[..., :-1], down[..., :-1, :] = z.diff(dim=-1), z.diff(dim=-2)
        squares = [right.square() + down.square()] if isotropic else [right.square(), down.square()]
        total = sum((square + 1e-8).sqrt().sum() for square in squares)
        value = ((z - x).square() * kept).sum() / 2 + defense.weight * total
        return value.item(), torch.autograd.grad(value, z)[0].flatten().numpy()

    found = minimize(smooth, np.full(x.numel(), 0.5), jac=True, method="L-BFGS-B", options={"maxiter": 3000})
    theirs = torch.from_numpy(found.x).reshape(x.shape)
    ours = defense(x, rng=streams(x))
    assert float(energy(ours, x, defense, kept)) <= float(energy(theirs, x, defense, kept)) * (1 + 1e-3)


def test_the_default_is_near_its_minimum(photos):
    x = photos(4, 3, 64, 64)
    default = TotalVariation()
    kept, best = default._kept(x, streams(x)), TotalVariation(iterations=MANY)
    ratio = energy(default(x, rng=streams(x)), x, default, kept) / energy(best(x, rng=streams(x)), x, best, kept)
    assert (ratio < 1.02).all()


def test_a_share_of_the_pixels_is_dropped_with_all_channels(photos):
    x = photos(8, 3, 40, 40)
    kept = TotalVariation(drop=0.3)._kept(x, streams(x))
    assert kept.shape == (8, 1, 40, 40)
    assert float(kept.float().mean()) == pytest.approx(0.7, abs=0.02)
    assert TotalVariation(drop=0)._kept(x, streams(x)).all()
    tiny = TotalVariation(drop=0.99)._kept(x[..., :1, :2], streams(x))
    assert (tiny.sum(dim=(1, 2, 3)) >= 1).all()


def test_dropped_pixels_do_not_count(photos):
    x, defense = photos(), TotalVariation()
    changed = torch.where(defense._kept(x, streams(x)), x, 1 - x)
    assert torch.equal(defense(changed, rng=streams(x)), defense(x, rng=streams(x)))


@pytest.mark.parametrize("drop", [0, 0.5])
def test_a_small_weight_reproduces_the_kept_pixels(photos, drop):
    x, defense = photos(), TotalVariation(drop=drop, weight=1e-5)
    off = (defense(x, rng=streams(x)) - x).abs() * defense._kept(x, streams(x))
    assert off.max() < 1e-4  # a pixel is pulled by at most 4 weights


def test_a_large_weight_flattens_each_channel(photos):
    x = photos(2, 3, 12, 10)
    after = TotalVariation(drop=0, weight=5.0, iterations=3000)(x)
    torch.testing.assert_close(after, x.mean(dim=(2, 3), keepdim=True).expand_as(x), rtol=0, atol=1e-3)


@pytest.mark.parametrize("isotropic", [True, False])
def test_denoising_does_not_add_variation(photos, isotropic):
    x = photos()
    after = TotalVariation(drop=0, isotropic=isotropic)(x)
    assert (variation(after, isotropic) < variation(x, isotropic)).all()
    torch.testing.assert_close(after.mean(dim=(2, 3)), x.mean(dim=(2, 3)), rtol=0, atol=2e-3)


@pytest.mark.parametrize("value", [0.0, 51 / 255, 1.0])
def test_a_constant_image_stays(value):
    x = torch.full((2, 3, 24, 16), value)
    torch.testing.assert_close(TotalVariation(iterations=200)(x), x, rtol=0, atol=1e-6)


def test_the_border_is_as_good_as_the_inside():
    # a ramp from left to right: dividing by neighbours that do not exist would darken the first and last rows
    ramp = torch.linspace(0.6, 0.9, 32).expand(16, 1, 32, 32)
    off = (TotalVariation()(ramp) - ramp)[..., 6:-6]
    assert off[..., [0, -1], :].mean().abs() < 1e-3
    assert off[..., [0, -1], :].abs().mean() < 2 * off[..., 8:-8, :].abs().mean()


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (2, 3)])
@pytest.mark.parametrize("drop", [0, 0.5, 0.95])
def test_tiny_images(photos, shape, drop):
    after = TotalVariation(drop=drop)(photos(3, 3, 9, 9)[..., : shape[0], : shape[1]])
    assert after.shape == (3, 3, *shape)
    assert 0 <= after.min() <= after.max() <= 1


def test_an_image_depends_on_its_own_stream_only(photos):
    x, rng = photos(12, 3, 48, 40), Draws.of(3, samples=range(12))
    together = TotalVariation()(x, rng=rng[:])
    for row in (0, 7, 11):
        assert torch.equal(TotalVariation()(x[row : row + 1], rng=rng[row : row + 1])[0], together[row])


def test_a_seed_is_a_result(photos):
    x, defense = photos(), TotalVariation()
    assert torch.equal(defense(x, rng=1), defense(x, rng=1))
    assert not torch.equal(defense(x, rng=1), defense(x, rng=2))


@pytest.mark.parametrize("isotropic", [True, False])
@pytest.mark.parametrize("drop", [0, 0.5])
def test_the_gradient_is_that_of_the_iterations(photos, isotropic, drop):
    x = (0.1 + 0.8 * photos(2, 2, 4, 5)).double().requires_grad_()
    defense = TotalVariation(drop=drop, weight=0.1, isotropic=isotropic, iterations=12)
    assert torch.autograd.gradcheck(lambda x: defense.transform(x, rng=streams(x)), x)


@pytest.mark.parametrize("drop", [0, 0.5])
def test_a_gradient_does_not_change_the_value(photos, drop):
    x, defense = photos(5, 3, 40, 48), TotalVariation(drop=drop)
    traced = defense.transform(x.clone().requires_grad_(), rng=streams(x))
    assert torch.equal(traced.detach(), defense.transform(x, rng=streams(x)))


def test_gradients_of_more_images_than_are_taken_at_a_time(photos, monkeypatch):
    x = photos(5, 3, 20, 24).requires_grad_()

    def gradient():
        return torch.autograd.grad(TotalVariation().transform(x, rng=streams(x)).square().sum(), x)[0]

    expected = gradient()
    monkeypatch.setattr(_primal_dual, "_AT_A_TIME", 2 * 20 * 24)
    torch.testing.assert_close(gradient(), expected, rtol=0, atol=1e-5)


def test_filling_passes_gradient_to_kept_pixels_only(photos):
    x, defense = photos().requires_grad_(), TotalVariation()
    kept = defense._kept(x, streams(x)).expand_as(x)
    after = BPDA(defense=defense, surrogate_name="filled").answer(lambda images: images, x, rng=streams(x))
    torch.testing.assert_close(after.detach(), defense(x.detach(), rng=streams(x)))
    gradient = torch.autograd.grad(after.sum(), x)[0]
    assert torch.equal(gradient > 0, kept)
    near = defense.surrogates["filled"](x.detach(), rng=streams(x))
    assert torch.equal(near[kept], x.detach()[kept])
    assert (near - after.detach()).abs().mean() < 0.05


@pytest.mark.parametrize(
    ("key", "value"),
    [("drop", 1), ("drop", -0.1), ("drop", np.nan), ("weight", 0), ("weight", np.inf), ("iterations", 0)],
)
def test_bad_parameters(key, value):
    with pytest.raises(ConfigError, match=f"Expected {key}"):
        TotalVariation(**{key: value})


def test_refuses_what_is_no_image(photos):
    with pytest.raises(InputError):
        TotalVariation()(photos() * 255)

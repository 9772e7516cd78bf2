"""PCA is scikit-learn's, and its projection is one."""

import numpy as np
import pytest
import torch
from foolbench.core import ConfigError, InputError
from foolbench.defenses import PCA
from sklearn import decomposition


@pytest.fixture
def model(linear_model):
    return linear_model(3, (3, 8, 6))


@pytest.fixture
def fitted(photos, model):
    return lambda count=60, height=8, **parameters: PCA(**parameters).fit(photos(count, 3, height, 6), model=model)


@pytest.mark.parametrize("count", [60, 400])  # fewer and more images than the 144 values of one
@pytest.mark.parametrize("parameters", [{"components": 10}, {"share": 0.9}, {"share": 0.99}], ids=repr)
def test_is_scikit_learns(photos, fitted, count, parameters):
    defense = fitted(count, **parameters)
    reference = decomposition.PCA(parameters.get("components", parameters.get("share")), svd_solver="full")
    reference.fit(photos(count, 3, 8, 6).flatten(1).double().numpy())
    components = defense.learned["components"]
    assert len(components) == reference.n_components_
    alignment = (components.double().numpy() * reference.components_).sum(axis=1)
    np.testing.assert_allclose(np.abs(alignment), 1, atol=1e-4)
    x = photos(5, 3, 8, 6, seed=9)
    expected = reference.inverse_transform(reference.transform(x.flatten(1).double().numpy()))
    found = defense(x).flatten(1).double().numpy()
    np.testing.assert_allclose(found, expected.clip(0, 1), atol=1e-5)


def test_keeps_99_percent_where_nothing_is_said(fitted):
    assert fitted().learned.sha == fitted(share=0.99).learned.sha != fitted(share=0.98).learned.sha


def test_components_are_orthonormal_and_the_projection_is_one(photos, fitted):
    defense = fitted(components=12)
    components = defense.learned["components"]
    torch.testing.assert_close(components @ components.T, torch.eye(12), rtol=0, atol=1e-5)
    mean = defense.learned["mean"][None]
    torch.testing.assert_close(defense(mean), mean, rtol=0, atol=1e-6)
    x = 0.5 * mean + 0.5 * photos(6, 3, 8, 6, seed=5).clamp(0.2, 0.8)
    once = defense(x)
    inside = ((once > 0) & (once < 1)).flatten(1).all(dim=1)  # clamped images are projections no more
    assert inside.any()
    torch.testing.assert_close(defense(once)[inside], once[inside], rtol=0, atol=1e-5)


def test_more_components_are_closer_and_all_of_them_keep_the_training_images(photos, fitted):
    x = photos(60, 3, 8, 6)
    errors = [float((fitted(components=count)(x) - x).square().mean()) for count in (1, 5, 20, 59)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-9
    assert float((fitted(share=1.0)(x) - x).square().mean()) < 1e-9


def test_gradient(fitted):
    defense = fitted(components=6)
    x = defense.learned["mean"][None] + 0.05 * torch.rand(2, 3, 8, 6, generator=torch.Generator().manual_seed(0))
    x = x.clamp(0, 1).requires_grad_()
    after, weights = defense(x), torch.rand(2, 3, 8, 6)
    assert 0 < after.min() < after.max() < 1
    (gradient,) = torch.autograd.grad((after * weights).sum(), x)
    components = defense.learned["components"]  # the projector is symmetric
    torch.testing.assert_close(gradient.flatten(1), weights.flatten(1) @ components.T @ components, rtol=0, atol=1e-5)


def test_the_same_images_teach_the_same(fitted):
    assert repr(fitted()) == repr(fitted())
    assert repr(fitted()) != repr(fitted(count=50))


def test_refuses_other_shapes_and_equal_images(photos, fitted, model):
    with pytest.raises(InputError, match=r"images of shape \(3, 8, 6\), as learned, got \(3, 6, 8\)"):
        fitted()(photos(1, 3, 6, 8))
    with pytest.raises(InputError, match="the same image throughout"):
        PCA().fit(photos(1, 3, 8, 6).expand(4, -1, -1, -1), model=model)


@pytest.mark.parametrize("bad", [{"share": 0}, {"share": 1.1}, {"components": 0}, {"share": 0.5, "components": 10}])
def test_bad_parameters(bad):
    with pytest.raises(ConfigError, match="Expected"):
        PCA(**bad)


def test_more_components_than_there_are(fitted):
    with pytest.raises(ConfigError, match="at most 59 components"):
        fitted(components=60)

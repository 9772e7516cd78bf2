"""The input transforms against the loop over images that a user would write over OpenCV, with an equal result.

With one thread each: the ratio is one of work, on however many cores.
"""

import cv2
import numpy as np
import pytest
import torch
from foolbench.datasets import Scenes
from foolbench.defenses import (
    JPEG,
    PCA,
    BilateralSmoothing,
    BitDepth,
    CropEnsemble,
    Downsampling,
    GaussianSmoothing,
    MedianSmoothing,
    RandomNoise,
    ResizePad,
    TenCrop,
)
from kornia.filters import gaussian_blur2d
from scipy.ndimage import median_filter
from sklearn.decomposition import PCA as SklearnPCA  # noqa: N811 (a class, not a constant)
from torch.nn import functional as F


@pytest.fixture(autouse=True, scope="module")
def one_thread_each():
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    yield
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])


@pytest.fixture(scope="module", params=[(64, 64), (8, 224)], ids=lambda param: "x".join(map(str, param)))
def x(request):
    """64 images of 64 x 64 pixels, and 8 of 224 x 224."""
    count, side = request.param
    return F.interpolate(Scenes().load(range(count))[0], (side, side), mode="bicubic").clamp(0, 1)


def as_array(image):
    return image.permute(1, 2, 0).numpy()


def as_tensor(array):
    return torch.from_numpy(np.ascontiguousarray(array)).permute(2, 0, 1)


def loop(x, function):
    return torch.stack([as_tensor(function(as_array(image))) for image in x])


def shrink(array):
    height, width = array.shape[:2]
    small = cv2.resize(array, (width * 3 // 4, height * 3 // 4), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def through_jpeg(array):
    pixels = (array * 255).round().astype(np.uint8)[:, :, ::-1]
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 75])
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR)[:, :, ::-1].astype(np.float32) / 255


SAME = [
    (GaussianSmoothing(), lambda array: cv2.GaussianBlur(array, (7, 7), 1.0), 1e-5, 1.0),
    (MedianSmoothing(size=3), lambda array: cv2.medianBlur(array, 3), 0, 1.0),
    (MedianSmoothing(size=5), lambda array: cv2.medianBlur(array, 5), 0, 1.0),
    # both spend nearly all their time in the same call of OpenCV: 0.86 to 1.0 on a busy machine
    (BilateralSmoothing(), lambda array: cv2.bilateralFilter(array, 5, 0.2, 2.0), 1e-5, 1.05),
    (JPEG(), through_jpeg, 0, 1.0),
    (BitDepth(), lambda array: np.round(array * 7) / 7, 1e-6, 1.0),
    (Downsampling(), shrink, 1e-5, 1.0),
]


@pytest.mark.parametrize(("defense", "peer", "tolerance", "limit"), SAME, ids=[repr(row[0]) for row in SAME])
def test_same_result(ratio, x, defense, peer, tolerance, limit):
    torch.testing.assert_close(defense(x), loop(x, peer), rtol=0, atol=tolerance)
    ratio(lambda: defense(x), lambda: loop(x, peer), limit=limit)


def test_median_of_2_x_2(ratio, x):
    # what ART's SpatialSmoothing calls, once for the batch
    def theirs():
        return torch.from_numpy(median_filter(x.numpy(), (1, 1, 2, 2), mode="reflect"))

    ours = MedianSmoothing(size=2)
    assert torch.equal(ours(x), theirs())
    ratio(lambda: ours(x), theirs, limit=0.2)


def test_gaussian_with_its_gradient(ratio, x):
    inputs, slope = x.clone().requires_grad_(), torch.rand(x.shape, generator=torch.Generator().manual_seed(0))
    ours = GaussianSmoothing()

    def gradient(outputs):
        return torch.autograd.grad(outputs, inputs, slope)[0]

    def theirs():
        return gradient(gaussian_blur2d(inputs, (7, 7), (1.0, 1.0)))

    torch.testing.assert_close(gradient(ours.transform(inputs, rng=None)), theirs(), rtol=0, atol=1e-4)
    ratio(lambda: gradient(ours.transform(inputs, rng=None)), theirs, limit=1.0)


def enlarge(array, top, left, size):
    return cv2.resize(array[top : top + size, left : left + size], array.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def test_ten_crop(ratio, x):
    side = x.shape[2]
    size = round(0.875 * side)
    last = side - size
    places = [(0, 0), (0, last), (last, 0), (last, last), (last // 2, last // 2)]

    def theirs():
        both = [(as_array(image), as_array(image.flip(2))) for image in x]
        return torch.stack(
            [torch.stack([as_tensor(enlarge(a, *p, size)) for a in pair for p in places]) for pair in both]
        )

    torch.testing.assert_close(TenCrop()(x), theirs(), rtol=0, atol=1e-5)
    ratio(lambda: TenCrop()(x), theirs, limit=1.0, rounds=5)


def test_crop_ensemble(ratio, x):
    # other random places, hence no equal result; tests/defenses compares each crop
    rng, size = np.random.default_rng(0), round(0.8 * x.shape[2])

    def crop(array):
        return as_tensor(enlarge(array, *rng.integers(x.shape[2] - size + 1, size=2), size))

    def theirs():
        return torch.stack([torch.stack([crop(as_array(image)) for _ in range(30)]) for image in x])

    ours = CropEnsemble()
    assert ours(x).shape == theirs().shape
    ratio(lambda: ours(x), theirs, limit=1.0, rounds=5)


def test_resize_pad(ratio, x):
    # other random numbers, hence no equal result; tests/defenses compares each image
    rng, side = np.random.default_rng(0), x.shape[2]

    def frame(array):
        size = int(rng.integers(int(0.9 * side), side + 1))
        top, left = (int(place) for place in rng.integers(side - size + 1, size=2))
        edges = (top, side - size - top, left, side - size - left)
        return cv2.copyMakeBorder(cv2.resize(array, (size, size)), *edges, cv2.BORDER_CONSTANT, value=(0.5,) * 3)

    ours = ResizePad()
    assert ours(x).shape == loop(x, frame).shape
    ratio(lambda: ours(x), lambda: loop(x, frame), limit=1.0)


@pytest.mark.parametrize("distribution", ["uniform", "gaussian"])
def test_random_noise(ratio, x, distribution):
    # other random numbers, hence no equal result
    rng, ours = np.random.default_rng(0), RandomNoise(distribution=distribution)

    def noisy(array):
        uniform = distribution == "uniform"
        noise = 2 * rng.random(array.shape, np.float32) - 1 if uniform else rng.standard_normal(array.shape, np.float32)
        return np.clip(array + 0.05 * noise, 0, 1)

    theirs = loop(x, noisy)
    assert float((ours(x) - x).std()) == pytest.approx(float((theirs - x).std()), rel=0.05)
    ratio(lambda: ours(x), lambda: loop(x, noisy), limit=1.0)


def test_pca(ratio):
    images = Scenes().training(512, lambda images: None)[0].float() / 255
    x = Scenes().load(range(64))[0]
    vectors = images.flatten(1).double().numpy()
    fit = SklearnPCA(0.99, svd_solver="full")
    ours = PCA().fit(images, model=None)
    fit.fit(vectors)
    expected = fit.inverse_transform(fit.transform(x.flatten(1).double().numpy())).clip(0, 1)
    torch.testing.assert_close(ours(x).flatten(1).double(), torch.from_numpy(expected), rtol=0, atol=1e-4)
    ratio(lambda: PCA().fit(images, model=None), lambda: fit.fit(vectors), limit=0.5, rounds=2)


def test_surrogate_of_jpeg_costs_as_much_as_a_small_network(ratio, x, googlenet):
    if x.shape[2] != 64:
        pytest.skip("the network takes 64 pixels")
    inputs = x.clone().requires_grad_()

    def gradient(outputs):
        return torch.autograd.grad(outputs.sum(), inputs)

    ratio(
        lambda: gradient(JPEG().surrogate(inputs, rng=None)),
        lambda: gradient(googlenet.model.logits(inputs)),
        limit=1.0,
        rounds=5,
    )

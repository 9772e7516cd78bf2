"""Segmentation against torchmetrics, by hand, and blind to what is void."""

import numpy as np
import pytest
import torch
from foolbench.core import ConfigError, InputError
from foolbench.tasks import Segmentation
from foolbench.tasks.segmentation import VOID, confusions, mean_iou
from torch.nn import functional as F

CLASSES = 4
TASK = Segmentation(classes=CLASSES)


@pytest.fixture
def maps():
    """Predictions and truth of 6 images, a tenth of it void; class 3 is in neither of the first three."""
    rng = torch.Generator().manual_seed(0)
    truth = torch.randint(CLASSES, (6, 9, 7), generator=rng)
    guess = torch.where(
        torch.rand(truth.shape, generator=rng) < 0.6, truth, torch.randint(4, truth.shape, generator=rng)
    )
    truth[:3], guess[:3] = truth[:3].clamp_max(2), guess[:3].clamp_max(2)
    return guess, truth.masked_fill(torch.rand(truth.shape, generator=rng) < 0.1, VOID)


def of_set(name, guess, truth, task=TASK):
    metric = task.metrics[name]
    return metric.of_set(metric.statistics(guess, truth).double().numpy())


@pytest.mark.parametrize("images", [slice(6), slice(3)], ids=["all classes", "one is absent"])
def test_against_torchmetrics(maps, images):
    classification = pytest.importorskip("torchmetrics.functional.classification")
    guess, truth = (part[images] for part in maps)
    given = {"num_classes": CLASSES, "ignore_index": VOID}
    per_class = classification.multiclass_jaccard_index(guess, truth, average="none", **given)
    present = torch.tensor([bool(((guess == k) | (truth == k))[truth != VOID].any()) for k in range(CLASSES)])
    assert of_set("miou", guess, truth) == pytest.approx(float(per_class[present].mean()))
    assert of_set("miou", guess, truth, Segmentation(classes=4, absent_as_zero=True)) == pytest.approx(
        float(per_class[present].sum() / CLASSES)
    )
    accuracy = classification.multiclass_accuracy(guess, truth, average="micro", **given)
    assert of_set("pixel-accuracy", guess, truth) == pytest.approx(float(accuracy))
    alone = [of_set("miou", guess[i : i + 1], truth[i : i + 1]) for i in range(len(guess))]
    assert of_set("miou-image", guess, truth) == pytest.approx(np.mean(alone))


def test_iou_by_hand():
    guess, truth = torch.tensor([[[0, 0, 1, 1]]]), torch.tensor([[[0, 1, 1, VOID]]])
    counts = confusions(guess, truth, classes=3)
    assert counts.tolist() == [[1, 1, 0, 1, 0, 0, 0, 1, 0]]
    assert float(mean_iou(counts.double().numpy())[0]) == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert float(mean_iou(counts.double().numpy(), absent_as_zero=True)[0]) == pytest.approx(1 / 3)


def _places(logits, targets):
    found = TASK.places(logits, targets)
    return (found.losses * found.alignment).sum(dim=1)


@pytest.mark.parametrize("ascended", [TASK.objective, _places], ids=["objective", "places"])
@pytest.mark.parametrize(
    "labelled", [(slice(None), slice(0, 4)), (slice(1, 3), slice(1, 3))], ids=["a strip", "a spot"]
)
def test_void_pixels_change_nothing_that_attacks_ascend_however_sure_they_are(ascended, labelled):
    """Where most pixels are very sure, logits are scaled down: by the labelled pixels' margins alone."""
    rng = torch.Generator().manual_seed(0)
    logits, truth = torch.randn(2, CLASSES, 16, 16, generator=rng), torch.full((2, 16, 16), VOID)
    truth[:, labelled[0], labelled[1]] = torch.randint(CLASSES, truth[:, labelled[0], labelled[1]].shape, generator=rng)
    found = []
    for sure in (1, 1000):
        given = torch.where((truth == VOID)[:, None], sure * logits, 30 * logits).requires_grad_()
        value = ascended(given, truth)
        (gradient,) = torch.autograd.grad(value.sum(), given)
        found.append((value.detach(), gradient.permute(0, 2, 3, 1)[truth != VOID]))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    assert found[0][1].abs().max() > 1e-4


def test_void_pixels_change_no_number_no_loss_and_no_gradient(maps):
    _, truth = maps
    logits = torch.randn(6, CLASSES, 9, 7, generator=torch.Generator().manual_seed(1))
    others = torch.where((truth == VOID)[:, None], 5 * torch.randn(logits.shape), logits)
    for name, metric in TASK.metrics.items():
        one, two = (metric.statistics(TASK.predict(outputs), truth) for outputs in (logits, others))
        assert torch.equal(one, two), name
    assert torch.equal(TASK.agreement(TASK.predict(logits), truth), TASK.agreement(TASK.predict(others), truth))
    losses, gradients = [], []
    for outputs in (logits.clone(), others.clone()):
        loss = TASK.loss(outputs.requires_grad_(), truth)
        losses.append(loss.detach())
        gradients.append(torch.autograd.grad(loss.sum(), outputs)[0])
        assert not gradients[-1].permute(0, 2, 3, 1)[truth == VOID].any()
    assert torch.equal(*losses)
    assert torch.equal(gradients[0].permute(0, 2, 3, 1)[truth != VOID], gradients[1].permute(0, 2, 3, 1)[truth != VOID])
    assert torch.equal(TASK.reference(TASK.predict(logits), truth) == VOID, truth == VOID)


def test_loss_is_the_mean_over_labelled_pixels(maps):
    _, truth = maps
    logits = torch.randn(6, CLASSES, 9, 7, generator=torch.Generator().manual_seed(1))
    expected = [F.cross_entropy(logits[i : i + 1], truth[i : i + 1], ignore_index=VOID) for i in range(6)]
    torch.testing.assert_close(TASK.loss(logits, truth), torch.stack(expected))
    places = TASK.places(logits, truth)
    torch.testing.assert_close(
        places.losses.sum(dim=1) / (truth != VOID).flatten(1).sum(dim=1), TASK.loss(logits, truth)
    )


def test_an_image_is_reached_where_almost_every_labelled_pixel_is():
    truth = torch.zeros(1, 20, 20, dtype=torch.int64)
    truth[0, :10] = VOID
    guess = torch.ones_like(truth)
    for right, left, reached in (
        (0, True, False),
        (2, True, False),
        (3, False, False),
        (197, False, False),
        (198, False, True),
    ):
        guess[0, 10:].view(-1)[:right] = 0
        assert bool(TASK.reached(guess, truth, targeted=False)) == left
        assert bool(TASK.reached(guess, truth, targeted=True)) == reached


def test_average_is_of_probabilities():
    logits = torch.randn(2, 3, CLASSES, 5, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(TASK.average(logits).softmax(dim=1), logits.softmax(dim=2).mean(dim=1))


@pytest.mark.parametrize(
    ("targets", "complaint"),
    [
        (torch.zeros(2, 4, 4), "int64"),
        (torch.zeros(2, 4, dtype=torch.int64), "int64"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), "2 maps"),
        (torch.full((2, 4, 4), 4), r"0\.\.3 or 255"),
        (torch.full((2, 4, 4), -1), r"0\.\.3 or 255"),
        (torch.full((2, 4, 4), VOID), "labelled pixel"),
    ],
)
def test_wrong_targets(targets, complaint):
    with pytest.raises(InputError, match=complaint):
        TASK.check_targets(targets, 2)


def test_wrong_outputs_and_classes():
    TASK.check_outputs(torch.zeros(2, 4, 5, 5), 2)
    for shape in ((2, 3, 5, 5), (1, 4, 5, 5), (2, 4)):
        with pytest.raises(InputError, match=r"logits of shape \(2, 4, H, W\)"):
            TASK.check_outputs(torch.zeros(shape), 2)
    with pytest.raises(InputError, match="for 1 of 2 images"):
        TASK.check_outputs(torch.tensor([0.0, torch.nan]).reshape(2, 1, 1, 1).expand(2, 4, 5, 5), 2)
    with pytest.raises(ConfigError, match="2 to 255"):
        Segmentation(classes=1)

"""Recognition by systems that may reject an image: what their answers are, and what an attack on them has to reach."""

import pytest
import torch
from foolbench.core import ConfigError, InputError
from foolbench.tasks import AbstainingRecognition, Depth, Recognition

TASK = Recognition(classes=3).abstaining()
REJECTED = 3
OUTPUTS = torch.tensor([[1.0, 2.0, 0.0, -1.0], [1.0, 0.0, 0.5, 3.0], [0.0, 4.0, 1.0, 4.5]])


def test_the_last_logit_is_that_of_rejection():
    assert AbstainingRecognition(classes=3) == TASK
    assert (TASK.class_scores, TASK.rejected, Recognition(classes=3).rejected) == (4, REJECTED, None)
    assert TASK.predict(OUTPUTS).tolist() == [1, REJECTED, REJECTED]
    TASK.check_outputs(OUTPUTS, 3)
    TASK.check_targets(TASK.predict(OUTPUTS), 3)
    with pytest.raises(InputError, match=r"shape \(3, 4\)"):
        TASK.check_outputs(OUTPUTS[:, :3], 3)


def test_a_rejection_is_no_success_of_an_attack():
    answers, targets = torch.tensor([0, 1, REJECTED, REJECTED, 2]), torch.tensor([0, 0, 0, REJECTED, REJECTED])
    assert TASK.reached(answers, targets, targeted=False).tolist() == [False, True, False, False, True]
    assert TASK.reached(answers, targets, targeted=True).tolist() == [True, False, False, True, False]
    assert TASK.agreement(answers, targets).tolist() == [1, 0, 1, 1, 0]


def test_the_loss_is_of_being_right_or_rejected():
    """What an attack ascends, in closed form: minus the logarithm of the sum of both probabilities."""
    y, probabilities = torch.tensor([1, 1, 1]), OUTPUTS.softmax(dim=1)
    loss = TASK.loss(TASK.to_leave(OUTPUTS, y), y)
    torch.testing.assert_close(loss, -(probabilities[:, 1] + probabilities[:, REJECTED]).log())
    odds = TASK.objective(TASK.to_leave(OUTPUTS, y), y)
    torch.testing.assert_close(odds, (probabilities[:, [0, 2]].sum(1) / probabilities[:, [1, 3]].sum(1)).log())


def test_rising_towards_rejection_gains_nothing():
    outputs, y = OUTPUTS.clone().requires_grad_(), torch.tensor([1, 1, 1])
    (gradient,) = torch.autograd.grad(TASK.objective(TASK.to_leave(outputs, y), y).sum(), outputs)
    assert (gradient[:, REJECTED] < 0).all()
    assert (gradient[:, 1] < 0).all()
    assert (gradient[:, [0, 2]] > 0).all()


def test_of_a_rejected_image_rejection_itself_is_left():
    y = torch.tensor([REJECTED] * 3)
    torch.testing.assert_close(TASK.to_leave(OUTPUTS, y), OUTPUTS)


def test_other_tasks_see_outputs_as_they_are():
    assert Recognition(classes=4).to_leave(OUTPUTS, torch.tensor([0, 1, 2])) is OUTPUTS


def test_the_metric_counts_rejections_of_attacked_images_alone():
    metric, truth = TASK.metrics["top1"], torch.tensor([0, 0, 0, 0])
    clean, attacked = torch.tensor([0, 0, REJECTED, 1]), torch.tensor([REJECTED, 2, REJECTED, REJECTED])

    def right(answers, reference):
        return metric.statistics(metric.align(answers, reference, clean), reference).tolist()

    assert right(clean, truth) == [1, 0 + 1, 0, 0]
    assert right(attacked, truth) == [1, 0, 0, 1]
    assert right(attacked, clean) == [1, 0, 1, 1]


def test_who_cannot_reject_is_told():
    with pytest.raises(ConfigError, match="may reject it already"):
        TASK.abstaining()
    with pytest.raises(ConfigError, match="as recognition, got Depth"):
        Depth().abstaining()

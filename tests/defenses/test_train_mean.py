"""The answer without an image: by hand for each task, and the same whatever an attack does."""

import pytest
import torch
from foolbench.attacks import PGD
from foolbench.core import ConfigError, Model
from foolbench.core.task import Metric, Task
from foolbench.defenses import TrainMean, adaptive
from foolbench.tasks import Depth, Recognition, Segmentation
from torch import nn


def dense(task, outputs):
    return Model(nn.Conv2d(3, outputs, 1), task=task, shape=(3, 2, 2), mean=0.5, std=0.5, name="dense")


def images(count=4):
    return torch.rand(count, 3, 2, 2, generator=torch.Generator().manual_seed(0))


def test_depth_is_the_mean_of_what_is_known():
    model = dense(Depth(min_depth=1.0, max_depth=10.0), 1)
    targets = torch.tensor([[[2.0, 0.0], [0.0, 4.0]], [[4.0, 6.0], [0.0, float("nan")]]])  # 0 and NaN: nobody knows
    found = TrainMean().fit(images(2), targets, model=model).defend(model)(images())
    expected = torch.tensor([[3.0, 6.0], [4.0, 4.0]])  # nobody ever knows the third: the mean of the four that are
    torch.testing.assert_close(found, expected.expand(4, 1, 2, 2))


def test_classes_are_as_frequent_as_they_are():
    model = dense(Segmentation(classes=3), 3)
    targets = torch.tensor([[[0, 1], [2, 255]], [[0, 1], [0, 255]], [[1, 1], [2, 255]]])
    found = TrainMean().fit(images(3), targets, model=model).defend(model)
    assert found.predict(images(1)).tolist() == [[[0, 1], [2, 0]]]
    shares = found(images(1)).softmax(dim=1)[0, :, 0, 0]
    torch.testing.assert_close(shares, torch.tensor([3.0, 2.0, 1.0]) / 6)


def test_of_a_classifier_it_is_the_most_frequent_class():
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    model = Model(net, task=Recognition(classes=3), shape=(3, 2, 2), name="linear")
    fitted = TrainMean().fit(images(), torch.tensor([2, 1, 2, 0]), model=model)
    assert fitted.defend(model).predict(images()).tolist() == [2] * 4
    own = TrainMean().fit(images(), model=model).defend(model)  # without labels: by what the network says
    assert own.predict(images(1)) == torch.bincount(model.predict(images())).argmax()


def test_nothing_fools_it():
    model = dense(Depth(min_depth=1.0, max_depth=10.0), 1)
    fitted = TrainMean().fit(images(2), torch.full((2, 2, 2), 3.0), model=model)
    system = fitted.defend(model)
    attacked = PGD(eps=0.5, steps=3)(adaptive(fitted, model), images(), rng=0)
    assert not torch.equal(attacked, images())
    assert torch.equal(system.predict(attacked), system.predict(images()))


def test_a_task_without_such_an_answer_is_refused():
    class Other(Task):
        metrics = {"same": Metric(statistics=lambda a, b: (a == b).float())}  # noqa: RUF012
        check_outputs = check_targets = loss = average = predict = lambda self, *given: None

    with pytest.raises(ConfigError, match="without the image"):
        Other().constant(torch.zeros(1))

"""What counts as reached by a targeted attack: never a rejection, and no number of another network's classes."""

import torch
from foolbench.core import Metric
from foolbench.evaluation.engine.crafting.shard import Shard
from foolbench.evaluation.engine.scoring.answers import Answers
from foolbench.tasks import AbstainingRecognition, Recognition


def at_target(task, clean, attacked, goals):
    answers = Answers([clean], [clean], [attacked], [clean])
    shard = Shard(samples=range(len(clean)), x=torch.zeros(len(clean), 1, 2, 2), y=None)
    metric: Metric = task.metrics["top1"]
    return answers.columns(metric, task, shard, goals)["at_target"].tolist()


def test_a_rejected_image_has_reached_nothing():
    clean, attacked, goals = torch.tensor([1, 2, 4, 10]), torch.tensor([10, 3, 4, 10]), torch.tensor([5, 3, 7, 6])
    assert at_target(AbstainingRecognition(classes=10), clean, attacked, goals) == [0, 1, 0, 0]


def test_the_target_itself_is_reached_and_nothing_else():
    clean, attacked, goals = torch.tensor([1, 2, 3]), torch.tensor([5, 2, 4]), torch.tensor([5, 3, 5])
    assert at_target(Recognition(classes=10), clean, attacked, goals) == [1, 0, 0]

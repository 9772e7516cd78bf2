"""Score a task as a recipe says: with another crop or range of depths, or another mean over classes."""

from collections.abc import Mapping
from typing import Any

from ...core.errors import ConfigError
from ...core.registry import tasks
from ...core.task import Task
from ..grid.parameters import parameters


def as_scored(task: Task, settings: Mapping[str, Any]) -> Task:
    """Return the task with some of its `settings` changed. Raises ConfigError for what is none of them."""
    name = tasks.name_of(task)
    if name is None or not settings.keys() <= set(task.settings):
        can = f"set {', '.join(task.settings)} of {name}" if task.settings else f"be left out, for {name or task}"
        raise ConfigError(f"Expected the recipe's task to {can}, got {', '.join(map(repr, settings))}.")
    return tasks.create(name, parameters(task) | dict(settings))

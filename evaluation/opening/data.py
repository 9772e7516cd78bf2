"""Open data sets and check that they keep their promises: a table is only as reliable as the images behind it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ...core.dataset import Dataset
from ...core.errors import ConfigError
from ...core.foreign import foreign
from ...core.registry import datasets
from ..conformance.checks import BrokenPromiseError, Check
from ..conformance.dataset_checks import FACTS_CHECK, IMAGES_CHECKS


def open_dataset(name: str, parameters: Mapping[str, Any] = MappingProxyType({})) -> Dataset:
    """Return a data set by name or address, all checked. Raises ConfigError, in one sentence, for a broken promise."""
    dataset = make_dataset(name, parameters)
    _hold(name, dataset, IMAGES_CHECKS)
    return dataset


def make_dataset(name: str, parameters: Mapping[str, Any] = MappingProxyType({})) -> Dataset:
    """Return a data set by name or address, checked as far as possible without loading images.

    Raises ConfigError for an unknown name, an invalid parameter or a broken promise.
    """
    make = datasets.bind(name, parameters)
    with foreign(f"Data set {name}"):
        dataset = make()
    _hold(name, dataset, [FACTS_CHECK])
    return dataset


def _hold(name: str, dataset: Dataset, checks: Sequence[Check[Dataset]]) -> None:
    for check in checks:
        with foreign(f"Data set {name}"):
            try:
                check.run(dataset)
            except BrokenPromiseError as broken:
                raise ConfigError(f"Data set {name}: {broken}") from None

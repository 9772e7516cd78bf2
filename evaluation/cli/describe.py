"""An attack or a defense in words, what its author says of it and its parameters; of a network, the facts."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

from ...core.errors import ConfigError, UnknownNameError
from ...core.model import Model
from ...core.python_objects import find_object
from ...core.registry import attacks, defenses, models
from ...models import load_model
from ..conformance import find
from .catalogue import default


def described(name: str, parameters: Mapping[str, Any]) -> str:
    """Plain text for whatever has this name. Raises ConfigError for parameters of what is no network."""
    if _is_network(name):
        return network_description(load_model(name, **parameters))
    if name not in attacks and name not in defenses and ":" not in name:
        raise UnknownNameError("attack, defense or model", name, [*attacks, *defenses, *models])
    if parameters:
        raise ConfigError(f"{name} is described as it is: --set is for networks.")
    return description(name, find(name))


def _is_network(name: str) -> bool:
    if name.rpartition(":")[0].endswith(".py"):
        found = find_object(name)
        return not (isinstance(found, type) and is_dataclass(found))  # as attacks and defenses are
    return name in models or (":" in name and name.partition(":")[0] not in attacks.families)


def description(name: str, found: Callable[..., Any]) -> str:
    """Plain text for the class `found`, known as `name`. Raises ConfigError for what is no dataclass."""
    if not is_dataclass(found):
        raise ConfigError(f"Expected {name} to be a frozen dataclass, got {found!r}.")
    source = (inspect.getdoc(inspect.getmodule(found)) or "").partition("\n")[0]
    parts = [f"{name}: {source}", inspect.getdoc(found) or "", _norms(found), _parameters(found)]
    return "\n\n".join(part for part in parts if part)


def network_description(model: Model) -> str:
    """Plain text: what it takes and gives, and which layers a feature attack disturbs."""
    _, normalization = model.parts
    weights = sum(parameter.numel() for parameter in model.net.parameters())
    facts = {
        "network": f"{type(model.net).__name__}, {weights:,} parameters{', random' if model.random_weights else ''}",
        "task": repr(model.task),
        "images": " x ".join("any" if size is None else str(size) for size in model.shape),
        "made from pictures by": str(model.preprocess or "nothing that it says"),
        "mean": _shown(normalization.mean),
        "std": _shown(normalization.std),
        "hash": model.sha,
    }
    width = max(map(len, facts))
    lines = [f"{what:<{width}}  {fact}" for what, fact in facts.items()]
    layers = [f"    {layer}" for layer in model.feature_names] or ["    none"]
    return "\n".join([f"{model.name}:", "", *lines, "", "Feature layers, which features = [...] replaces:", *layers])


def _shown(values: Tensor) -> str:
    return ", ".join(f"{value:.4g}" for value in values.flatten().tolist())


def _norms(found: Any) -> str:
    norms = getattr(found, "norms", None)
    return f"Norms: {', '.join(norms)}." if norms else ""


def _parameters(found: Any) -> str:
    own = [f"    {field.name}{default(field)}" for field in fields(found)]
    return "\n".join(["Parameters:", *own]) if own else "No parameters."

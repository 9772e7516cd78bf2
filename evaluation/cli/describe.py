"""`foolbench describe`: the docstring and the parameters of an attack, defense, model, data set or recipe."""

import inspect
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import Field, fields, is_dataclass
from typing import Any

from torch import Tensor

from ...core.attack import Attack
from ...core.errors import ConfigError
from ...core.model import Model
from ...core.registry import models
from ...core.universal_attack import UniversalAttack
from ...core.words import budget, counted
from ..conformance import find
from ..conformance.subjects import made
from ..opening.overrides import parse_overrides
from ..opening.recipes import load_recipe, shipped_recipes
from ..recipe.plugins import REGISTRIES
from ..recipe.recipe import Recipe
from .catalogue import can_be_targeted, default

_SHARED = {
    "eps": 'the budget, for pixels in 0..1: a number, or as text a fraction such as "8/255"; by default the recipe\'s',
    "norm": "what eps bounds of the change: linf, the largest value; l2, the Euclidean length; l1, the sum; l0, the "
    "number of changed values, of which a pixel of three colours has three",
    "targeted": "it reaches for a class instead of leaving the predicted one: in a run another one, drawn at random "
    "for each image, from Python the classes y",
}
"""Descriptions of the parameters that attacks have in common."""
_PRIORS = {
    "none": "nothing",
    "range": "the mean and range of images",
    "data": "training images",
    "less-background": "those with least background, of maps",
}
_CALL = {
    Attack: "From Python, attack(model, x, y, rng=0) gives adversarial images; without y it leaves the model's own "
    "predictions. rng is a seed, a torch.Generator or Draws: every image has a random stream of its own.",
    UniversalAttack: "From Python, attack.craft(model, data, rng=0) gives a Perturbation, and its apply(x) adversarial "
    "images. rng is a seed, a torch.Generator or Draws.",
}


def description(name: str, overrides: list[str]) -> str:
    """Return the description of a name as plain text, with `KEY=VALUE` overrides for models, data sets and recipes.

    Raises ConfigError for an unknown name, and for overrides of an attack or a defense.
    """
    taken = any(name in registry for registry in REGISTRIES.values())  # which win over a recipe of the same name
    if name.endswith(".toml") or (name in shipped_recipes() and not taken):
        return _recipe(name, load_recipe(name, overrides))
    parameters = parse_overrides(overrides)
    found = find(name)
    source = (inspect.getdoc(inspect.getmodule(found)) or "").partition("\n")[0]
    if is_dataclass(found):
        if parameters:
            raise ConfigError(f"{name} is described as it is: --set is for models, data sets and recipes.")
        return _paragraphs(f"{name}: {source}", inspect.getdoc(found) or "", *_configuration(found))
    thing = made(found, name, parameters)
    if isinstance(thing, Model):
        return _model(name, thing)
    return _paragraphs(f"{name}: {source}", inspect.getdoc(found) or "", *_dataset(thing))


def _configuration(found: Any) -> Iterable[str]:
    """Yield the norms, the parameters and the call of an attack or a defense."""
    if norms := getattr(found, "norms", None):
        yield f"Norms: {', '.join(norms)}. Access: {found.access}."
    shared = _shared(found) if issubclass(found, Attack | UniversalAttack) else {}
    told = [_parameter(field, shared.get(field.name, "")) for field in fields(found)]
    yield "\n".join(["Parameters:", *told]) if told else "No parameters."
    for kind, text in _CALL.items():
        if isinstance(found, type) and issubclass(found, kind):
            yield textwrap.fill(text, 100)


def _shared(attack: type[Attack] | type[UniversalAttack]) -> Mapping[str, str]:
    """Return the descriptions of an attack's shared parameters; `targeted` only if the attack accepts it."""
    priors = getattr(attack, "priors", ())
    found = dict(_SHARED, prior="what it may look at: " + "; ".join(f"{name}, {_PRIORS[name]}" for name in priors))
    return found if can_be_targeted(attack) else {name: text for name, text in found.items() if name != "targeted"}


def _parameter(field: Field[Any], told: str) -> str:
    own = f"    {field.name}{default(field)}"
    if not told:
        return own
    return own + "\n" + textwrap.fill(told, 100, initial_indent=8 * " ", subsequent_indent=8 * " ")


def _model(name: str, model: Model) -> str:
    weights = sum(parameter.numel() for parameter in model.net.parameters())
    facts = {
        "Task": repr(model.task),
        "Images": " x ".join("any" if side is None else str(side) for side in model.shape),
        "Made from pictures by": str(model.preprocess or "nothing that it says"),
        "Mean, std": " and ".join(_shown(part) for part in (model.parts[1].mean, model.parts[1].std)),
        "Parameters": f"{weights:,}{', random' if model.random_weights else ''}",
        "Feature layers": ", ".join(model.feature_names) or "none",
        "Hash": model.sha,
    }
    registered = inspect.getdoc(models[name]) if name in models else None
    return _paragraphs(f"{name}: {registered or type(model.net).__name__}", _listed(facts))


def _shown(values: Tensor) -> str:
    return ", ".join(f"{value:.4g}" for value in values.flatten().tolist())


def _dataset(data: Any) -> Iterable[str]:
    facts = {
        "Task": repr(data.task),
        "Images": " x ".join(map(str, data.shape)),
        "Evaluation images": f"{len(data):,}",
        "Fingerprint": data.fingerprint,
    }
    yield _listed(facts)


def _recipe(name: str, recipe: Recipe) -> str:
    facts = {
        "Data": f"{recipe.dataset.label}, {counted(recipe.samples, 'image')}",
        "Threat": f"{recipe.threat.norm}, eps = {budget(recipe.threat.eps)}",
        "Models": ", ".join(recipe.model_labels),
        "Attacks": ", ".join(dict.fromkeys(attack.name for attack in recipe.attacks)),
        "Defenses": ", ".join(dict.fromkeys(defense.name for defense in recipe.defenses)) or "none",
        "Knowledge": ", ".join(recipe.knowledge),
    }
    return _paragraphs(f"{name}: {recipe.description or 'a recipe'}", _listed(facts))


def _listed(facts: dict[str, str]) -> str:
    return "\n".join(f"{fact}: {value}" for fact, value in facts.items())


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)

"""Load a recipe from a TOML file and `--set` overrides, and check it; every error is one sentence."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ...core.complaint import Complaint, complaint, short
from ...core.errors import ConfigError, UnknownNameError, why
from ...core.files import is_file, is_folder
from ...core.words import counted
from ..recipe.entries import ThreatDefault
from ..recipe.gates import Gate
from ..recipe.recipe import Recipe
from .consistency import check_consistency
from .overrides import parse_overrides

_LONG = 100
"""The number of minutes beyond which a duration is stated in hours."""
RECIPES = Path(__file__).parents[2] / "leaderboards" / "recipes"


def load_recipe(source: str, overrides: list[str] | None = None) -> Recipe:
    """Load a recipe from a file or by the name of a shipped one, with `KEY=VALUE` overrides.

    Raises ConfigError, in one sentence, for an invalid file, key, value or name.
    """
    document = parse_overrides(overrides or [], _read(source))
    recipe = read_document(document, source)
    return recipe.model_copy(update={"overrides": [*recipe.overrides, *(overrides or [])]})


def read_document(document: Any, source: str, check: Callable[[Recipe], None] = check_consistency) -> Recipe:
    """Return the checked recipe of a parsed document. Raises ConfigError, in which `source` names the recipe."""
    try:
        recipe = Recipe.model_validate(document)
        check(recipe)
    except ValidationError as error:
        raise _sentence(source, complaint(error)) from None
    except RecursionError:
        raise ConfigError(f"Recipe {source}: Expected fewer lists and tables within each other.") from None
    return recipe


def shipped_recipes() -> list[str]:
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def summary(name: str) -> str:
    """Return the description and the duration of a shipped recipe, without loading anything that it names."""
    document = _read(name)
    if (minutes := document.get("minutes")) is None:
        return str(document["description"])
    long = f"{minutes / 60:.2g} hours" if minutes > _LONG else counted(round(minutes), "minute")
    return f"{document['description']} About {long} on one core."


def recipe_path(source: str) -> Path:
    """Return the path of a recipe, given as a TOML file or as the name of a shipped one.

    Raises UnknownNameError for an unknown name, and ConfigError for a path of another kind.
    """
    path, shipped = Path(source), RECIPES / f"{source}.toml"
    if path.suffix == ".toml":
        return path
    if is_file(shipped):
        return shipped
    if path.name != source or is_file(path) or is_folder(path):
        raise ConfigError(f"Expected a TOML file, or a name that `foolbench list recipes` shows, got {short(source)}.")
    raise UnknownNameError("recipe", source, shipped_recipes())


def _read(source: str) -> dict[str, Any]:
    """Read a recipe, with the gates of the file NAME.gates.toml beside it."""
    path = recipe_path(source)
    document = _parsed(path, "recipe")
    beside = path.with_name(f"{path.stem}.gates.toml")
    if not is_file(beside):
        return document
    gates = _parsed(beside, "file of gates")
    if not isinstance(gates.get("gates"), list) or len(gates) > 1:
        raise ConfigError(f"Expected [[gates]] and nothing else in {beside}, got {', '.join(gates) or 'nothing'}.")
    own = document.get("gates", [])
    if not isinstance(own, list):
        raise ConfigError(f"Expected [[gates]] as tables in {path}, got gates = {short(own)}.")
    return document | {"gates": [*own, *gates["gates"]]}


def _parsed(path: Path, what: str) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ConfigError(
            f"Expected a TOML {what} at {path}, got lists or tables within each other without end."
        ) from None
    except (OSError, ValueError) as error:  # a missing file, invalid UTF-8 or TOML, a null byte in the path
        raise ConfigError(f"Expected a TOML {what} at {path}, but: {why(error)}.") from None


def _sentence(source: str, found: Complaint) -> ConfigError:
    where = ".".join(map(str, found.where))
    if found.kind == "extra_forbidden":
        tables = {"threat": ThreatDefault, "gates": Gate}
        fields = tables.get(str(found.where[0]), Recipe).model_fields
        return UnknownNameError(f"key in recipe {source}:", str(found.where[-1]), fields)
    if found.kind == "missing":
        return ConfigError(f"Recipe {source} lacks the key {where!r}.")
    return ConfigError(f"Recipe {source}, {where}: {found.sentence}")

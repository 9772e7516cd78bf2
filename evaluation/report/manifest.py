"""The manifest of a run: recipe, networks, data and the makers of its rows, in one file with a checksum."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StrictInt, TypeAdapter, ValidationError

from ...core.complaint import complaint
from ...core.errors import FoolbenchError, OutputError, UnknownNameError, why
from ...core.files import is_file, write_whole, writing
from ...core.registry import tasks
from ..engine.provenance.maker import maker
from ..grid.digest import digest
from ..grid.facts import Facts
from ..grid.identity import identity
from ..grid.parameters import parameters
from ..leaderboard.source import ScoredRun
from ..ledger.ledger import Ledger, Maker
from ..opening.consistency import check_methods
from ..opening.recipes import read_document
from ..recipe.recipe import Recipe

MANIFEST = "manifest.json"
BESIDE = ".manifest.json"
"""The ending of a manifest that lies beside a table: table.manifest.json for table.csv."""
_SAMPLES = TypeAdapter(list[Annotated[int, Field(ge=0)]], config=ConfigDict(strict=True))
_CLUSTERS = TypeAdapter(tuple[StrictInt, ...] | None)


def write_manifest(folder: Path, run: ScoredRun, device: str, command: Sequence[str]) -> None:
    """Write the manifest of a run, enough to make the tables of an interrupted one. Raises OutputError if it cannot.

    Versions and hardware are those of this process; `makers` has those of all who have written to the ledger.
    """
    recipe, facts = run.recipe, run.facts
    content = {
        "run": run.name,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(command),
        "recipe": recipe.model_dump(),  # not in pydantic's JSON mode, which has no infinite eps
        "recipe_hash": digest(recipe.content),
        "identities": dict(facts.identities),
        **maker(recipe, device),
        "makers": _distinct(run.ledger),
        "task": tasks.name_of(facts.task),
        "task_parameters": parameters(facts.task),
        "bad_images": dict(facts.skipped),
        "sampling": recipe.sampled,
        "samples": list(facts.samples),
        "clusters": None if facts.clusters is None else list(facts.clusters),
    }
    _write(folder / MANIFEST, content)


def manifest_of(path: Path) -> Path:
    """Return the path of the manifest in a run's folder, or of the one that may lie beside a table alone."""
    return path.with_suffix(BESIDE) if is_file(path) else path / MANIFEST


def name_makers(folder: Path, ledger: Ledger) -> None:
    """Update the makers in an existing manifest: processes may have joined since. Raises OutputError if it cannot."""
    path = folder / MANIFEST
    with _expected(path):
        content = _read(path)
    _write(path, content | {"makers": _distinct(ledger)})


def check_made_by(path: Path, runs: Collection[str]) -> None:
    """Raise OutputError if a table with rows of these runs has another run's manifest beside it."""
    file = manifest_of(path)
    with _expected(file):
        made_by = _read(file)["run"]
        if set(runs) != {made_by}:
            raise ValueError(f"it is of the run {made_by}, and {path.name} has rows of {', '.join(sorted(set(runs)))}")


def read_manifest(path: Path) -> tuple[Recipe, Facts]:
    """Return the recipe and the facts of the run in a folder, or of a table that has its manifest beside it.

    Raises OutputError without a valid manifest.
    """
    file = manifest_of(path)
    with _expected(file):
        manifest = _read(file)
        recipe = read_document(manifest["recipe"], "of a manifest", check_methods)
        facts = Facts(
            task=tasks.create(manifest["task"], manifest["task_parameters"]),
            samples=tuple(_SAMPLES.validate_python(manifest["samples"])),
            identities=manifest["identities"],
            clusters=_CLUSTERS.validate_python(manifest["clusters"]),
            skipped=manifest["bad_images"],
        )
        if len(facts.samples) != recipe.samples:
            raise ValueError(f"it lists {len(facts.samples)} samples, and the recipe asks for {recipe.samples}")
        if facts.clusters is not None and len(facts.clusters) != len(facts.samples):
            raise ValueError(f"it lists {len(facts.clusters)} clusters for {len(facts.samples)} samples")
        expected = set(identity(recipe, "", None))
        for model in recipe.networks:
            if not expected <= set(facts.identities[model]):
                raise ValueError(f"the facts about {model} are incomplete")
    return recipe, facts


def _distinct(ledger: Ledger) -> list[Maker]:
    """Return the distinct makers, in the order of their first contribution."""
    found: list[Maker] = []
    for makers in ledger.makers().values():
        found += [one for one in makers if one not in found]
    return found


def _read(path: Path) -> dict[str, Any]:
    """Read a manifest. Raises ValueError for a wrong checksum: a changed digit would change numbers in the tables."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.pop("checksum") != digest(content):
        raise ValueError("it is not what a run has written; run the recipe again for a new one")
    return content


def _write(path: Path, content: Mapping[str, Any]) -> None:
    with writing(path):
        write_whole(path, (json.dumps({**content, "checksum": digest(content)}, indent=2) + "\n").encode())


@contextmanager
def _expected(path: Path) -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        raise OutputError(f"Expected the manifest of a run at {path}, but: {complaint(error).sentence}") from None
    except UnknownNameError as error:
        problem = f"{why(error)}; where a plugin registers it, name its file by --plugin"
        raise OutputError(f"Expected the manifest of a run at {path}, but: {problem}.") from None
    except KeyError as error:
        problem = f"it lacks {error}; run the recipe again"
        raise OutputError(f"Expected the manifest of a run at {path}, but {problem}.") from None
    except (OSError, TypeError, AttributeError, ValueError, RecursionError, FoolbenchError) as error:
        raise OutputError(f"Expected the manifest of a run at {path}, but: {why(error)}.") from None

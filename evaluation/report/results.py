"""The folder a run leaves behind: ledger, manifest, leaderboard as CSV and as Markdown, perturbations."""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import torch
from pydantic import ConfigDict, Field, StrictInt, TypeAdapter, ValidationError

from ...core.complaint import complaint
from ...core.errors import ConfigError, FoolbenchError, OutputError
from ...core.files import remove_leftovers, writable_folder, write_whole
from ...core.registry import tasks
from ..engine.exclusive import LOCKS
from ..engine.versions import versions
from ..grid.digest import digest
from ..grid.facts import Facts
from ..grid.identity import identity
from ..grid.parameters import parameters
from ..leaderboard.curve import Curve
from ..leaderboard.curves import curves
from ..leaderboard.layers import Moved, moved_layers
from ..leaderboard.table import leaderboard, run_name
from ..ledger.ledger import Ledger
from ..ledger.restoring import restore
from ..opening.consistency import check_methods
from ..opening.recipes import read_document
from ..recipe.recipe import Recipe
from .lock import lock
from .tables import markdown
from .text import for_csv

_EARLIER = {"classes": 2}  # of manifests without the parameters: for metrics, which any number of classes has
LEDGER, CSV, MARKDOWN, MANIFEST = "ledger.sqlite", "leaderboard.csv", "leaderboard.md", "manifest.json"
_SAMPLES = TypeAdapter(list[Annotated[int, Field(ge=0)]], config=ConfigDict(strict=True))
_CLUSTERS = TypeAdapter(tuple[StrictInt, ...] | None)


class Results:
    """One output folder, to write to. Raises OutputError where it cannot be made, or another run writes to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = writable_folder(folder)
        self._lock = lock(folder)
        try:
            remove_leftovers(folder)
            if told := restore(folder / LEDGER):  # here, where no other process can have it open
                print(told, file=sys.stderr)
            self.ledger = Ledger(folder / LEDGER)
        except FoolbenchError:
            self._lock.release()
            raise

    def close(self) -> None:
        self.ledger.close()
        shutil.rmtree(self.folder / LOCKS, ignore_errors=True)  # of the processes of this run, which are through
        self._lock.release()

    def __enter__(self) -> "Results":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def write_manifest(self, recipe: Recipe, facts: Facts, device: str) -> None:
        write_manifest(self.folder, recipe, facts, device, sys.argv)

    def write_leaderboard(self, recipe: Recipe, facts: Facts) -> pd.DataFrame:
        """From what the ledger holds."""
        table = leaderboard(recipe, facts, self.ledger)
        self._write_table(table)
        return table

    def rewrite_leaderboard(self, table: pd.DataFrame) -> None:
        """The same for a run that is over. Raises OutputError rather than lose rows of the table that is there."""
        path = self.folder / CSV
        before, found = _finished_rows(path), int((table.status == "ok").sum())
        if found < before:
            raise OutputError(
                f"{path} has {before} finished rows, of which the ledger has {found} by the code of today: what they "
                "were made with has been edited since, or the ledger is damaged. Run the recipe again for new ones."
            )
        self._write_table(table)

    def _write_table(self, table: pd.DataFrame) -> None:
        _write(self.folder / CSV, for_csv(table).to_csv(index=False))
        _write(self.folder / MARKDOWN, markdown(table))


def write_manifest(folder: Path, recipe: Recipe, facts: Facts, device: str, command: Sequence[str]) -> None:
    """What runs there, with what: enough to make the tables of a run that was broken off."""
    _write(folder / MANIFEST, json.dumps(_manifest(recipe, facts, device, command), indent=2) + "\n")


def _write(path: Path, text: str) -> None:
    try:
        write_whole(path, text.encode("utf-8", "replace"))
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}; the ledger keeps all scores.") from None


def read_leaderboard(folder: Path, recipe: Recipe, facts: Facts) -> pd.DataFrame:
    """The table of a run, from its ledger, which may lie where nothing can be written."""
    with closing(Ledger(folder / LEDGER, read_only=True)) as ledger:
        return leaderboard(recipe, facts, ledger)


def read_curves(folder: Path, recipe: Recipe, facts: Facts) -> list[Curve]:
    """Those of a run, from its ledger, as `read_leaderboard` reads it."""
    with closing(Ledger(folder / LEDGER, read_only=True)) as ledger:
        return curves(recipe, facts, ledger)


def read_layers(folder: Path, recipe: Recipe, facts: Facts) -> list[Moved]:
    """How far layers moved, from the ledger of a run, as `read_leaderboard` reads it."""
    with closing(Ledger(folder / LEDGER, read_only=True)) as ledger:
        return moved_layers(recipe, facts, ledger)


def _finished_rows(path: Path) -> int:
    """Of a table that is there; none of one that is damaged, or that a spreadsheet has saved in its own way."""
    try:
        table = pd.read_csv(path, usecols=["recipe", "status"], dtype=str)
        return int((table.status == "ok").sum())
    except (OSError, ValueError, MemoryError):  # pandas' errors are ValueErrors, and so is what is no UTF-8
        return 0


def read_manifest(folder: Path) -> tuple[Recipe, Facts]:
    """What ran in a folder before. Raises OutputError where there is no manifest that can be read."""
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if manifest.pop("checksum") != digest(manifest):
            raise ValueError("it is not what a run has written; run the recipe again for a new one")
        recipe = read_document(manifest["recipe"], "of a manifest", check_methods)
        facts = Facts(
            task=tasks.create(manifest["task"], manifest.get("task_parameters", _EARLIER)),
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
    except ValidationError as error:
        raise OutputError(f"Expected the manifest of a run at {path}, but: {complaint(error).sentence}") from None
    except KeyError as error:
        problem = f"it lacks {error}; run the recipe again"
        raise OutputError(f"Expected the manifest of a run at {path}, but {problem}.") from None
    except (OSError, TypeError, AttributeError, ValueError, RecursionError, FoolbenchError) as error:
        raise OutputError(f"Expected the manifest of a run at {path}, but: {error}.") from None
    return recipe, facts


def read_environment(folder: Path) -> dict[str, str]:
    """The versions and the hardware that a folder's manifest, which `read_manifest` can read, was written with."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    found = {**manifest.get("versions", {}), **manifest.get("hardware", {})}
    return {name: str(value) for name, value in found.items()}


def choose_device(device: str) -> str:
    """ "auto" is the GPU where there is one. Raises ConfigError for a device that torch does not have."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device).item()
    except Exception as error:  # noqa: BLE001 (every kind of device that torch lacks has an exception of its own)
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"Expected --device auto, cpu or a GPU of this machine, got {device!r}: {reason}.") from None
    return device


def device_name(device: str) -> str:
    """A GPU's is that of its kind, not of its place."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def _manifest(recipe: Recipe, facts: Facts, device: str, command: Sequence[str]) -> Mapping[str, Any]:
    """All of it has a checksum: a changed digit would be another number in the tables."""
    content = {
        "run": run_name(recipe, facts),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(command),
        "recipe": recipe.model_dump(),  # as it is: what is called JSON mode has no infinite eps
        "recipe_hash": digest(recipe.content),
        "identities": dict(facts.identities),
        "versions": versions([recipe.dataset.name, *(entry.name for entry in recipe.networks.values())]),
        "commit": _commit(),
        "hardware": {
            "device": device_name(device),
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
        },
        "task": tasks.name_of(facts.task),
        "task_parameters": parameters(facts.task),
        "bad_images": dict(facts.skipped),
        "sampling": recipe.sampled,
        "samples": list(facts.samples),
        "clusters": None if facts.clusters is None else list(facts.clusters),
    }
    return content | {"checksum": digest(content)}


def _commit() -> str | None:
    """Of the checkout this code runs from, where it runs from one."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        asked = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return asked.stdout.strip()

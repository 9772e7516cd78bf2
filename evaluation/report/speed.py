"""The speed table of attacks and defenses, read from the JSON file of pytest-benchmark."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd

from ...core.errors import OutputError

Kind = Literal["attack", "defense"]
COLUMNS: Mapping[str, str] = {
    "model": "the network",
    "kind": "attack, on the bare network, or defense, with the network behind it",
    "name": "of the attack or the defense",
    "params": "its parameters, as JSON",
    "norm": "of the attack's budget",
    "eps": "the budget, for pixels in 0..1",
    "images": "of the batch that was timed",
    "rounds": "how often it was timed",
    "seconds": "for the batch: the median of the rounds",
    "seconds_low": "a quarter of the rounds took less",
    "seconds_high": "a quarter took more",
    "images_per_second": "by the median",
    "device": "where the network was",
    "machine": "the processor, as far as pytest-benchmark knows it",
}
"""The columns of the table in their order, each with its meaning."""


def speed_table(path: Path) -> pd.DataFrame:
    """Return a row for each attack and defense; within a model and kind, the fastest comes first.

    Raises OutputError for a file that pytest-benchmark has not written, or that has no speed tests of a recipe.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        machine = document["machine_info"]
        named = machine.get("cpu", {}).get("brand_raw") or machine.get("processor") or machine.get("machine", "")
        known = [one for one in document["benchmarks"] if "foolbench" in one["extra_info"]]
        rows = [_row(one["extra_info"]["foolbench"], one["stats"]) | {"machine": named} for one in known]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        problem = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise OutputError(f"Expected what pytest --benchmark-json has written at {path}, but: {problem}.") from None
    if not rows:
        raise OutputError(
            f"{path} has no speed tests of a recipe: pytest RECIPE.toml --benchmark-json {path} makes them."
        )
    order = ["model", "kind", "images_per_second"]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values(order, ascending=[True, True, False], kind="stable", ignore_index=True)


def _rounded(number: float) -> float:
    return float(f"{number:.5g}")


def _row(facts: Mapping[str, Any], stats: Mapping[str, Any]) -> dict[str, Any]:
    median, images = float(stats["median"]), int(facts["images"])
    if facts["kind"] not in get_args(Kind) or not isinstance(json.loads(facts["params"]), dict):
        raise ValueError(f"{facts['name']} is neither an attack nor a defense with its parameters")
    if not (0 < median < math.inf and images > 0):
        raise ValueError(f"{facts['name']} took {median} seconds for {images} images")
    return {
        **{name: facts[name] for name in ("model", "kind", "name", "params", "norm", "device")},
        "eps": float(facts["eps"]) if facts["kind"] == "attack" else None,
        "images": images,
        "rounds": int(stats["rounds"]),
        "seconds": _rounded(median),
        "seconds_low": _rounded(float(stats["q1"])),
        "seconds_high": _rounded(float(stats["q3"])),
        "images_per_second": _rounded(images / median),
    }

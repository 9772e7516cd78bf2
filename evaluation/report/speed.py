"""The speed table of attacks and defenses, read from the JSON file of pytest-benchmark."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ...core.errors import OutputError

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
_DIGITS = 6
"""Decimals of seconds: microseconds."""


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


def _row(facts: Mapping[str, Any], stats: Mapping[str, Any]) -> dict[str, Any]:
    median = float(stats["median"])
    return {
        **{name: facts[name] for name in ("model", "kind", "name", "params", "norm", "eps", "images", "device")},
        "rounds": int(stats["rounds"]),
        "seconds": round(median, _DIGITS),
        "seconds_low": round(float(stats["q1"]), _DIGITS),
        "seconds_high": round(float(stats["q3"]), _DIGITS),
        "images_per_second": round(facts["images"] / median, 1),
    }

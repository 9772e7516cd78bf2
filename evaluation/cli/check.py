"""`foolbench check`: print which promises of a contract are kept, and why the others are not."""

from collections.abc import Mapping
from typing import Any

from ..conformance import NOT_CHECKED, check_named
from .console import console


def show(subject: str, parameters: Mapping[str, Any], device: str) -> bool:
    """Check a subject, print the outcome of each check, and return whether all promises are kept."""
    found = check_named(subject, parameters, device)
    for name, seen in found.items():
        words = name.replace("_", " ")
        if seen is None:
            console.print(f"[green]kept[/]    {words}", highlight=False)
        elif seen.startswith(NOT_CHECKED):
            console.print(f"?       {words}, {seen}", style="yellow", soft_wrap=True, markup=False, highlight=False)
        else:
            console.print(f"[red]BROKEN[/]  {words}", highlight=False)
            console.print(f"        {seen}", soft_wrap=True, markup=False, highlight=False)
    kept = sum(seen is None for seen in found.values())
    console.print(f"{subject} keeps {kept} of {len(found)} promises.", soft_wrap=True, markup=False, highlight=False)
    return kept == len(found)

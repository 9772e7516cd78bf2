"""A leaderboard for people: like Tables 10 and 11 of GD-UAP, a row a defense and a column an attack."""

import pandas as pd
from rich.console import Group
from rich.table import Table
from rich.text import Text


def pivot(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """For each model and metric a title and a frame: defense, clean, drop, floor, then GFR and interval per attack."""
    frames = []
    for (model, metric), part in table.groupby(["model", "metric"], sort=False):
        title = f"{model}: {metric} in percent, n = {part.n.iloc[0]}, {part.norm.iloc[0]}"
        frames.append((title, _frame(part)))
    return frames


def _frame(part: pd.DataFrame) -> pd.DataFrame:
    part = part.assign(attack_label=_labels(part, "attack"), defense_label=_labels(part, "defense"))
    rows = []
    for defense, row in part.groupby("defense_label", sort=False):
        known = row[row.status == "ok"]
        facts = known.iloc[0] if len(known) else None
        cells = {
            "defense": defense,
            "clean": "-" if facts is None else f"{facts.clean:.1f}",
            "drop": "-" if facts is None else f"{facts.clean_drop:.1f}",
            "floor": "-" if facts is None else f"{facts.floor:.1f}",
        }
        for cell in row.itertuples():
            done = cell.status == "ok"
            cells[cell.attack_label] = f"{cell.gfr:.1f} [{cell.gfr_low:.0f}-{cell.gfr_high:.0f}]" if done else "error"
        rows.append(cells)
    return pd.DataFrame(rows)


def _labels(part: pd.DataFrame, kind: str) -> pd.Series:
    """The name, with those parameters that tell it from its namesakes."""
    parameters = part[f"{kind}_params"].map(pd.io.json.ujson_loads)
    labels = {}
    for name, same in parameters.groupby(part[kind], sort=False):
        unique = {key for chosen in same for key, value in chosen.items() if any(value != o.get(key) for o in same)}
        for index, chosen in same.items():
            shown = [f"{key} {chosen[key]}" for key in chosen if key in unique]
            labels[index] = f"{name} {', '.join(shown)}".strip()
    return pd.Series(labels)


HEADING = (
    "Generalized fooling rate per attack in percent with its 95% interval; clean accuracy, and the points it drops."
)


def markdown(table: pd.DataFrame) -> str:
    """The tables as Markdown, and the errors below."""
    parts = [f"# {table.recipe.iloc[0]}", HEADING]
    for title, frame in pivot(table):
        parts += [f"## {title}", frame.to_markdown(index=False, disable_numparse=True)]
    failures = _failures(table)
    if failures:
        parts += ["## Errors", "\n".join(f"- {line}" for line in failures)]
    return "\n\n".join(parts) + "\n"


def terminal(table: pd.DataFrame) -> Group:
    """The same for the terminal."""
    parts: list[Table | Text] = [Text(HEADING, style="dim")]
    for title, frame in pivot(table):
        shown = Table(title=title, title_justify="left", title_style="bold")
        for column in frame.columns:
            shown.add_column(column, justify="left" if column == "defense" else "right")
        for row in frame.itertuples(index=False):
            shown.add_row(*row)
        parts.append(shown)
    parts += [Text(line, style="red") for line in _failures(table)]
    return Group(*parts)


def _failures(table: pd.DataFrame) -> list[str]:
    failed = table[table.status != "ok"]
    return [f"{row.model} x {row.attack} x {row.defense}: {row.error}" for row in failed.itertuples()]

"""Escape untrusted text, such as names and messages of plugins, for CSV, Markdown and LaTeX."""

import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MARKDOWN = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "\\|", "\n": " ", "\r": " "})
_LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "<": r"\textless{}"}
    | {">": r"\textgreater{}", "\n": " ", "\r": " "}
)


def for_csv(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with an apostrophe before each text that a spreadsheet would compute as a formula.

    Spreadsheets hide the apostrophe. A text that begins with one gets another, so that `from_csv` restores every text.
    """
    return table.map(
        lambda value: f"'{value}" if isinstance(value, str) and value.startswith(("'", *_FORMULA)) else value
    )


def from_csv(table: pd.DataFrame) -> pd.DataFrame:
    """Undo `for_csv`: return the original texts."""
    return table.map(lambda value: value.removeprefix("'") if isinstance(value, str) else value)


def for_markdown(text: str) -> str:
    """Escape a text for a cell of a Markdown table, so that it neither ends the cell nor becomes HTML."""
    return text.translate(_MARKDOWN)


def for_latex(text: str) -> str:
    """Escape a text for LaTeX, so that every character is printed as it is."""
    return text.translate(_LATEX)

"""Text of others, as names of plugins and their messages, made harmless where a program would take it for a command."""

import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MARKDOWN = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "\\|", "\n": " ", "\r": " "})
_LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "<": r"\textless{}"}
    | {">": r"\textgreater{}", "\n": " ", "\r": " "}
)


def for_csv(table: pd.DataFrame) -> pd.DataFrame:
    """Spreadsheets compute a text that begins like a formula: an apostrophe before it, which they hide, keeps it text.

    A text that begins with an apostrophe gets one as well, so that taking one away gives every text back.
    """
    return table.map(
        lambda value: f"'{value}" if isinstance(value, str) and value.startswith(("'", *_FORMULA)) else value
    )


def from_csv(table: pd.DataFrame) -> pd.DataFrame:
    """The texts that `for_csv` was given."""
    return table.map(lambda value: value.removeprefix("'") if isinstance(value, str) else value)


def for_markdown(text: str) -> str:
    """No cell ends early, and no text becomes an element of HTML."""
    return text.translate(_MARKDOWN)


def for_latex(text: str) -> str:
    """Every character stands for itself."""
    return text.translate(_LATEX)

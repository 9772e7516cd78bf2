"""The code of a Python file without its comments and docstrings, so that better words change no identity."""

import ast
from functools import cache


@cache
def bare_code(content: bytes) -> bytes:
    """Return the normalised code of a file's content, or the content itself if Python cannot parse it."""
    try:
        tree = ast.parse(content)
        _drop_texts(tree)
        return ast.unparse(tree).encode()
    except (SyntaxError, ValueError, RecursionError):
        return content


def _drop_texts(tree: ast.Module) -> None:
    """Remove every statement that is nothing but a string: docstrings, and texts below attributes."""
    for node in ast.walk(tree):
        for block in ("body", "orelse", "finalbody"):
            statements = getattr(node, block, None)
            if isinstance(statements, list):  # the body of a lambda is an expression
                statements[:] = [statement for statement in statements if not _is_text(statement)]


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )

"""The documentation as a site, of the Markdown files where they lie: `tox -e site` writes it to site/."""

import importlib.metadata
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

project = "foolbench"
release = importlib.metadata.version(project)

extensions = ["myst_parser", "sphinx.ext.autodoc"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/*.md", "attacks/*.md", "defenses/*.md", "leaderboards/**.md"]

myst_heading_anchors = 3
default_role = "code"  # docstrings have code between single backticks, as Markdown has
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
maximum_signature_line_length = 100
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = "foolbench"
html_extra_path = ["redirect/index.html"]


def setup(app: Sphinx) -> None:
    app.connect("doctree-read", _without_folders)


def _without_folders(app: Sphinx, page: nodes.document) -> None:
    """A link to a folder leads there where the page is read as it lies; the site has the words alone."""
    here = Path(page["source"]).parent
    for link in list(page.findall(addnodes.pending_xref)):
        if (here / link["reftarget"]).is_dir():
            link.replace_self(link.children)

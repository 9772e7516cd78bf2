"""The documentation is a site that is whole: it builds without a warning, and every link in it leads somewhere."""

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[1]


class _Page(HTMLParser):
    """What a page is made of and where it leads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors, self.links, self.loaded = set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        facts = dict(attrs)
        self.anchors |= {facts[name] for name in ("id", "name") if facts.get(name)}
        if tag == "a" and "href" in facts:
            self.links.append(facts["href"])
        elif "src" in facts or (tag == "link" and facts.get("rel") == "stylesheet"):
            self.loaded.append(facts.get("src") or facts["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "--fail-on-warning", "-c", ROOT / "docs", ROOT, out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {path: _Page(path) for path in out.rglob("*.html")}


def test_every_page_that_a_reader_needs_is_there(site):
    names = {path.name for path in site} | {f"{path.parent.name}/{path.name}" for path in site}
    assert {"index.html", "README.html", "CONTRIBUTING.html", "docs/api.html", "recipes/README.html"} <= names


def test_every_link_leads_somewhere(site):
    lost = []
    for path, page in site.items():
        for link in (*page.links, *page.loaded):
            parts = urlsplit(link)
            if parts.scheme:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = there in site and (not parts.fragment or unquote(parts.fragment) in site[there].anchors)
            if not (known or (there.is_file() and not parts.fragment)):
                lost.append((path.name, link))
    assert not lost


def test_a_page_asks_nobody_else(site):
    assert [link for page in site.values() for link in page.loaded if urlsplit(link).scheme not in ("", "data")] == []


def test_the_package_is_on_it(site):
    (api,) = (page for path, page in site.items() if path.name == "api.html")
    names = ("evaluate", "core.InputTransform", "core.InputTransform.transform", "attacks.PGD", "defenses.JPEG")
    assert {f"foolbench.{name}" for name in names} <= api.anchors

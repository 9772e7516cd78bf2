"""The documentation is a site that is whole: it builds without a warning, and every link in it leads somewhere."""

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

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


def test_it_builds_and_is_whole(tmp_path):
    """One test, for with several processes each would build a site for the tests that it gets."""
    command = [sys.executable, "-m", "sphinx", "-q", "--fail-on-warning", "-c", ROOT / "docs", ROOT, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    site = {path: _Page(path) for path in tmp_path.rglob("*.html")}
    every_page_that_a_reader_needs_is_there(site)
    every_link_leads_somewhere(site)
    a_page_asks_nobody_else(site)
    the_package_is_on_it(site)


def every_page_that_a_reader_needs_is_there(site):
    names = {path.name for path in site} | {f"{path.parent.name}/{path.name}" for path in site}
    assert {"index.html", "README.html", "CONTRIBUTING.html", "docs/api.html", "recipes/README.html"} <= names


def every_link_leads_somewhere(site):
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


def a_page_asks_nobody_else(site):
    assert [link for page in site.values() for link in page.loaded if urlsplit(link).scheme not in ("", "data")] == []


def the_package_is_on_it(site):
    (api,) = (page for path, page in site.items() if path.name == "api.html")
    names = ("evaluate", "core.InputTransform", "core.InputTransform.transform", "attacks.PGD", "defenses.JPEG")
    assert {f"foolbench.{name}" for name in names} <= api.anchors

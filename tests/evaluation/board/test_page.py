"""The page as text: what names hold is text there, and nothing of it is from elsewhere."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from foolbench.evaluation.board import page as page_module
from foolbench.evaluation.board.page import page
from foolbench.evaluation.board.pictures import Album


class Elements(HTMLParser):
    """All elements with their attributes, and all text outside of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.found, self.texts, self.scripts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        (self.scripts if self.lasttag == "script" else self.texts).append(data)


@pytest.fixture(scope="module")
def elements(hostile_folder):
    return Elements((hostile_folder[0] / "index.html").read_text())


def test_names_are_text_and_no_elements(elements, hostile_names):
    tags = [tag for tag, _ in elements.found]
    assert tags.count("script") == 1
    assert "img" not in tags
    said = "".join(elements.texts)
    assert all(name in said for name in hostile_names)
    assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on")]


def test_the_policy_allows_the_one_script_and_no_network(elements):
    policy = next(a["content"] for _, a in elements.found if a.get("http-equiv") == "Content-Security-Policy")
    script = elements.scripts[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'sha256-{digest}'"
    assert rules["img-src"] == "data:"
    assert not set(rules) & {"connect-src", "font-src", "frame-src", "media-src"}


def test_nothing_but_links_points_elsewhere(elements, hostile_run):
    for tag, attributes in elements.found:
        assert "src" not in attributes
        if "href" in attributes:
            assert tag == "a"
            assert attributes["href"].startswith(("#", "https://"))
    text = (hostile_run / "index.html").read_text()
    assert set(re.findall(r"url\((?!#)([a-z]+:)", text)) == {"data:"}


def test_ids_are_there_once_and_links_lead_somewhere(elements):
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = {
        attributes["href"][1:] for tag, attributes in elements.found if tag == "a" and attributes["href"][0] == "#"
    }
    assert wanted <= set(ids)
    for _, attributes in elements.found:
        for name in ("aria-labelledby", "xlink:href"):
            assert attributes.get(name, "#").removeprefix("#") in {"", *ids}


def test_every_row_has_its_panel_with_its_numbers_and_its_flags(elements, hostile_board):
    said = "".join(elements.texts)
    for row in hostile_board.rows:
        assert f"{row.number} · {row['model']} × {row.attack} × {row.defense}, {row['knowledge']}" in said
        if row.ok:
            assert f"{row['gfr']:.1f}" in said
        else:
            assert row["error"] in said


def test_pictures_fit_into_the_bytes_that_are_left(hostile_board, monkeypatch):
    whole = page(hostile_board)
    assert "image-rendering:pixelated" in whole
    monkeypatch.setattr(page_module, "MOST", len(whole.encode()) - 3000)
    smaller = page(hostile_board)
    assert len(smaller.encode()) <= len(whole.encode()) - 3000
    assert "All rows" in smaller


def test_a_page_whose_text_alone_is_too_long_has_no_pictures(hostile_board, monkeypatch):
    monkeypatch.setattr(page_module, "MOST", 1000)
    text = page(hostile_board)
    assert "All rows" in text
    assert "background-image" not in text


def test_an_album_has_each_picture_once_and_keeps_its_budget():
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (96, 96, 3), dtype=np.uint8) for _ in range(12)]
    album = Album()
    names = [album.name(picture) for picture in (*noise, *noise)]
    assert len(set(names)) == 12
    assert names[:12] == names[12:]
    for budget in (10_000_000, 60_000, 20_000, 3_000):
        found = album.encoded(budget)
        assert sum(len(one.uri) for one in found.values()) <= budget
    assert set(album.encoded(10_000_000)) == set(names)
    assert all(one.uri.startswith("data:image/png") for one in album.encoded(10_000_000).values())
    assert set(album.encoded(60_000)) == set(names)
    assert len(album.encoded(3_000)) < 12
    assert not album.encoded(-1)
    assert not Album().encoded(-1)

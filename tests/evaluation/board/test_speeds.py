"""The page of a speed table: what it says, and that it runs nothing and asks for nothing."""

import json

import pandas as pd
import pytest
from foolbench.evaluation.board.speeds import speed_page
from foolbench.evaluation.report.speed import COLUMNS

BAD = "<script>alert(1)</script>"


def row(kind, name, rate, **more):
    seconds = 32 / rate
    told = {"model": "net", "kind": kind, "name": name, "params": "{}", "images": 32, "rounds": 5, "device": "cpu"}
    times = {"seconds": seconds, "seconds_low": seconds / 2, "seconds_high": 2 * seconds, "images_per_second": rate}
    budget = {"norm": "linf", "eps": 0.031373} if kind == "attack" else {}
    return told | times | budget | {"machine": "a processor"} | more


@pytest.fixture
def page(tmp_path):
    rows = [
        row("attack", "pgd", 40.0, params=json.dumps({"steps": 10, "step_size": None})),
        row("attack", BAD, 10.0),
        row("defense", "none", 400.0),
        row("defense", "jpeg", 200.0),
        row("attack", "alone", 3.0, model="another"),
    ]
    text = speed_page(pd.DataFrame(rows, columns=list(COLUMNS)), tmp_path / f"{BAD}.json".replace("/", "_"))
    (tmp_path / "speed.html").write_text(text)
    return tmp_path / "speed.html"


def test_the_page_in_a_browser(chromium, page):
    opened, heard = chromium.new_page(), []
    opened.on("console", lambda message: heard.append(message.text))
    opened.on("dialog", lambda dialog: (heard.append(dialog.message), dialog.dismiss()))
    opened.on("request", lambda request: request.url == page.as_uri() or heard.append(request.url))
    opened.goto(page.as_uri())
    titles = opened.locator("h2").all_inner_texts()
    assert titles == ["net: attacks on the bare network", "net: the network behind defenses",
                      "another: attacks on the bare network"]  # fmt: skip
    attacks, defenses, alone = opened.locator("table").all()
    first, second = attacks.locator("tbody tr").all()
    assert first.locator("th, td").all_inner_texts() == [
        "pgd", "40.0", "10.0×", "0.8 0.4–1.6", "32", "5", "norm = linf, eps = 8/255, steps = 10",
    ]  # fmt: skip
    assert second.locator("th").inner_text() == BAD
    assert [one.locator("td").nth(1).inner_text() for one in defenses.locator("tbody tr").all()] == ["1.0×", "2.0×"]
    assert alone.locator("td").nth(1).inner_text() == ""  # what the bare network takes is not known there
    assert opened.locator(".setting").inner_text() == "device cpu machine a processor"
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert heard == []
    opened.close()


@pytest.mark.parametrize("dark", [False, True])
def test_nothing_keeps_a_reader_out(chromium, page, dark):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    context = chromium.new_context(color_scheme="dark" if dark else "light")
    opened = context.new_page()
    opened.goto(page.as_uri())
    assert axe.Axe().run(opened).response["violations"] == []
    context.close()

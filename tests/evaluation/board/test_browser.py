"""The page in Chromium: what a reader does with it, by mouse and by keyboard, and what it does by itself, nothing."""

import pytest

ROWS = "#table tbody tr:not([hidden])"


def column(page, name):
    """The texts of a column, row by row, as they stand."""
    at = page.evaluate(f"[...document.querySelectorAll('#table thead th')].findIndex(h => h.dataset.name === '{name}')")
    return [
        row.split("\t")[0]
        for row in page.eval_on_selector_all(
            ROWS, f"rows => rows.map(r => r.cells[{at}].dataset.v ?? r.cells[{at}].textContent)"
        )
    ]


def heading(page, name):
    return page.locator(f"#table th[data-name={name}]")


def expect_count(page, selector, count):
    """Waits for it. What waits for a function of the page asks for `eval`, which the page forbids."""
    from playwright.sync_api import expect  # where there is a page there is playwright

    expect(page.locator(selector)).to_have_count(count)


def quiet(page):
    """Everything but pictures that the page has in itself."""
    return [said for said in page.heard if not said.startswith("data:")]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 320])
def test_nothing_is_asked_for_said_or_wider_than_the_window(opened, width, dark):
    page = opened(width, dark)
    assert page.locator(ROWS).count() > 30
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#table tbody a").nth(8).click()
    assert page.locator("dialog .shot").count() > 2
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert quiet(page) == []


def test_a_heading_sorts_numbers_either_way_and_leaves_blanks_last(opened):
    page = opened()
    heading(page, "gfr").get_by_role("button").click()
    assert heading(page, "gfr").get_attribute("aria-sort") == "ascending"
    found = column(page, "gfr")
    numbers = [float(text) for text in found if text]
    assert "" in found
    assert found[len(numbers) :] == [""] * (len(found) - len(numbers))
    assert numbers == sorted(numbers)
    assert len(set(numbers)) > 3
    heading(page, "gfr").get_by_role("button").press("Enter")
    assert heading(page, "gfr").get_attribute("aria-sort") == "descending"
    assert [float(text) for text in column(page, "gfr") if text] == sorted(numbers, reverse=True)
    assert column(page, "gfr")[-1] == ""
    heading(page, "attack").get_by_role("button").press("Space")
    assert page.locator("#table [aria-sort]").count() == 1
    assert column(page, "attack") == sorted(column(page, "attack"))
    assert quiet(page) == []


def test_filters_together_leave_what_fits_all_of_them(opened, hostile_names):
    page = opened()
    script, formula, _ = hostile_names
    page.get_by_label("knowledge").first.select_option("adaptive")
    page.locator("select[data-column=model]").select_option(script)
    page.get_by_label("Find").fill("PGD hyperlink")
    assert set(column(page, "attack")) == {"pgd"}
    assert set(column(page, "defense")) == {formula}
    assert set(column(page, "knowledge")) == {"adaptive"}
    assert set(column(page, "model")) == {script}
    shown = page.locator(ROWS).count()
    assert page.locator("#count").text_content().startswith(f"{shown} of ")
    page.get_by_role("button", name="All rows", exact=True).click()
    expect_count(page, "#table tbody tr[hidden]", 0)
    assert page.locator(ROWS).count() > shown


def test_columns_come_and_go(opened):
    page = opened()
    page.get_by_text("Columns", exact=True).first.click()
    assert heading(page, "gfr").is_visible()
    assert not heading(page, "l2_mean").is_visible()
    page.locator("#choice input[value=gfr]").uncheck()
    page.locator("#choice input[value=l2_mean]").check()
    assert not heading(page, "gfr").is_visible()
    assert heading(page, "l2_mean").is_visible()


def test_a_row_opens_by_keyboard_and_gives_the_focus_back(opened, hostile_board):
    page = opened()
    row = next(row for row in hostile_board.rows if row.ok and row["defense"] != "none")
    link = page.locator(f"#table a[href='#r{row.number}']")
    link.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog")
    assert dialog.is_visible()
    assert dialog.locator("#closer-title").text_content().startswith(f"{row.number} · ")
    assert dialog.locator(".shot").count() == 5
    assert f"--row {row.place}" in dialog.text_content()
    assert page.evaluate("document.querySelector('dialog').contains(document.activeElement)")
    page.get_by_label("Row after").press("Enter")
    assert dialog.locator("#closer-title").text_content().startswith(f"{row.number + 1} · ")
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.evaluate("document.activeElement.getAttribute('href')") == f"#r{row.number}"
    # told of its end, the dialog gives back what it showed
    expect_count(page, ".panel > .body", len(hostile_board.rows))
    assert quiet(page) == []


def test_an_address_with_a_row_opens_it(opened):
    assert opened(fragment="#r3").locator("dialog #closer-title").text_content().startswith("3 · ")


def test_without_javascript_all_is_there(opened, hostile_board):
    page = opened(script=False)
    assert page.locator(ROWS).count() == len(hostile_board.rows)
    assert not page.locator("#controls").is_visible()
    assert page.locator(".heat a").count() > 10
    panel = page.locator("#r9")
    assert not panel.locator(".numbers").is_visible()
    panel.locator("summary").first.press("Enter")
    assert panel.locator(".numbers").is_visible()
    assert panel.locator(".shot").first.is_visible()


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (360, True)])
def test_axe_finds_nothing(opened, width, dark):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(width, dark)

    def violations(part="html"):
        found = axe.run(page, context=part, options={"resultTypes": ["violations"]}).response["violations"]
        return [(one["id"], one["nodes"][0]["html"]) for one in found]

    assert violations() == []
    page.locator("#table tbody a").nth(8).click()
    assert page.locator("dialog .shot").count() > 2
    assert violations("dialog[open]") == []

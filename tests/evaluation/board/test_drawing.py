"""Labels that keep their distance, and SVG that a page can hold."""

import numpy as np
import pytest
from foolbench.evaluation.board.charts import slopes, tradeoff
from foolbench.evaluation.board.drawing import PAGE, harmless, spread, svg


def test_labels_that_have_room_stay_where_they_are():
    assert spread([30.0, 10.0, 80.0], 5, 0, 100) == pytest.approx([30, 10, 80])


def test_crowded_labels_move_as_little_as_they_can():
    placed = spread([50.0, 50.0, 50.0], 10, 0, 100)
    assert sorted(placed) == pytest.approx([40, 50, 60])


def test_labels_keep_their_order_and_their_distance():
    values = np.random.default_rng(0).uniform(90, 100, 17)
    placed = spread(values, 5, 0, 100)
    assert np.array_equal(np.argsort(placed), np.argsort(values))
    assert np.diff(np.sort(placed)).min() >= 5 - 1e-9
    assert placed.min() >= 0
    assert placed.max() <= 100 + 1e-9


def test_charts_have_text_no_fixed_ink_and_names_of_their_own(hostile_board, hostile_names):
    part = next(part for part in hostile_board.parts if part.model == hostile_names[0])
    charts = [tradeoff(part, PAGE), *slopes(part, PAGE)]
    assert len(charts) == 3  # and the slopes of fgsm and of pgd
    texts = [svg(chart.figure, name=f"c{at}") for at, chart in enumerate(charts)]
    assert all("bit-depth" in text and "var(--ink)" in text and "#0101" not in text for text in texts)
    assert all("HYPERLINK" in text for text in texts)
    assert 'id="c0-figure_1"' in texts[0]
    assert "<script" not in "".join(texts)
    assert texts[0] == svg(tradeoff(part, PAGE).figure, name="c0")


def test_what_xml_may_not_hold_is_not_drawn():
    assert harmless("a\0b\nc\x1b") == "a\ufffdb c\ufffd"

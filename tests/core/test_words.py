"""Nouns after numbers."""

import pytest
from foolbench.core.words import counted


@pytest.mark.parametrize(
    ("number", "noun", "said"), [(0, "image", "0 images"), (1, "image", "1 image"), (2, "class", "2 classes")]
)
def test_a_noun_agrees_with_its_number(number, noun, said):
    assert counted(number, noun) == said

"""The page of all attacks is what the registry says today."""

from pathlib import Path

import pytest
from foolbench.core import attacks
from foolbench.evaluation.catalogue import catalogue

PAGE = Path(__file__).parents[2] / "attacks" / "README.md"


def test_the_page_is_up_to_date(foolbench):
    code, out, _ = foolbench("catalogue")
    assert code == 0
    assert out == PAGE.read_text(), "make it anew: foolbench catalogue > attacks/README.md"


@pytest.mark.parametrize("name", [*attacks, *attacks.families["foolbox"].summaries])
def test_every_name_is_on_it(name):
    assert f"`{name}`" in PAGE.read_text()


def test_a_row_says_what_the_class_says():
    rows = {line.split("|")[1].strip(): line for line in catalogue(attacks).splitlines() if line.startswith("| `")}
    paper = "[Madry et al. 2018](https://arxiv.org/abs/1706.06083)"
    pgd = [part.strip() for part in rows["`pgd`"].split("|")][2:-1]
    assert pgd[:5] == ["image", "linf, l2, l1", "gradient", "yes", paper]
    assert pgd[5].startswith("`steps` = 40, `step_size`, `random_start` = true")
    assert "universal" in rows["`gd-uap`"]
    assert "| no " in rows["`gd-uap`"]
    assert "minimal attack, l2, access: gradient" in rows["`foolbox:L2DeepFoolAttack`"]

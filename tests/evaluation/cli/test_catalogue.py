"""The pages of all attacks and of all defenses are what the registries say today."""

from pathlib import Path

import pytest
from foolbench.core import attacks, defenses
from foolbench.evaluation.cli.catalogue import attack_page, defense_page
from foolbench.evaluation.cli.describe import description

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("kind", ["attacks", "defenses", "recipes"])
def test_the_page_is_up_to_date(foolbench, kind):
    folder = {"recipes": "leaderboards/recipes"}.get(kind, kind)
    code, out, _ = foolbench("catalogue", kind)
    assert code == 0
    assert out == (ROOT / folder / "README.md").read_text(), f"foolbench catalogue {kind} > {folder}/README.md"


def rows(page):
    """The cells of each line by the name it begins with."""
    lines = [[part.strip() for part in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| `")]
    return {name.strip("`"): cells for name, *cells in lines}


def test_every_name_is_on_its_page():
    assert {*attacks, *attacks.families["foolbox"].summaries} == set(rows(attack_page(attacks)))
    assert set(defenses) == set(rows(defense_page(defenses)))


def test_the_row_of_an_attack_says_what_the_class_says():
    found = rows(attack_page(attacks))
    paper = "[Madry et al. 2018](https://arxiv.org/abs/1706.06083)"
    assert found["pgd"][:5] == ["image", "linf, l2, l1", "gradient", "yes", paper]
    assert found["pgd"][5].startswith("`steps` = 40, `step_size`, `random_start` = true")
    assert found["gd-uap"][0] == "universal"
    assert found["gd-uap"][3] == "no"
    assert found["foolbox:L2DeepFoolAttack"] == ["minimal attack, l2, access: gradient"]


def test_the_row_of_a_defense_says_what_the_class_says():
    found = rows(defense_page(defenses))
    assert found["jpeg"] == [
        "cubic, leaky", "no", "no",
        "PGD through a differentiable JPEG (Shin and Song 2017) or the identity "
        "([Athalye, Carlini and Wagner 2018](https://arxiv.org/abs/1802.00420))",
        "[Guo et al. 2018](https://arxiv.org/abs/1711.00117); GD-UAP, Table 10",
        "`quality` = 75",
    ]  # fmt: skip
    assert found["random-noise"][:3] == ["exact", "yes", "no"]
    assert found["quilting"][:3] == ["soft, identity, smooth", "yes", "yes"]
    assert found["bit-depth"][0] == "identity"
    assert found["tv"][0] == "exact, filled, smooth"
    assert all(row[3] for row in found.values())
    assert found["pca"][:3] == ["exact", "no", "yes"]
    assert found["pca"][4].endswith("Liang, Hayes and Althoff 2017"), "in one line, also where its docstring breaks it"
    assert found["compose"][:3] == ["as its steps"] * 3


@pytest.mark.parametrize("name", ["pgd", "deepfool", "fff", "uap", "gd-uap", "prn"])
def test_what_is_described_is_what_is_taken(name):
    """Shared parameters are explained as far as the attack takes them, and no defense's are taken for an attack's."""
    text = " ".join(description(name, []).split())
    assert ("drawn at random for each image" in text) == (name == "pgd")
    assert ("less-background" in text) == (name == "gd-uap")
    assert ("by default the" in text) == (name != "prn")

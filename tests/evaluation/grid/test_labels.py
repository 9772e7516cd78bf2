"""Labels tell rows of one name apart, and call a targeted attack so in any case."""

import json

import pytest
from foolbench.evaluation.grid.labels import labels


def row(name, norm="linf", eps=0.1, **parameters):
    return {"attack": name, "attack_params": json.dumps(parameters), "norm": norm, "eps": eps, "seed": None}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row("pgd", steps=3), row("fgsm")], ["pgd", "fgsm"]),
        ([row("pgd", steps=3), row("pgd", steps=9)], ["pgd steps 3", "pgd steps 9"]),
        ([row("square", targeted=True), row("fgsm", targeted=False)], ["square targeted", "fgsm"]),
        ([row("pgd", targeted=True), row("pgd", targeted=False)], ["pgd targeted", "pgd"]),
        (
            [row("pgd", targeted=True, eps=0.1), row("pgd", targeted=False, eps=0.2)],
            ["pgd targeted, eps 0.1", "pgd eps 0.2"],
        ),
    ],
)
def test_labels(rows, expected):
    assert labels(rows, "attack") == expected

"""PGD to answers that the model is sure of."""

import pytest
import torch
from foolbench.attacks import PGD, ConfidentPGD
from foolbench.core import ConfigError
from foolbench.datasets import Digits

COUNT = 40


@pytest.fixture(scope="module")
def images():
    return Digits().load(range(COUNT))[0]


@pytest.mark.parametrize("targeted", [False, True])
def test_what_counts_is_wrong_and_sure_and_the_rest_is_as_it_was(digits_model, images, targeted):
    own = digits_model.predict(images)
    y = (own + 1) % 10 if targeted else own
    facts = {"eps": 0.2, "steps": 20, "targeted": targeted}
    plain = PGD(**facts)(digits_model, images, y, rng=3)
    found = ConfidentPGD(**facts, confidence=0.9)(digits_model, images, y, rng=3)
    sure, said = digits_model(plain).softmax(dim=1).max(dim=1)
    counts = ((said == y) == targeted) & (sure >= 0.9)
    assert 0 < int(counts.sum()) < COUNT
    assert torch.equal(found, torch.where(counts[:, None, None, None], plain, images))


@pytest.mark.parametrize("facts", [{"confidence": 1.0}, {"confidence": 0.0}, {"steps": -1}], ids=str)
def test_refuses_what_makes_no_sense(facts):
    with pytest.raises(ConfigError, match=next(iter(facts))):
        ConfidentPGD(eps=0.1, **facts)

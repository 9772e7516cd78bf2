"""Defenses in and after the network against the network alone."""

import pytest
from foolbench.datasets import Scenes
from foolbench.defenses import KWTA, REGroup
from foolbench.models import ENTRIES


@pytest.fixture
def images():
    return Scenes().load(range(8))[0]


@pytest.mark.parametrize("defense", [KWTA(), KWTA(scope="channel")], ids=lambda defense: defense.scope)
def test_k_wta(ratio, images, defense):
    plain = ENTRIES["scenes:caffenet"].load()
    system = defense.defend(plain)
    ratio(lambda: system.predict(images), lambda: plain.predict(images), limit=1.3, rounds=15)


@pytest.mark.parametrize("name", ["scenes:caffenet", "scenes:vgg16"])
def test_regroup(ratio, images, name):
    plain = ENTRIES[name].load()
    system = REGroup().fit(images, model=plain).defend(plain)
    ratio(lambda: system.predict(images), lambda: plain.predict(images), limit=2.0, rounds=7)

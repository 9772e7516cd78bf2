"""What is known to break defenses in and after the network: an attack that knows them, where a blind one does not."""

import pytest
import torch
from foolbench.attacks import PGD, AdaptiveEnsemble
from foolbench.core import Draws
from foolbench.datasets import Digits
from foolbench.defenses import KWTA, OddsAreOdd, RandomSelfEnsemble, REGroup, adaptive

COUNT = 24
# eps, EOT draws; percent fooled: at most so many by PGD on the bare network, at least so many by the adaptive ensemble.
BREAKS = {
    "activations that jump": (KWTA(), 0.1, 1, 55, 65),
    "activations that jump in every channel": (KWTA(gamma=0.3, scope="channel"), 0.1, 1, 60, 65),
    "ranks of layers": (REGroup(), 0.1, 1, 60, 75),
    "odds under noise": (OddsAreOdd(scales=(0.05,), draws=4, false_positives=0.05), 0.2, 1, 65, 85),
    "noise in the network": (RandomSelfEnsemble(draws=2), 0.2, 2, None, 80),
}


@pytest.mark.parametrize("family", BREAKS)
def test_the_known_attack_breaks_it_and_a_blind_one_does_not(digits_model, family):
    defense, eps, draws, blind, knowing = BREAKS[family]
    images, labels = Digits().training(1000)
    fitted, (x, _) = defense.fit(images.float() / 255, labels, model=digits_model), Digits().load(range(COUNT))
    system, streams = fitted.defend(digits_model), Draws.of("scored", samples=range(COUNT))
    y = system.predict(x, rng=streams)

    def fooled(x_adv: torch.Tensor) -> float:
        return 100 * float(system.task.reached(system.predict(x_adv, rng=streams), y, targeted=False).float().mean())

    ensemble = AdaptiveEnsemble(eps=eps, steps=8, queries=10)
    assert fooled(ensemble(adaptive(fitted, digits_model, draws=draws), x, y, rng=0)) >= knowing
    assert blind is None or fooled(PGD(eps=eps, steps=10)(digits_model, x, rng=0)) <= blind

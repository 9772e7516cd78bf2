"""One cell for each family of defenses: what an attack that knows the defense does to it, and a blind one does not.

A defense that holds here is one whose gradient has been lost.
"""

import pytest
import torch
from foolbench.attacks import PGD
from foolbench.core import Draws, Model
from foolbench.datasets import Scenes
from foolbench.defenses import (
    JPEG,
    PCA,
    Autoencoder,
    BilateralSmoothing,
    BitDepth,
    Compose,
    CropEnsemble,
    Downsampling,
    MedianSmoothing,
    Quilting,
    RandomNoise,
    ResizePad,
    TotalVariation,
    adaptive,
)
from foolbench.models import ENTRIES

# eps in units of 1/255, EOT draws; percent fooled: at most so many by the blind attack, at least so many by the other.
# Measured were at least two images of 16 less and more, so that no rounding decides.
BREAKS = {
    "quantisation": (BitDepth(bits=2), 1, 1, 70, 85),
    "compression": (JPEG(quality=30), 1, 1, 70, 75),
    "order statistics": (MedianSmoothing(), 1, 1, 50, 75),
    "averages near in colour": (BilateralSmoothing(size=7, sigma_color=0.3, sigma_space=3.0), 2, 1, 75, 80),
    "resampling": (Downsampling(keep=50), 1, 1, 35, 75),
    "random resampling": (ResizePad(min_scale=0.8), 4, 4, 68, 72),
    "ensembles of views": (CropEnsemble(crops=2), 2, 2, 55, 72),
    "noise": (RandomNoise(scale=0.2), 2, 4, None, 80),
    "restoration": (TotalVariation(), 2, 1, 59, 60),
    "patches of others": (Quilting(patches=2000), 4, 1, 60, 72),
    "projection": (PCA(components=100), 2, 1, 25, 80),
    "learned reconstruction": (Autoencoder(epochs=1), 2, 1, 30, 85),
    "chains": (Compose(steps=(MedianSmoothing(), JPEG())), 2, 1, 65, 85),
}


@pytest.fixture(scope="module")
def caffenet() -> Model:
    return ENTRIES["scenes:caffenet"].load()


@pytest.fixture(scope="module")
def scenes() -> torch.Tensor:
    return Scenes().load(range(16 + 256))[0]


def fooled(system: Model, attacked: Model, attack: PGD, x: torch.Tensor) -> float:
    """Percent of the predictions of `system` that change, over three fresh draws."""
    y = system.predict(x, rng=Draws.of("clean", samples=range(len(x))))
    adversarial = attack(attacked, x, y, rng=0)
    seen = [system.predict(adversarial, rng=Draws.of("scored", draw, samples=range(len(x)))) for draw in range(3)]
    return 100 * float(torch.stack([answer != y for answer in seen]).float().mean())


@pytest.mark.parametrize("family", BREAKS)
def test_the_known_attack_breaks_it_and_a_blind_one_does_not(caffenet, scenes, family):
    defense, eps, draws, blind, knowing = BREAKS[family]
    count, steps = (8, 5) if isinstance(defense, Quilting) else (16, 7)
    fitted, x = defense.fit(scenes[count : count + 256], model=caffenet), scenes[:count]
    attack, system = PGD(eps=eps / 255, steps=steps), fitted.defend(caffenet)
    assert fooled(system, adaptive(fitted, caffenet, draws=draws), attack, x) >= knowing
    assert blind is None or fooled(system, caffenet, attack, x) <= blind

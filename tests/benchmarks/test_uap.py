"""UAP in batches against the paper's algorithm, image by image with foolbox's DeepFool, to the same fooling rate."""

import warnings

import pytest
import torch
from foolbench.attacks import UAP
from foolbench.attacks.universal._validation import predictions
from foolbench.core import CraftingData
from foolbench.core.norms import project
from foolbench.datasets import Scenes
from foolbench.models import ENTRIES

with warnings.catch_warnings():  # foolbox 3.3.4 imports the filter from its old place
    warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)
    import foolbox

RATE, EPS = 0.6, 16 / 255


@pytest.mark.parametrize(("name", "limit"), [("scenes:googlenet", 0.05), ("scenes:caffenet", 0.15)])
def test_uap_in_batches_against_one_by_one(name, limit, ratio, subject_of):
    model, images = ENTRIES[name].load(), Scenes().load(range(256))[0]
    data = CraftingData(validation=images[:64], load_training=lambda: images)
    labels = predictions(model, images)
    peer = foolbox.PyTorchModel(subject_of(model).net, bounds=(0, 1), device="cpu")
    deepfool = foolbox.attacks.L2DeepFoolAttack(steps=10, candidates=10)
    rates: dict[str, float] = {}

    def fooled(delta):
        return float((predictions(model, images, delta) != labels).float().mean())

    def ours():
        found = UAP(eps=EPS, target_rate=RATE, classes=2, batch_size=32, steps=4).craft(model, data, rng=0)
        rates["ours"] = fooled(found.delta)

    def theirs():
        delta = torch.zeros_like(images[:1])
        while fooled(delta) < RATE:
            for row in torch.randperm(len(images), generator=torch.Generator().manual_seed(0)):
                x, y = (images[row : row + 1] + delta).clamp(0, 1), labels[row : row + 1]
                if model.predict(x) == y:
                    nearest, _, _ = deepfool(peer, x, y, epsilons=None)
                    delta = project(delta + nearest - x, "linf", EPS)
        rates["theirs"] = fooled(delta)

    # the fewer the layers, the less a batch saves: caffenet has 8, GoogLeNet 57
    ratio(ours, theirs, limit=limit, rounds=1)
    assert min(rates.values()) >= RATE

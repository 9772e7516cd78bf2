"""On the embedded networks attacks do what they do on ImageNet's, and the shipped results are theirs."""

import re
from pathlib import Path

import pandas as pd
import pytest
from foolbench.attacks import GDUAP, PGD, RandomSign, UniformNoise
from foolbench.core import CraftingData
from foolbench.datasets import Scenes
from foolbench.datasets.substitutes import substitute_images
from foolbench.evaluation.opening.recipes import shipped_recipes
from foolbench.models import ENTRIES, load_model
from scipy.stats import spearmanr

EPS = 10 / 255
LEFT = {"scenes:googlenet-linf1": 0.35, "scenes:resnet-linf1": 0.4}
"""Of the robust networks: what is right at least, still under attack."""
USUAL = [name for name in ENTRIES if name.startswith("scenes:") and name not in LEFT]
RESULTS = sorted((Path(__file__).parents[3] / "leaderboards" / "results").glob("*.csv"))


def fooled(model, x, x_adv) -> float:
    return float((model.predict(x_adv) != model.predict(x)).float().mean())


@pytest.mark.parametrize("name", USUAL)
def test_pgd_fools_nearly_all_and_noise_few(name):
    """leaderboards/results/priors.csv has the numbers for 510 images."""
    model = ENTRIES[name].load()
    x, _ = Scenes().load(range(40))
    assert fooled(model, x, PGD(eps=8 / 255, steps=20, early_stop=True)(model, x, rng=0)) > 0.97
    assert fooled(model, x, UniformNoise(eps=EPS)(model, x, rng=0)) < 0.2


@pytest.mark.parametrize("name", LEFT)
def test_robust_networks_hold_at_their_budget_where_usual_ones_fall(name):
    """leaderboards/results/autoattack.csv has the numbers for AutoAttack."""
    x, y = Scenes().load(range(40))

    def left(name):
        model = ENTRIES[name].load()
        clean = model.predict(x)
        attacked = model.predict(PGD(eps=1 / 255, steps=10, early_stop=True)(model, x, rng=0))
        return float(((clean == y) & (attacked == y)).float().mean())  # not what the attack happens to put right

    assert left(name) > LEFT[name]
    assert left(name.removesuffix("-linf1")) < 0.1


def test_the_priors_fool_most_and_noise_few():
    """The order of GD-UAP's Table 2 but for the data prior, which needs training images and more iterations."""
    model, scenes = ENTRIES["scenes:caffenet"].load(), Scenes()
    x, _ = scenes.load(range(60))
    noise, signs = (fooled(model, x, attack(eps=EPS)(model, x, rng=0)) for attack in (UniformNoise, RandomSign))
    data = CraftingData(
        validation=substitute_images(64, scenes.shape),
        load_training=lambda: x,  # which neither of these priors asks for
    )
    facts = {"eps": EPS, "batch_size": 10, "learning_rate": 0.1, "validate_every": 20, "settle": 20}
    rates = {}
    for prior in ("none", "range"):
        delta = GDUAP(prior=prior, max_iterations=40, **facts).craft(model, data, rng=0)
        rates[prior] = fooled(model, x, delta.apply(x))
    assert noise < signs < 0.5 < min(rates.values())
    assert rates["range"] > 3 * noise


@pytest.mark.slow
@pytest.mark.minutes
@pytest.mark.parametrize("name", ["scenes:caffenet", "scenes:googlenet"])
def test_substitutes_rank_candidates_as_the_scenes_do(name):
    """Rank correlation of the fooling rates that twelve perturbations have on substitutes and on evaluation images."""
    model, scenes = ENTRIES[name].load(), Scenes()
    x, substitutes = scenes.load(range(255))[0], substitute_images(256, scenes.shape)
    data = CraftingData(validation=substitutes, load_training=lambda: x)
    facts = {"eps": EPS, "batch_size": 10, "learning_rate": 0.1, "validate_every": 1000, "settle": 50}
    rates = []
    for prior in ("none", "range"):
        for iterations in (5, 10, 20, 40, 80, 160):
            delta = GDUAP(prior=prior, max_iterations=iterations, **facts).craft(model, data, rng=0)
            rates.append([fooled(model, images, delta.apply(images)) for images in (substitutes, x)])
    assert spearmanr(rates).statistic > 0.8


def test_there_are_results():
    assert RESULTS


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_are_of_recipes_that_ship(path):
    assert {re.match("(.+?)-v\\d", recipe)[1] for recipe in pd.read_csv(path).recipe} <= set(shipped_recipes())


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_shipped_results_are_of_the_shipped_networks_and_data(path):
    table = pd.read_csv(path)
    assert set(table.status) == {"ok"}
    for name, sha in set(zip(table.model, table.model_sha, strict=True)):
        assert load_model(name).sha == sha
    assert (table.gfr_low <= table.gfr).all()
    assert (table.gfr <= table.gfr_high).all()
    assert not (table.linf_max > table.eps + 1e-6)[table.norm == "linf"].any()
    assert not (table.l2_mean > table.eps + 1e-5)[table.norm == "l2"].any()

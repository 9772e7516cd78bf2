"""Attacks crafted on one network and scored on others: what each number is of, and that it is crafted once."""

from dataclasses import dataclass

import pandas as pd
import pytest
import torch
from foolbench.attacks import FGSM
from foolbench.core import Attack, ConfigError, Model, Perturbation, Preprocess, register_attack, register_model
from foolbench.datasets import Digits, load_dataset
from foolbench.defenses.gaussian import GaussianSmoothing
from foolbench.defenses.gradients import adaptive
from foolbench.evaluation.engine.crafting.placing import placed
from foolbench.evaluation.engine.crafting.resizing import resized
from foolbench.evaluation.grid.grid import spanned
from foolbench.evaluation.opening.data import open_dataset
from foolbench.evaluation.opening.recipes import load_recipe
from foolbench.evaluation.report.tables import markdown, pivot
from foolbench.tasks import Recognition
from PIL import Image
from torch import nn
from torch.nn import functional as F

CONVNET, TEMPLATES, LARGE = "digits:convnet", "toy-templates", "toy-large"
EPS = 40 / 255
BOTH = (f"models=['{CONVNET}', '{TEMPLATES}']", f"source_models=['{CONVNET}', '{TEMPLATES}']", "sampling=first")
ONE_STEP = ("attacks=[{name='fgsm'}]", "defenses=[]")
COUNT = 24


def template_net() -> nn.Linear:
    """Compares an image with the mean image of each class."""
    images, labels = Digits().training(1000)
    flat = images.float().flatten(1) / 255
    means = torch.stack([flat[labels == label].mean(dim=0) for label in range(10)])
    net = nn.Linear(64, 10)
    net.weight.data, net.bias.data = 10 * means, -5 * means.square().sum(dim=1)
    return net


@pytest.fixture(autouse=True)
def templates() -> Model:
    net = nn.Sequential(nn.Flatten(), template_net())
    model = Model(net, task=Recognition(classes=10), shape=(1, 8, 8), name=TEMPLATES)
    register_model(TEMPLATES)(lambda: model)
    return model


@pytest.fixture
def large() -> Model:
    """The same for images of twice the size."""
    net = nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), template_net())
    model = Model(net, task=Recognition(classes=10), shape=(1, 16, 16), name=LARGE)
    register_model(LARGE)(lambda: model)
    return model


def images() -> torch.Tensor:
    return Digits().load(range(COUNT))[0]


def fooled(model: Model, x_adv: torch.Tensor) -> float:
    return round(100 * float((model.predict(x_adv) != model.predict(images())).double().mean()), 2)


def rates(table: pd.DataFrame) -> pd.Series:
    assert set(table.status) == {"ok"}, table.error.tolist()
    return table.set_index(["source_model", "model"]).gfr


def test_the_diagonal_is_the_run_without_sources_and_the_rest_is_what_python_finds(
    execute, assert_same, digits_model, templates
):
    table = execute("out", *BOTH, *ONE_STEP)
    own = execute("own", BOTH[0], BOTH[2], *ONE_STEP)
    white_box = table[table.source_model == table.model].reset_index(drop=True)
    assert_same(white_box, own)
    found = rates(table)
    attack = FGSM(eps=EPS)
    for name, source in ((CONVNET, digits_model), (TEMPLATES, templates)):
        for other, model in ((CONVNET, digits_model), (TEMPLATES, templates)):
            assert found[name, other] == fooled(model, attack(source, images()))
    assert found[CONVNET, TEMPLATES] < found[TEMPLATES, TEMPLATES]


@pytest.mark.parametrize("storage", ["float32", "uint8"])
def test_what_is_crafted_at_another_size_is_resized_and_stays_within_the_budget(execute, digits_model, large, storage):
    chosen = (f"source_models=['{LARGE}']", "sampling=first", f"storage={storage}")
    table = execute("out", *ONE_STEP, *chosen)
    x = images()
    seen = F.interpolate(x, [16, 16], mode="bilinear", antialias=True)
    change = FGSM(eps=EPS)(large, seen) - seen
    small = F.interpolate(change, [8, 8], mode="bilinear", antialias=True)
    x_adv = (x + small).clamp(0, 1)
    expected = fooled(digits_model, x_adv)
    assert rates(table)[LARGE, CONVNET] == pytest.approx(expected, abs=0.01 if storage == "float32" else 100 / COUNT)
    assert 0.5 * EPS < table.linf_max[0] <= EPS + 1e-6


@pytest.mark.usefixtures("large")
def test_pictures_have_the_size_of_each_network(execute, tmp_path, digits_model, large):
    folder = tmp_path / "flat"
    folder.mkdir()
    for place, image in enumerate(images()):
        picture = Image.fromarray((255 * image[0]).byte().numpy()).resize((24, 24))
        picture.save(folder / f"{place:02d}.png")
    chosen = (f"models=['{CONVNET}', '{LARGE}']", f"source_models=['{LARGE}']", f"dataset=image-folder:{folder}")
    found = rates(execute("out", *ONE_STEP, *chosen, "sampling=first"))
    pictures = open_dataset(f"image-folder:{folder}", {})
    x, seen = (pictures.for_model(model).load(range(COUNT))[0] for model in (digits_model, large))
    x_adv = FGSM(eps=EPS)(large, seen)
    small = F.interpolate(x_adv - seen, [8, 8], mode="bilinear", antialias=True)
    for name, model, clean, attacked in (
        (CONVNET, digits_model, x, (x + small).clamp(0, 1)),
        (LARGE, large, seen, x_adv),
    ):
        rate = (model.predict(attacked) != model.predict(clean)).double().mean()
        assert found[LARGE, name] == pytest.approx(100 * float(rate), abs=0.01)


def test_what_is_added_to_pictures_stays_where_it_is_in_them(execute, tmp_path, digits_model, large):
    large.preprocess = Preprocess(size=(16, 16), resize=22)
    folder = tmp_path / "flat"
    folder.mkdir()
    for place, image in enumerate(images()):
        Image.fromarray((255 * image[0]).byte().numpy()).resize((24, 24)).save(folder / f"{place:02d}.png")
    chosen = (f"models=['{CONVNET}']", f"source_models=['{LARGE}']", f"dataset=image-folder:{folder}")
    found = rates(execute("out", *ONE_STEP, *chosen, "sampling=first"))
    there, here = (load_dataset(f"image-folder:{folder}").for_model(model) for model in (large, digits_model))
    (seen, _), (x, _) = there.load(range(COUNT)), here.load(range(COUNT))
    change = FGSM(eps=EPS)(large, seen) - seen
    rate, stretched = (
        float((digits_model.predict((x + added).clamp(0, 1)) != digits_model.predict(x)).double().mean())
        for added in (placed(change, range(COUNT), there, here), resized(change, (8, 8)))
    )
    assert found[LARGE, CONVNET] == pytest.approx(100 * rate, abs=0.01)
    assert rate != stretched


def test_a_universal_perturbation_is_crafted_once_and_scored_on_all(execute, tmp_path, templates):
    attack = "attacks=[{name='gd-uap', max_iterations=20}]"
    table = execute("out", BOTH[0], f"source_models=['{CONVNET}']", BOTH[2], attack, "defenses=[]")
    (file,) = (tmp_path / "out" / "perturbations").glob("*.safetensors")
    found = rates(table)
    assert found[CONVNET, TEMPLATES] == fooled(templates, Perturbation.load(file).apply(images()))
    assert table.seconds.nunique() == 1
    other = execute("other", f"models=['{CONVNET}']", BOTH[2], attack, "defenses=[]")
    assert rates(other)[CONVNET, CONVNET] == found[CONVNET, CONVNET]


@pytest.mark.usefixtures("large")
def test_a_universal_perturbation_is_resized(execute, tmp_path, digits_model):
    attack = "attacks=[{name='universal-pgd', max_iterations=20}]"
    table = execute("out", f"source_models=['{LARGE}']", "sampling=first", attack, "defenses=[]")
    (file,) = (tmp_path / "out" / "perturbations").glob("*.safetensors")
    delta = F.interpolate(Perturbation.load(file).delta[None], [8, 8], mode="bilinear", antialias=True)
    assert rates(table)[LARGE, CONVNET] == fooled(digits_model, (images() + delta).clamp(0, 1))


def test_knowing_a_defense_means_the_source_behind_it(execute, digits_model, templates):
    settings = ("attacks=[{name='fgsm'}]", "defenses=[{name='gaussian', sigma=0.8}]")
    table = execute("out", *BOTH, *settings, "knowledge=['oblivious', 'adaptive']")
    assert set(table.status) == {"ok"}
    found = table.set_index(["source_model", "model", "defense", "knowledge"]).gfr.sort_index()
    defense, attack = GaussianSmoothing(sigma=0.8), FGSM(eps=EPS)
    defended = defense.defend(templates)
    crafted = {"oblivious": digits_model, "adaptive": adaptive(defense, digits_model)}
    for knowledge, source in crafted.items():
        expected = fooled(defended, attack(source, images()))
        assert found[CONVNET, TEMPLATES, "gaussian", knowledge] == expected
    gaps = table.set_index(["source_model", "model", "knowledge"]).gfr_gap.dropna()
    row = found[CONVNET, TEMPLATES, "gaussian"]
    assert gaps[CONVNET, TEMPLATES, "adaptive"] == pytest.approx(row["adaptive"] - row["oblivious"], abs=0.011)


@pytest.fixture
def counted():
    """An attack that counts the images it is asked for."""
    asked = []

    @register_attack("counted")
    @dataclass(frozen=True, kw_only=True)
    class Counted(Attack):
        """Darker."""

        access = "gradient"

        def perturb(self, model, x, y, *, rng):
            asked.append(len(x))
            return x - self.eps

    return asked


@pytest.mark.parametrize("keep", ["true", "false"])
def test_images_are_crafted_once_for_all_models(execute, counted, keep):
    sources = f"source_models=['{CONVNET}']"
    defenses = "defenses=[{name='median'}]"
    table = execute("out", BOTH[0], sources, "attacks=[{name='counted'}]", defenses, f"keep_images={keep}")
    assert len(table) == 4
    assert sum(counted) == COUNT


def test_a_run_goes_on_with_sources_where_one_without_them_ended(execute, assert_same, counted):
    plain = (BOTH[0], BOTH[2], "attacks=[{name='counted'}]", "defenses=[]")
    execute("out", *plain)
    assert sum(counted) == 2 * COUNT
    later = execute("out", *plain, BOTH[1])
    assert sum(counted) == 2 * COUNT
    assert_same(later, execute("fresh", *plain, BOTH[1]))


def test_an_attack_that_asks_no_network_has_no_source(recipe_file):
    recipe = load_recipe(str(recipe_file), [BOTH[0], f"source_models=['{CONVNET}']"])
    found = [(job.source, job.attack_name, cell.model) for job, row in spanned(recipe)
             for cell in row if cell.defense.defense is None]  # fmt: skip
    assert found == [
        (CONVNET, "uniform-noise", CONVNET),
        (CONVNET, "pgd", CONVNET),
        (CONVNET, "pgd", TEMPLATES),
        (CONVNET, "gd-uap", CONVNET),
        (CONVNET, "gd-uap", TEMPLATES),
        (TEMPLATES, "uniform-noise", TEMPLATES),
    ]


def test_a_source_that_cannot_be_loaded_costs_its_own_cells(execute):
    @register_model("toy-broken")
    def broken() -> Model:
        raise ValueError("no weights")

    sources = f"source_models=['toy-broken', '{CONVNET}']"
    table = execute("out", BOTH[0], sources, *ONE_STEP).set_index(["source_model", "model"])
    assert set(table.status["toy-broken"]) == {"error"}
    assert set(table.error["toy-broken"]) == {"ValueError: no weights"}
    assert set(table.status[CONVNET]) == {"ok"}


def test_a_model_that_cannot_be_loaded_costs_its_own_cells(execute):
    @register_model("toy-broken")
    def broken() -> Model:
        raise ValueError("no weights")

    chosen = ("models=['toy-broken', 'digits:convnet']", f"source_models=['{TEMPLATES}', '{CONVNET}']")
    table = execute("out", *chosen, *ONE_STEP).set_index(["model", "source_model"])
    assert set(table.status["toy-broken"]) == {"error"}
    assert set(table.status[CONVNET]) == {"ok"}


def test_a_source_with_random_weights_is_said(execute):
    @register_model("toy-random")
    def untrained() -> Model:
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        return Model(net, task=Recognition(classes=10), shape=(1, 8, 8), random_weights=True)

    table = execute("out", f"source_models=['toy-random', '{CONVNET}']", *ONE_STEP).set_index("source_model")
    assert "random-weights" in table.flagged["toy-random"].split()
    assert "random-weights" not in str(table.flagged[CONVNET]).split()


def test_worst_cases_are_of_one_source(execute):
    group = "attacks=[{name='fgsm', group='both'}, {name='pgd', steps=5, group='both'}]"
    table = execute("out", *BOTH, group, "defenses=[]")
    assert table.groupby("model", sort=False).attack.agg(list).tolist() == [["fgsm", "pgd", "both"] * 2] * 2
    for _, part in table.groupby(["source_model", "model"]):
        worst = part[part.attack == "both"].gfr.item()
        members = part[part.attack != "both"].gfr
        assert members.max() <= worst <= members.sum()
    mixed = table[table.attack == "both"].set_index(["source_model", "model"]).gfr
    assert mixed[CONVNET, TEMPLATES] < mixed[TEMPLATES, TEMPLATES]


def test_tables_show_sources_by_models(execute):
    table = execute("out", *BOTH, "attacks=[{name='fgsm'}, {name='uniform-noise'}]", "defenses=[]")
    parts = {title.partition(":")[0]: lines for title, lines in pivot(table)}
    assert list(parts) == ["fgsm", "uniform-noise"]
    assert [line["crafted on"] for line in parts["fgsm"]] == [CONVNET, TEMPLATES, "(clean)"]
    assert [line["crafted on"] for line in parts["uniform-noise"]] == ["(any)", "(clean)"]
    for (source, model), rate in rates(table[table.attack == "fgsm"]).items():
        (line,) = (line for line in parts["fgsm"] if line["crafted on"] == source)
        assert line[model].startswith(f"{rate:.1f}")
    assert "on which network an attack was crafted" in markdown(table)


def test_sources_are_checked_with_the_recipe(recipe_file):
    with pytest.raises(ConfigError, match="digits:convent"):
        load_recipe(str(recipe_file), ["source_models=['digits:convent']"])
    with pytest.raises(ConfigError, match="twice"):
        load_recipe(str(recipe_file), [f"source_models=['{CONVNET}', '{CONVNET}']"])

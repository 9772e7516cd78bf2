"""A run against the bare passes and transforms that its table is made of."""

import itertools
import shutil
from contextlib import closing

import pytest
from foolbench.core.registry import defenses
from foolbench.defenses.compose import Compose
from foolbench.evaluation.engine.cache.cache import Cache
from foolbench.evaluation.engine.executors.in_process import InProcess
from foolbench.evaluation.engine.networks.networks import batches
from foolbench.evaluation.engine.networks.prepare import prepare
from foolbench.evaluation.engine.networks.setup import Setup
from foolbench.evaluation.engine.run import run
from foolbench.evaluation.engine.work.progress import Progress
from foolbench.evaluation.grid.lessons import learning_parts
from foolbench.evaluation.ledger.ledger import Ledger
from foolbench.evaluation.opening.recipes import load_recipe
from rich.console import Console

RECIPE = """
name = "overhead"
dataset = "scenes"
samples = SAMPLES
models = ["MODEL"]
attacks = [{name = "fgsm"}, {name = "pgd", steps = 10}]
defenses = [DEFENSES]
[threat]
eps = "8/255"
"""


def deterministic():
    """The names of all defenses that neither draw nor learn, those in the network among them."""
    for name in sorted(defenses):
        if defenses[name] is not Compose:
            made = defenses.create(name, {})
            if not getattr(made, "randomized", True) and not learning_parts(made):
                yield name


@pytest.fixture
def prepared(tmp_path):
    """`prepared(model, samples, *defenses)`: the recipe with these, ready to run."""
    path = tmp_path / "recipe.toml"

    def prepared(model, samples, *names):
        listed = ", ".join(f'{{name = "{name}"}}' for name in names)
        path.write_text(RECIPE.replace("MODEL", model).replace("SAMPLES", str(samples)).replace("DEFENSES", listed))
        with closing(Ledger(tmp_path / "scratch.sqlite")) as ledger:
            return prepare(load_recipe(str(path)), ledger)

    return prepared


@pytest.fixture
def execute(tmp_path):
    """`execute(prepared, folder)`: what the folder lacks."""

    def execute(prepared, folder):
        folder.mkdir(exist_ok=True)
        with closing(Ledger(folder / "ledger.sqlite")) as ledger, Progress(Console(quiet=True), 1, "") as progress:
            setup = Setup.of(prepared, ledger, folder, "cpu", cache=Cache(tmp_path / "cache"))
            with closing(InProcess(prepared, setup, progress)) as executor:
                run(prepared, ledger, folder, executor=executor, progress=progress)

    return execute


def bare(prepared, systems):
    """The same passes: attacks once, then each system on the clean images and on all adversarial ones."""
    ((model, dataset),) = (prepared.network(name) for name in prepared.models)
    defended = [model, *(defense.defend(model) for defense in systems)]
    for batch in batches(prepared.facts.samples, 64):
        x, _ = dataset.load(batch)
        crafted = [attack(model, x, rng=0) for attack in prepared.recipe.build_attacks()]
        for system, images in itertools.product(defended, [x, *crafted]):
            system.predict(images)


def test_two_attacks_and_all_deterministic_defenses(ratio, prepared, execute, tmp_path):
    whole, count = prepared("scenes:resnet", 192, *deterministic()), itertools.count()

    def ours():
        name = f"run {next(count)}"
        Cache(tmp_path / "cache").clear()
        execute(whole, tmp_path / name)

    ratio(ours, lambda: bare(whole, whole.recipe.build_defenses()), limit=1.15, rounds=2)


def test_one_more_defense_in_a_finished_run(ratio, prepared, execute, tmp_path):
    """Of many images, for a part of it is the same however few there are."""
    name, count = "scenes:vgg16", itertools.count()
    finished, more = prepared(name, 510, "jpeg"), prepared(name, 510, "jpeg", "median")
    model, dataset = more.network(name)
    defended = defenses.create("median", {}).defend(model)
    shards = [dataset.load(batch)[0] for batch in batches(more.facts.samples, 64)]
    execute(finished, tmp_path / "finished")
    folders = [tmp_path / f"finished {place}" for place in range(3)]
    for folder in folders:
        shutil.copytree(tmp_path / "finished", folder)

    def own_passes():
        for x in shards:
            for _ in range(3):  # the clean images, and those of two attacks
                defended.predict(x)

    ratio(lambda: execute(more, folders[next(count)]), own_passes, limit=1.2, rounds=2)
    with closing(Ledger(folders[-1] / "ledger.sqlite")) as ledger:
        finished = [ledger.finished(key) for key in more.grid.cells]
    assert len(finished) == 6
    assert all(len(samples) == more.recipe.samples for samples in finished)

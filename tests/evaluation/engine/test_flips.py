"""One flipped bit, anywhere in what runs keep: it is noticed, or nothing has changed by it."""

import random
from contextlib import closing

import pytest
import torch
from foolbench.core import Threat
from foolbench.core.errors import OutputError
from foolbench.evaluation.engine.cache.cache import Cache
from foolbench.evaluation.engine.cache.kept import keep, recall
from foolbench.evaluation.engine.cache.kinds import KINDS
from foolbench.evaluation.engine.crafting.perturbation_file import PerturbationFile
from foolbench.evaluation.ledger.ledger import Ledger
from foolbench.evaluation.ledger.restoring import restore
from foolbench.evaluation.opening.recipes import load_recipe
from foolbench.evaluation.report.manifest import read_manifest

FLIPS = 1000
"""For each kind of file."""
SETTINGS = (
    "samples=12",
    "batch_size=8",
    "attacks=[{name='pgd', steps=3}, {name='gd-uap', prior='none', max_iterations=5}]",
    "defenses=[{name='pca', training_images=20, components=9}]",
)


@pytest.fixture
def run(execute, foolbench, tmp_path):
    """The folder of a run whose every kind of file is there."""
    table = execute("out", *SETTINGS, crafted_anew=False)
    foolbench("plan", tmp_path / "recipe.toml", *(part for setting in SETTINGS for part in ("--set", setting)))
    out = tmp_path / "out"
    keep(next((out / "perturbations").glob("*.safetensors")).with_suffix(".partial"), {"costs": torch.arange(3.0)})
    return out, table


@pytest.fixture
def flips():
    """`flips(path)` flips one bit of a file after the other, and restores it."""
    rng = random.Random(0)

    def flips(path, count):
        content = path.read_bytes()
        for _ in range(count):
            bit, flipped = rng.randrange(8 * len(content)), bytearray(content)
            flipped[bit // 8] ^= 1 << bit % 8
            path.write_bytes(flipped)
            yield
        path.write_bytes(content)

    return flips


def plain(value):
    """To be compared."""
    if isinstance(value, torch.Tensor):
        return value.dtype, value.shape, value.tolist()
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return value


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_of_the_cache(run, flips, kind):
    paths, noticed = [entry.path for entry in Cache.default().entries(kind)], 0
    for path in paths:
        truth = plain(recall(path, set()))
        for _ in flips(path, FLIPS // len(paths)):
            found = recall(path, set())
            assert found is None or plain(found) == truth
            noticed += found is None
    assert noticed > 0.9 * (FLIPS // len(paths)) * len(paths)


@pytest.mark.slow
def test_of_a_searchs_state_and_of_what_it_found(run, flips):
    out, _ = run
    (partial,) = (out / "perturbations").glob("*.partial")
    truth = plain(recall(partial, {"costs"}))
    for _ in flips(partial, FLIPS):
        found = recall(partial, {"costs"})
        assert found is None or plain(found) == truth
    (place,) = (out / "perturbations").glob("*.safetensors")
    file = PerturbationFile(place=place, threat=Threat(norm="linf", eps="40/255"), shape=(1, 8, 8))
    delta = file.kept().delta
    for _ in flips(place, FLIPS):
        found = file.kept()
        assert found is None or torch.equal(found.delta, delta)


@pytest.mark.slow
def test_of_the_manifest(run, flips, tmp_path):
    out, _ = run
    recipe = load_recipe(str(tmp_path / "recipe.toml"), list(SETTINGS))
    for _ in flips(out / "manifest.json", FLIPS):
        with pytest.raises(OutputError):
            read_manifest(out)
    assert read_manifest(out)[0] == recipe


@pytest.mark.slow
def test_of_the_ledger(run, flips):
    out, table = run
    path, cells = out / "ledger.sqlite", list(table.cell)
    jobs = [crafted.removesuffix(".safetensors")[-16:] for crafted in table.crafted]

    def told():
        restore(path)
        with closing(Ledger(path)) as ledger:
            for cell in cells:
                ledger.mend(cell)
            frames = {cell: ledger.outcomes(cell) for cell in cells}
            scores = {cell: found and found.frame("top1").to_dict() for cell, found in frames.items()}
            flags = {cell: found and found.flags for cell, found in frames.items()}
            return scores, flags, {job: ledger.costs(job) for job in jobs}

    truth, refused, same = told(), 0, 0
    for _ in flips(path, FLIPS):
        try:
            found = told()
        except OutputError:
            refused += 1
        else:
            for known, now in zip(truth, found, strict=True):
                assert all(now[key] is None or now[key] == known[key] for key in known)
            same += found == truth
        for left in path.parent.glob("ledger.sqlite-*"):
            left.unlink()
    assert same < FLIPS
    assert same + refused > 0.5 * FLIPS


@pytest.mark.slow
def test_of_any_file_and_the_run_again(execute, run, flips, assert_same, tmp_path):
    """In files of which a run needs what it does not have in its ledger any more."""
    out, table = run
    paths = [*out.rglob("*.safetensors"), out / "manifest.json", *(entry.path for entry in Cache.default().entries())]
    for path in paths * 2:
        for _ in flips(path, 1):
            for left in out.glob("ledger.sqlite*"):
                left.unlink()
            assert_same(execute("out", *SETTINGS, crafted_anew=False), table)

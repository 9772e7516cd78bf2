"""What is scored is what an attacker could have stored, within the budget."""

import pytest
import torch
from foolbench.core.norms import size
from foolbench.datasets import Digits
from foolbench.evaluation.engine.scoring.system import System
from safetensors.torch import load_file

ATTACKS = "attacks=[{name='uniform-noise'}, {name='fgsm'}, {name='gd-uap', prior='none', max_iterations=5}]"
L2 = "attacks=[{name='uniform-noise', norm='l2', eps=1.5}, {name='pgd', norm='l2', eps=1.5, steps=3}]"


@pytest.fixture
def scored(monkeypatch):
    """(clean, adversarial) of every shard that is scored."""
    pairs = []
    score = System.score

    def spy(self, shard, crafted, *facts):
        pairs.append((shard.x, crafted.x_adv))
        return score(self, shard, crafted, *facts)

    monkeypatch.setattr(System, "score", spy)
    return pairs


@pytest.mark.parametrize("eps", ["40/255", "1/255", "0.1", "0.003"])
def test_uint8_images_are_on_the_grid_and_within_the_budget(execute, scored, eps):
    table = execute("out", "storage=uint8", "defenses=[]", f"threat.eps={eps}", ATTACKS)
    assert set(table.status) == {"ok"}
    budget = torch.tensor(eval(eps), dtype=torch.float64)
    for x, x_adv in scored:
        levels = x_adv.double() * 255
        assert float((levels - levels.round()).abs().max()) < 1e-4
        assert float((x_adv - x).abs().max()) <= budget + 1e-6
        assert float(x_adv.min()) >= 0
        assert float(x_adv.max()) <= 1
    if budget < 1 / 255:
        assert (table.linf_max == 0).all()
    else:
        assert table.linf_max.max() == pytest.approx(int(budget * 255 + 1e-6) / 255, abs=1e-6)


@pytest.mark.parametrize("storage", ["uint8", "float32"])
def test_l2_images_are_within_the_budget(execute, scored, storage):
    assert set(execute("out", f"storage={storage}", "defenses=[]", L2).status) == {"ok"}
    for x, x_adv in scored:
        assert float(size(x_adv - x, "l2").max()) <= 1.5 + 1e-5


@pytest.mark.parametrize("storage", ["uint8", "float32"])
def test_what_lies_on_disk_is_what_was_scored(execute, scored, tmp_path, storage):
    execute("out", f"storage={storage}", "defenses=[]", "attacks=[{name='fgsm'}]", "batch_size=24")
    (path,) = (tmp_path / "out" / "adversarial").glob("*/*.safetensors")
    stored = load_file(path)["x_adv"]
    assert str(stored.dtype) == f"torch.{storage}"
    ((_, x_adv),) = scored
    assert torch.allclose(stored.float() / 255 if storage == "uint8" else stored, x_adv, atol=1e-6)


def test_the_achieved_norms_are_those_of_the_stored_images(execute, scored):
    table = execute("out", "defenses=[]", "attacks=[{name='uniform-noise'}]", "batch_size=24", "sampling=first")
    ((x, x_adv),) = scored
    images, _ = Digits().load(range(24))
    assert torch.equal(x, images)
    assert table.linf_max.item() == pytest.approx(float((x_adv - x).abs().max()), abs=1e-6)
    assert table.l2_mean.item() == pytest.approx(float((x_adv - x).flatten(1).norm(dim=1).mean()), abs=1e-5)


def test_a_universal_perturbation_is_one_for_all_images(execute, scored, tmp_path):
    execute("out", "defenses=[]", "attacks=[{name='gd-uap', prior='none', max_iterations=5}]")
    (path,) = (tmp_path / "out" / "perturbations").glob("*.safetensors")
    delta = load_file(path)["delta"]
    assert delta.shape == (1, 8, 8)
    for x, x_adv in scored:
        assert torch.allclose(x_adv, (x + delta).clamp(0, 1), atol=1e-6)
    assert path.with_suffix(".png").exists()


def test_costs_are_counted_per_image(execute):
    table = execute("out", "defenses=[]", "attacks=[{name='fgsm'}, {name='pgd', steps=7}]").set_index("attack")
    assert table.forwards_mean.to_dict() == {"fgsm": 2, "pgd": 8}  # one for the prediction to leave
    assert table.backwards_mean.to_dict() == {"fgsm": 1, "pgd": 7}


def test_images_can_be_kept_off_the_disk(execute, tmp_path, assert_same):
    attacks = "attacks=[{name='pgd', steps=3}, {name='autoattack', steps=3, queries=10}]"
    kept = execute("kept", "defenses=[]", attacks)
    assert (tmp_path / "kept" / "adversarial").exists()
    found = execute("bare", "defenses=[]", attacks, "keep_images=false")
    assert not (tmp_path / "bare" / "adversarial").exists()
    assert_same(found, kept)


def test_a_run_that_kept_no_images_goes_on(execute, assert_same):
    attacks = "attacks=[{name='pgd', steps=3}]"
    execute("out", "defenses=[]", attacks, "keep_images=false")
    found = execute("out", "defenses=[{name='jpeg'}]", attacks, "keep_images=false")
    assert_same(found, execute("whole", "defenses=[{name='jpeg'}]", attacks))

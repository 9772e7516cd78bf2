"""AutoAttack is its members, one after another, each on what the others have left."""

import pytest
import torch
from foolbench.attacks import APGD, FAB, Square
from foolbench.attacks.autoattack import AutoAttack
from foolbench.core import ConfigError
from foolbench.core.norms import size
from foolbench.datasets import Digits

CHEAP = {"steps": 5, "queries": 50}


def fooled(model, x_adv, x):
    return model.predict(x_adv) != model.predict(x)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_standard_members(norm):
    facts = {"eps": 8 / 255, "norm": norm}
    ascent = {**facts, "steps": 100, "restarts": 1, "rho": 0.75, "early_stop": True}
    expected = {  # every fact in full: a member's own defaults may change, the ensemble's may not
        "apgd-ce": APGD(**ascent, loss="ce", target_classes=0),
        "apgd-dlr-targeted": APGD(**ascent, loss="dlr", target_classes=9),
        "fab-targeted": FAB(**facts, steps=100, restarts=1, target_classes=9, alpha_max=0.1, beta=0.9, eta=1.05),
        "square": Square(**facts, queries=5000, p_init=0.8, rescaled=False),
    }
    assert list(AutoAttack(eps="8/255", norm=norm).members.items()) == list(expected.items())


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.06), ("l2", 0.4)])
def test_whatever_a_member_fools_is_fooled(digits_model, norm, eps):
    x, _ = Digits().load(range(64))
    attack = AutoAttack(eps=eps, norm=norm, **CHEAP)
    together = attack(digits_model, x, rng=0)
    assert size(together - x, norm).max() <= eps + 1e-6
    found = fooled(digits_model, together, x)
    assert 0 < found.sum() < 64
    for name, member in attack.members.items():
        alone = fooled(digits_model, member(digits_model, x, rng=0), x)
        assert found.sum() >= alone.sum() - 1, name  # the draws differ


def test_a_member_never_sees_what_is_fooled(digits_model, monkeypatch):
    x, _ = Digits().load(range(64))
    attack = AutoAttack(eps=0.06, **CHEAP)
    seen = []
    for member in {type(member) for member in attack.members.values()}:
        perturb = member.perturb

        def watched(self, model, x, y, *, rng, perturb=perturb):
            seen.append(len(x))
            found = perturb(self, model, x, y, rng=rng)
            seen.append(int((model.predict(self.threat.project(found, x)) == y).sum()))
            return found

        monkeypatch.setattr(member, "perturb", watched)
    attack(digits_model, x, rng=0)
    assert seen[0] == 64
    assert seen[2::2] == seen[1:-1:2], "a member got other images than those the one before it left"


@pytest.mark.parametrize("classes", [2, 3])
def test_few_classes(linear_model, mid_images, classes):
    model, x = linear_model(classes, (1, 3, 3)), mid_images(12, (1, 3, 3))
    y = model.predict(x)
    logits = model(x)
    lead = (logits.gather(1, y[:, None]) - logits).scatter(1, y[:, None], torch.inf)
    steepness = (model.net.weight[y][:, None] - model.net.weight[None]).abs().sum(dim=2).clamp_min(1e-9)
    distance = (lead / steepness).amin(dim=1)  # exact under Linf: the box is out of reach
    eps = float(distance.median())
    found = fooled(model, AutoAttack(eps=eps, **CHEAP)(model, x, rng=0), x)
    clear = (distance / eps - 1).abs() > 0.02
    assert torch.equal(found[clear], (distance < eps)[clear])


@pytest.mark.parametrize("facts", [{"steps": 0}, {"queries": 0}], ids=str)
def test_what_a_member_refuses_is_refused(facts):
    with pytest.raises(ConfigError, match=f"Expected {next(iter(facts))} >= 1"):
        AutoAttack(eps=0.1, **facts)


def test_there_is_no_targeted_form():
    with pytest.raises(ConfigError, match="untargeted"):
        AutoAttack(eps=0.1, targeted=True)

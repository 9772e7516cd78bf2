"""Before any cell: a network is known by what it does, and one that cannot be judged is refused by name."""

import foolbench
import pytest
import torch
from foolbench.core import ConfigError, InputError, Model, register_model
from foolbench.core.behaviour import Behaviour
from foolbench.datasets import Digits
from foolbench.defenses import PRN
from foolbench.evaluation.conformance.steady import check_steady
from foolbench.evaluation.engine.cache.shelf import Shelf
from foolbench.evaluation.engine.networks.prepare import recognized
from foolbench.evaluation.engine.networks.school import School
from foolbench.evaluation.ledger.ledger import Ledger
from foolbench.models import ENTRIES
from foolbench.tasks import Recognition
from torch import nn
from torch.utils.data import TensorDataset

IMAGES = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class Edited(nn.Module):
    """The network of the digits with an attribute that neither its weights nor its repr show."""

    def __init__(self, temperature=1.0, add=0):
        super().__init__()
        self.net, self.temperature, self.add = ENTRIES["digits:convnet"].load().net, temperature, add

    def forward(self, x):
        return (self.net(x - self.add) / self.temperature).roll(self.add, dims=1)


def register(net: nn.Module, name="mine", **facts) -> None:
    own = ENTRIES["digits:convnet"].load()
    mean, std = own.parts[1].mean, own.parts[1].std
    register_model(name)(lambda: Model(net, task=own.task, mean=mean, std=std, shape=own.shape, name=name, **facts))


def re_register(monkeypatch, net: nn.Module) -> None:
    from foolbench.core import models

    monkeypatch.setattr(models, "_classes", {k: v for k, v in models._classes.items() if k != "mine"})
    register(net)


SETTINGS = ("models=['mine']", "attacks=[{name='pgd', steps=3}]", "defenses=[]")


def test_an_edited_network_gets_new_cells_in_the_same_folder(execute, assert_same, monkeypatch):
    register(Edited())
    before = execute("out", *SETTINGS)
    re_register(monkeypatch, Edited(add=1))
    after, fresh = execute("out", *SETTINGS), execute("fresh", *SETTINGS)
    assert_same(after, fresh)
    assert after.model_sha[0] == before.model_sha[0]
    assert after.behaviour[0] != before.behaviour[0]
    assert after.clean[0] < before.clean[0]
    re_register(monkeypatch, Edited())
    assert_same(execute("out", *SETTINGS), before)


def test_the_first_known_behaviour_gives_its_id(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    one = behaviour_of(Edited())
    near = Behaviour(one.outputs * (1 + 1e-6), one.gradient, one.tolerance)
    far = Behaviour(one.outputs * (1 + 2e-3), one.gradient, one.tolerance)
    first = recognized(ledger, "sha", one)
    assert first == one.id
    assert recognized(ledger, "sha", near) == first
    other = recognized(ledger, "sha", far)
    assert other != first  # though two digits of both are equal, or may be
    assert recognized(ledger, "sha", far) == other
    assert recognized(ledger, "another sha", far) == far.id
    ledger.close()


def behaviour_of(net: nn.Module) -> Behaviour:
    return Behaviour.of(model_of(net))


def model_of(net: nn.Module) -> Model:
    return Model(net, task=Recognition(classes=10), shape=(1, 8, 8), name="mine")


def test_what_was_learned_for_another_function_is_not_used(silent, tmp_path):
    shelf = Shelf(tmp_path)
    names = {School(Digits(), model_of(net), 0, silent, shelf).name(PRN()) for net in (Edited(), Edited(), Edited(2.0))}
    assert len(names) == 2


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("queries", torch.zeros(()), persistent=False)

    def forward(self, x):
        self.queries += 1
        return x


class Forgetful(nn.Linear):
    def forward(self, x):
        answer = super().forward(x)
        self._parameters.pop("bias", None)
        return answer


class BatchStatistics(nn.BatchNorm2d):
    """Never in eval mode."""

    def train(self, mode=True):
        return super().train(True)


class Alone(nn.Module):
    def forward(self, x):
        return x.squeeze()


def around(layer: nn.Module, *more: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(layer, nn.Flatten(), nn.Linear(64, 10), *more)


class Drops(nn.Module):
    def forward(self, x):
        return nn.functional.dropout(x, 0.5, training=True)


class Broken(nn.Module):
    def forward(self, x):
        return x / 0 * 0


@pytest.mark.parametrize(
    ("net", "complaint"),
    [
        (around(Counter()), "mine changes itself when it looks at images: queries of layer 0 (Counter)"),
        (around(nn.Identity(), Forgetful(10, 10)), "mine changes itself when it looks at images: bias of layer 3"),
        (around(BatchStatistics(1)), "running_mean of layer 0 (BatchStatistics), which is in training mode"),
        (
            around(nn.BatchNorm2d(1, track_running_stats=False)),
            "this begins in layer 0 (BatchNorm2d)",
        ),
        (
            around(nn.Identity(), Drops()),
            "when it is asked again; this begins in layer 3 (Drops)",
        ),
        (around(nn.Identity(), Alone()), "mine takes 4 images, but not one alone: Expected logits of shape (1, 10)"),
        (around(nn.Identity(), Broken()), "mine cannot be judged: Expected finite logits"),
    ],
    ids=["counter", "forgetful", "training", "batch statistics", "dropout", "squeeze", "NaN"],
)
def test_a_network_that_is_no_function_is_blamed_by_layer(net, complaint):
    model = model_of(net)
    before = {name: tensor.clone() for name, tensor in model.net.state_dict().items()}
    with pytest.raises((ConfigError, InputError)) as caught:
        check_steady(model, IMAGES)
    assert complaint in str(caught.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.net.state_dict().items())


def test_a_steady_network_passes():
    check_steady(model_of(around(nn.BatchNorm2d(1), nn.Dropout())), IMAGES)


def test_the_network_is_blamed_and_not_the_attack(execute):
    register(around(Counter()))
    table = execute("out", *SETTINGS, "models=['mine', 'digits:convnet']")
    blamed = table[table.model == "mine"]
    assert set(blamed.status) == {"error"}
    assert blamed.error.str.startswith("ConfigError: mine changes itself when it looks at images: queries of").all()
    assert set(table[table.model != "mine"].status) == {"ok"}


def test_a_run_without_any_network_does_not_begin(execute, tmp_path):
    register(around(Counter()))
    execute("out", *SETTINGS, "models=['digits:convnet']")
    before = (tmp_path / "out" / "leaderboard.csv").read_bytes()
    with pytest.raises(ConfigError, match=r"^mine changes itself when it looks at images"):
        execute("out", *SETTINGS)
    with pytest.raises(ConfigError, match=r"^mine changes itself"):
        execute("out", *SETTINGS, "models=['digits:convnet']", "source_models=['mine']")
    register_model("other")(lambda: 1 / 0)
    with pytest.raises(
        ConfigError, match=r"^None of 2 networks can be used, other: ZeroDivisionError: division by zero"
    ):
        execute("out", *SETTINGS, "models=['other', 'mine']")
    assert (tmp_path / "out" / "leaderboard.csv").read_bytes() == before, "what was found before stays"


def test_another_clean_rate_than_expected_stops_before_any_cell(execute, monkeypatch):
    from foolbench.attacks import PGD

    register(Edited(add=1))
    monkeypatch.setattr(PGD, "perturb", lambda *rest, **more: pytest.fail("attacked"))
    for folder, settings in {"all": "expect_clean=96.1", "one": "expect_clean={mine = 96.1}"}.items():
        table = execute(folder, *SETTINGS, settings)
        assert table.error.str.contains("Expected mine to have a clean top1 of 96.1%").all()


@pytest.mark.parametrize("expected", ["expect_clean=90", "expect_clean=96", "expect_clean={'digits:convnet' = 96}"])
def test_a_clean_rate_as_expected_changes_nothing(execute, assert_same, expected):
    settings = ("attacks=[{name='fgsm'}]", "defenses=[]")
    table = execute("out", *settings, expected)
    assert table.run[0] == execute("out", *settings).run[0]
    assert set(table.status) == {"ok"}


def test_a_finished_run_is_held_to_a_clean_rate_that_is_learned_of_later(execute):
    settings = ("attacks=[{name='fgsm'}]", "defenses=[]")
    before = execute("out", *settings)
    refused = execute("out", settings[0], "defenses=[{name='median'}]", "expect_clean=3")
    assert refused.error.str.contains("clean top1 of 3%").tolist() == [True, True], "the finished cell as well"
    assert list(execute("out", *settings).gfr) == list(before.gfr)


def test_a_finished_run_whose_network_fails_when_it_is_looked_at_is_not_as_expected(execute):
    class Fragile(nn.Module):
        def __init__(self, broken):
            super().__init__()
            self.net, self.broken = ENTRIES["digits:convnet"].load().net, broken

        def forward(self, x):
            if self.broken and len(x) > 4:
                raise RuntimeError("too many images")
            return self.net(x)

    nets = [Fragile(broken) for broken in (False, True)]
    register_model("fragile")(lambda: Model(nets[0], task=Recognition(classes=10), shape=(1, 8, 8)))
    settings = ("models=['fragile']", "attacks=[{name='fgsm'}]", "defenses=[]", "batch_size=8")
    execute("out", *settings)
    nets.reverse()
    assert execute("out", *settings, "expect_clean=90").error.str.contains("too many images").all()
    nets.reverse()
    assert execute("out", *settings).status.tolist() == ["ok"]


def test_the_rate_that_a_model_states_is_held_to(execute):
    register(Edited(add=1), expect_clean=97.0)
    assert execute("out", *SETTINGS).error.str.contains("clean top1 of 97%").all()


class Constant(nn.Module):
    def forward(self, x):
        return 0 * x.flatten(1)[:, :10] + torch.arange(10.0)


@pytest.mark.parametrize(
    ("net", "flags"),
    [
        (lambda: Edited(), set()),
        (lambda: Rolled(), {"no-better-than-chance", "label-order"}),
        (lambda: Constant(), {"no-better-than-chance", "one-class"}),
    ],
    ids=["right", "rolled", "constant"],
)
def test_a_network_that_has_not_learned_these_labels_is_flagged(execute, net, flags):
    register(net())
    table = execute("out", "models=['mine']", "attacks=[{name='uniform-noise'}]", "defenses=[]")
    assert set(" ".join(table.flagged.dropna()).split()) == flags


@pytest.mark.parametrize(("net", "flags"), [(Edited, set()), (Constant, {"one-class"})], ids=["right", "constant"])
def test_without_labels_a_network_that_says_one_class_of_all_is_flagged(net, flags):
    images = TensorDataset(Digits().load(range(16))[0])
    table = foolbench.evaluate(model_of(net()), images, attacks="uniform-noise", eps=0.1, silent=True)
    assert set(" ".join(table.flagged.dropna()).split()) == flags


class Rolled(Edited):
    """Its classes in another order."""

    def forward(self, x):
        return self.net(x).roll(1, dims=1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_quantised_network_has_rows_for_what_can_attack_it(execute):
    from torch.ao.quantization import quantize_dynamic

    register(quantize_dynamic(around(nn.Identity()), {nn.Linear}, dtype=torch.qint8))
    table = execute("out", "models=['mine']", "attacks=[{name='square', queries=5}, {name='fgsm'}]").set_index("attack")
    assert set(table.status["square"]) == {"ok"}
    assert table.error["fgsm"].str.contains("attacks that need its scores or decisions only can be used").all()

"""`foolbench.evaluate` is the run of the command line, for objects that exist in memory."""

from dataclasses import dataclass

import foolbench
import pandas as pd
import pytest
import torch
from foolbench.attacks import FGSM, PGD
from foolbench.core import Attack, ConfigError, FoolbenchError, models, register_attack
from foolbench.datasets import Digits
from foolbench.defenses import JPEG, PCA, BitDepth, Compose, MedianSmoothing
from foolbench.evaluation.python.tables import tables
from foolbench.evaluation.recipe.plugins import REGISTRIES
from PIL import Image
from torch.utils.data import TensorDataset

QUICK = {"attacks": "fgsm", "eps": "40/255", "samples": 16, "silent": True, "device": "cpu"}
NAMED = [(kind, name) for kind in ("attacks", "defenses") for name in REGISTRIES[kind]]
NUMBERS = ["attack", "defense", "knowledge", "clean", "gfr", "gfr_low", "gfr_high", "linf_max", "status"]


@pytest.fixture
def digits_network():
    return foolbench.load_model("digits:convnet")


@pytest.fixture
def evaluate(digits_network):
    def evaluate(model=digits_network, data="digits", **given):
        return foolbench.evaluate(model, data, **QUICK | given)

    return evaluate


def test_the_numbers_are_those_of_the_command_line(execute, evaluate):
    from_recipe = execute("out", "attacks=[{name='pgd', steps=5}]", "knowledge=['oblivious', 'adaptive']")
    here = evaluate(
        attacks=PGD(eps="40/255", steps=5),
        defenses=[BitDepth(), {"name": "median"}],
        knowledge=["oblivious", "adaptive"],
        samples=24,
        batch_size=16,
    )
    pd.testing.assert_frame_equal(here[NUMBERS], from_recipe[NUMBERS], check_dtype=False)


def test_a_targeted_attack_has_targets_drawn(evaluate):
    table = evaluate(attacks=[PGD(eps="40/255", targeted=True), PGD(eps="40/255")])
    assert set(table.status) == {"ok"}
    assert 0 < table.gfr[0] < table.gfr[1]


def test_a_folder_keeps_what_is_finished(evaluate, tmp_path):
    first = evaluate(out=tmp_path, defenses="median")
    second = evaluate(out=str(tmp_path), defenses="median")
    assert second.seconds.tolist() == first.seconds.tolist()  # to the microsecond only where it has not run again
    assert {path.name for path in tmp_path.iterdir()} >= {"ledger.sqlite", "leaderboard.csv", "manifest.json"}
    more = evaluate(out=tmp_path, defenses=["median", JPEG()])
    assert more.seconds.tolist()[:2] == first.seconds.tolist()


def test_a_torch_dataset_and_tensors_give_the_numbers_of_the_same_images(evaluate):
    x, y = Digits().load(range(16))
    by_name = evaluate(sampling="first")
    for data in (TensorDataset(x, y), (x, y)):
        here = evaluate(data=data, sampling="first", samples=None)
        pd.testing.assert_frame_equal(here[NUMBERS], by_name[NUMBERS])


def test_a_bare_network_with_its_normalisation_is_the_model(evaluate, digits_network):
    bare = evaluate({"mine": digits_network.net}, mean=0.5, std=0.5, classes=10)
    assert bare.model.tolist() == ["mine"]
    assert bare.clean.tolist() == evaluate().clean.tolist()
    assert bare.clean.item() > evaluate({"mine": digits_network.net}, mean=0, std=0.05).clean.item()


def test_several_networks_and_nothing_stays_behind(evaluate, digits_network):
    table = evaluate({"a": digits_network, "b": "digits:convnet"})
    assert table.model.tolist() == ["a", "b"]
    assert "a" not in models
    with pytest.raises(ConfigError):
        foolbench.load_model("a")


def test_transfer_is_that_of_a_recipe(execute, evaluate, digits_network):
    weak = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    both = {"mine": digits_network, "weak": weak}
    table = evaluate(both, source_models=digits_network, mean=0.5, std=0.5)
    assert table[["source_model", "model"]].to_numpy().tolist() == [["mine", "mine"], ["mine", "weak"]]
    table = evaluate(both, source_models=both, mean=0.5, std=0.5).set_index(["source_model", "model"])
    assert len(table) == 4
    assert table.gfr["mine", "mine"] == evaluate().gfr.item()
    settings = ("models=['scenes:resnet']", "attacks=[{name='fgsm'}]", "defenses=[]", "samples=8", "dataset=scenes")
    expected = execute("out", *settings, "source_models=['scenes:googlenet']", "threat.eps=40/255")
    here = evaluate("scenes:resnet", "scenes", source_models="scenes:googlenet", samples=8)
    pd.testing.assert_frame_equal(here[NUMBERS], expected[NUMBERS], check_dtype=False)
    assert here.source_model.tolist() == ["scenes:googlenet"]


def test_a_report_needs_no_network_and_no_images(evaluate, digits_network, foolbench, tmp_path):
    x, y = Digits().load(range(16))
    given = {"out": tmp_path, "samples": None, "defenses": "median"}
    evaluate({"nowhere": digits_network}, TensorDataset(x, y), **given)
    table = (tmp_path / "leaderboard.csv").read_bytes()
    (tmp_path / "leaderboard.csv").unlink()
    code, out, err = foolbench("report", tmp_path)
    assert (code, err) == (0, "")
    assert "nowhere" in out
    assert (tmp_path / "leaderboard.csv").read_bytes() == table


def test_images_without_labels_have_a_fooling_rate_and_no_accuracy(evaluate):
    x, _ = Digits().load(range(16))
    table = evaluate(data=x)
    assert table.gfr.notna().all()
    assert table.clean.isna().all()


@pytest.mark.parametrize(("kind", "name"), NAMED)
def test_what_has_a_name_survives_the_way_into_a_recipe(kind, name):
    registry = REGISTRIES[kind]
    threat = {"norm": registry[name].norms[0], "eps": 1} if kind == "attacks" else {}
    try:
        made = registry.create(name, threat)
    except ConfigError:
        assert name == "compose"
        made = Compose(steps=(JPEG(quality=31), Compose(steps=(MedianSmoothing(size=5),))))
    (table,) = tables(kind, made)
    assert registry.create(table.pop("name"), table) == made


@dataclass(frozen=True, kw_only=True)
class Nameless(Attack):
    """Does nothing."""

    access = "none"

    def perturb(self, model, x, y, *, rng):
        return x


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"attacks": Nameless(eps=0.1)}, "@register_attack"),
        ({"attacks": PGD}, "the class PGD"),
        ({"attacks": []}, "attacks"),
        ({"attacks": "fgsn"}, "'fgsm'"),
        ({"attacks": ["pgd", FGSM(eps=0.1)], "eps": None}, "eps= for pgd"),
        ({"defenses": 3}, "defenses as names"),
        ({"samples": 600}, "512"),
        ({"samples": 0}, "samples"),
        ({"knowledge": "everything"}, "adaptive"),
        ({"knowledge": None}, "knowledge"),
        ({"source_models": 3}, "network"),
        ({"out": 3}, "folder"),
        ({"out": " "}, "folder"),
        ({"out": "a\0b"}, "null byte"),
        ({"model": {"": torch.nn.Flatten()}}, "names"),
        ({"model": {1: torch.nn.Flatten()}}, "names"),
        ({"model": torch.nn.Flatten(), "mean": 0, "std": 1, "size": 8}, "size"),
        ({"model": torch.nn.Flatten(), "mean": 0, "std": 1, "size": (-8, 8)}, "1 to 4096 pixels, got \\[-8, 8\\]"),
        ({"data": "difits"}, "'digits'"),
        ({"model": "digits:confnet"}, "'digits:convnet'"),
        ({"model": torch.nn.Flatten()}, "mean and std"),
        ({"model": torch.nn.Linear(3, 2), "mean": 0, "std": 1}, "1 x 8 x 8|8 x 8"),
        ({"model": 3}, "int"),
        ({"mean": 0.5, "std": 0.5}, "Expected an nn.Module, whose mean and std they are"),
        ({"model": "digits:convnet", "size": (8, 8)}, '{"name": ADDRESS, "size": ...}'),
        ({"model": {"a": "digits:convnet"}, "classes": 10}, "Expected an nn.Module, whose classes they are"),
    ],
)
def test_refusals(evaluate, given, says):
    with pytest.raises(FoolbenchError, match=says) as caught:
        evaluate(**given)
    assert "\n" not in str(caught.value)


def test_models_that_say_less_than_they_are(evaluate, digits_network):
    with pytest.raises(ConfigError, match="defended already"):
        evaluate(JPEG().defend(digits_network))
    with pytest.raises(ConfigError, match="name them"):
        evaluate([digits_network, foolbench.load_model("digits:convnet")])
    with pytest.raises(ConfigError, match="lists digits:convnet twice"):
        evaluate([digits_network, digits_network])
    fitted = PCA(training_images=64).fit(Digits().load(range(64))[0], model=digits_network)
    with pytest.raises(ConfigError, match="fitted by hand"):
        evaluate(defenses=fitted)


def test_an_interruption_reaches_the_caller_and_what_is_finished_is_kept(evaluate, tmp_path):
    @register_attack("interrupted")
    @dataclass(frozen=True, kw_only=True)
    class Interrupted(Nameless):
        """Somebody presses Ctrl-C meanwhile."""

        def perturb(self, model, x, y, *, rng):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(attacks=[FGSM(eps=0.1), Interrupted(eps=0.1)], out=tmp_path)
    assert pd.read_csv(tmp_path / "leaderboard.csv").status.tolist() == ["ok", "pending"]


@pytest.mark.parametrize("order", [1, -1])
def test_a_norm_is_of_the_attack_that_states_it(evaluate, order):
    attacks = [{"name": "pgd", "norm": "l2", "eps": 1.0, "steps": 2}, {"name": "fgsm", "eps": "40/255"}]
    table = evaluate(attacks=attacks[::order], eps=None).set_index("attack")
    assert table.norm.to_dict() == {"pgd": "l2", "fgsm": "linf"}


def test_data_are_named_by_their_options_too(evaluate, tmp_path):
    for place, pixels in enumerate((Digits().load(range(24))[0] * 15).byte() * 17):
        Image.fromarray(pixels[0].numpy()).save(tmp_path / f"{place}.png")
    folder = f"image-folder:{tmp_path}"
    attack = {"name": "gd-uap", "prior": "data", "max_iterations": 2, "training_data": folder}
    with_share = {**attack, "training_data": {"name": folder, "train_share": 0.5}}
    table = evaluate(data=folder, attacks=[attack, with_share], samples=4)
    assert "has no training images" in table.error[0], "the folder, as it is"
    assert "All training images" in table.error[1], "those that are held out of half of it are evaluated in the whole"


def test_progress_is_told_unless_it_is_to_be_silent(evaluate, capsys):
    evaluate()
    assert capsys.readouterr() == ("", "")
    evaluate(silent=False)
    out, err = capsys.readouterr()
    assert out == ""
    assert "16/16 images" in err


def test_other_processes_cannot_have_what_exists_in_memory(digits_model):
    with pytest.raises(ConfigError, match="networks and data by their addresses"):
        foolbench.evaluate(digits_model, "digits", attacks="fgsm", eps="40/255", workers=2)

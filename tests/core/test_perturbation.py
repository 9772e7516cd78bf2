"""A perturbation stays within its threat, comes back from its file as it was, and a bad file is named."""

import pytest
import torch
from foolbench.attacks import PGD, UniversalPGD
from foolbench.core import BudgetError, CraftingData, InputError, Model, Perturbation, Threat, WeightsError
from foolbench.defenses import JPEG
from foolbench.tasks import Recognition
from safetensors.torch import save_file
from torch import nn

LINF = Threat(norm="linf", eps=0.1)
MODEL = Model(nn.Sequential(nn.Flatten(), nn.Linear(60, 2)), task=Recognition(classes=2))


def uniform(shape=(3, 4, 5), size=0.1, **facts) -> Perturbation:
    delta = (2 * torch.rand(shape, generator=torch.Generator().manual_seed(0)) - 1) * size
    return Perturbation(**{"delta": delta, "threat": LINF, "source": "test"} | facts)


def test_apply_adds_and_clips():
    delta = torch.tensor([[[0.1, -0.1, 0.05]]])
    applied = Perturbation(delta=delta, threat=LINF).apply(torch.tensor([[[[0.95, 0.05, 0.5]]], [[[0.0, 1.0, 0.2]]]]))
    torch.testing.assert_close(applied, torch.tensor([[[[1.0, 0.0, 0.55]]], [[[0.1, 0.9, 0.25]]]]))


@pytest.mark.parametrize("shape", [(2, 3, 5, 4), (2, 1, 4, 5), (3, 4, 5)])
def test_apply_refuses_other_images(shape):
    with pytest.raises(InputError, match=r"\(N, 3, 4, 5\)"):
        uniform().apply(torch.full(shape, 0.5))


@pytest.mark.parametrize("wrong", [lambda x: (255 * x).byte(), lambda x: 255 * x, lambda x: (x - 0.5) / 0.2, list])
@pytest.mark.parametrize(
    "door",
    [
        lambda x: uniform().apply(x),
        lambda x: LINF.project(x, x),
        lambda x: LINF.enforce(x, x),
        lambda x: PGD(eps=0.1)(MODEL, x),
        lambda x: MODEL.predict(x),
        lambda x: JPEG()(x),
        lambda x: JPEG().fit(x, model=MODEL),
        lambda x: UniversalPGD(eps=0.1).craft(MODEL, CraftingData(validation=x, load_training=list)),
    ],
    ids=["apply", "project", "enforce", "attack", "predict", "transform", "fit", "craft"],
)
def test_one_door_for_images(door, wrong):
    """Of images in other units a clamp would make a number that looks robust."""
    x = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match=r"^Expected (float32 )?images (in \[0, 1\]|as a torch tensor), got"):
        door(wrong(x))


def test_training_images_of_a_universal_attack_are_checked():
    x = torch.rand(2, 3, 4, 5)
    data = CraftingData(validation=x, load_training=lambda: 255 * x)
    with pytest.raises(InputError, match=r"Expected images in \[0, 1\], got values in"):
        UniversalPGD(eps=0.1, prior="data").craft(MODEL, data)


@pytest.mark.parametrize(
    ("delta", "threat"),
    [
        (torch.full((1, 2, 2), 0.11), LINF),
        (torch.full((1, 2, 2), 0.06), Threat(norm="l2", eps=0.1)),
        (torch.tensor([[[0.0, torch.nan]]]), LINF),
    ],
)
def test_too_large(delta, threat):
    with pytest.raises(BudgetError, match=r"exceeds its|NaN"):
        Perturbation(delta=delta, threat=threat)


def test_rounding_is_allowed_as_for_images():
    # 1,000 values that are each off by 1e-6: the norm is off by 3e-5
    threat, delta = Threat(norm="l2", eps=1000**0.5 * 0.1), torch.full((1, 10, 100), 0.1 + 1e-6)
    Perturbation(delta=delta, threat=threat)
    with pytest.raises(BudgetError):
        Perturbation(delta=delta + 2e-5, threat=threat)


@pytest.mark.parametrize("threat", [Threat(norm="linf", eps="10/255"), Threat(norm="l2", eps=2.5)], ids=str)
def test_round_trip(tmp_path, threat):
    path = tmp_path / "delta.safetensors"
    saved = uniform(threat=threat, size=0.03, source='GDUAP(eps=0.1) on "x"\nä')
    saved.save(path)
    loaded = Perturbation.load(path)
    assert torch.equal(loaded.delta, saved.delta)
    assert loaded.delta.dtype == torch.float32
    assert (loaded.threat, loaded.source) == (saved.threat, saved.source)
    assert [file.name for file in tmp_path.iterdir()] == [path.name], "something temporary stayed behind"


def test_save_takes_views_and_replaces(tmp_path):
    path = tmp_path / "delta.safetensors"
    uniform().save(path)
    delta = uniform().delta.permute(0, 2, 1)
    Perturbation(delta=delta, threat=LINF).save(path)
    assert torch.equal(Perturbation.load(path).delta, delta)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-7])


FAULTS = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("not safetensors at all"),
    "truncated": truncate,
    "folder": lambda path: (path.unlink(), path.mkdir()),
    "weights": lambda path: save_file({"weight": torch.zeros(3)}, path),
    "no metadata": lambda path: save_file({"delta": torch.zeros(1, 2, 2)}, path),
    "threat no json": lambda path: save_file({"delta": torch.zeros(1, 2, 2)}, path, {"threat": "{", "source": ""}),
    "threat a list": lambda path: save_file({"delta": torch.zeros(1, 2, 2)}, path, {"threat": "[1]", "source": ""}),
    "bad norm": lambda path: save_file(
        {"delta": torch.zeros(1, 2, 2)}, path, {"threat": '{"norm": "l9", "eps": 0.1}', "source": ""}
    ),
    "over budget": lambda path: save_file(
        {"delta": torch.ones(1, 2, 2)}, path, {"threat": '{"norm": "linf", "eps": 0.1}', "source": ""}
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_bad_file_is_named(tmp_path, fault):
    path = tmp_path / "delta.safetensors"
    uniform().save(path)
    fault(path)
    with pytest.raises(WeightsError, match=r"delta\.safetensors") as caught:
        Perturbation.load(path)
    assert not isinstance(caught.value, ValueError)


def test_picture():
    delta = torch.tensor([[[0.1, -0.1]], [[0.0, 0.05]], [[0.0, 0.0]]])
    picture = Perturbation(delta=delta, threat=LINF).picture()
    assert (picture.dtype, picture.shape) == (torch.uint8, (1, 2, 3))
    assert picture[0].tolist() == [[255, 128, 128], [0, 191, 128]]
    flat = Perturbation(delta=torch.zeros(1, 2, 2), threat=LINF).picture()
    assert flat.unique().tolist() == [128]

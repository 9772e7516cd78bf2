"""How the zoos make images of pictures: what they resize, squash and cut is resized, squashed and cut here."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchvision.transforms
from foolbench.core import ConfigError
from foolbench.core.fitting import fit, window
from foolbench.models import load_model
from foolbench.models.addresses.robustbench import _preprocess as robustbench_preprocess
from foolbench.models.addresses.timm import _gives_embeddings
from foolbench.models.addresses.timm import preprocess_of as timm_preprocess
from PIL import Image
from skimage import data


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("Res256Crop224", (224, 256, "bilinear", "center")),
        ("BicubicRes256Crop224", (224, 256, "bicubic", "center")),
        ("Crop288", (288, None, "bilinear", "center")),
        ("Res224", (224, None, "bilinear", "squash")),
        (None, (224, 256, "bilinear", "center")),
    ],
)
def test_geometry_of_robustbench(stated, expected):
    found = robustbench_preprocess("robustbench:x", {"preprocessing": stated}, torch.nn.Identity())
    assert (found.size[0], found.resize, found.interpolation, found.crop) == expected


def test_where_robustbench_does_not_say_the_geometry_timm_does():
    timm = pytest.importorskip("timm")
    net = torch.nn.Sequential(torch.nn.Identity(), timm.create_model("xcit_nano_12_p16_224", pretrained=False))
    found = robustbench_preprocess("robustbench:x", {}, net)
    assert (found.size, found.resize, found.interpolation) == ((224, 224), 224, "bicubic")
    with pytest.raises(ConfigError, match="Neither RobustBench nor timm says how images for robustbench:x are made"):
        robustbench_preprocess("robustbench:x", {}, torch.nn.Identity())


@pytest.mark.parametrize("crop_pct", [0.9, 1.0])
def test_timms_squash_resizes_by_its_share_and_cuts(crop_pct):
    timm = pytest.importorskip("timm")
    told = {"input_size": (3, 64, 64), "crop_pct": crop_pct, "crop_mode": "squash", "interpolation": "bicubic"}
    net = SimpleNamespace(pretrained_cfg=told | {"mean": (0.0,) * 3, "std": (1.0,) * 3})
    config = timm.data.resolve_model_data_config(net)
    theirs = torchvision.transforms.Compose(timm.data.create_transform(**config).transforms[:2])
    picture = Image.fromarray(data.coffee())
    ours = fit(picture, timm_preprocess(timm, net))
    assert np.array_equal(ours.permute(1, 2, 0), np.asarray(theirs(picture)))


def test_a_network_of_timm_without_a_classifier_is_refused(monkeypatch):
    pytest.importorskip("timm")
    with pytest.raises(ConfigError, match=r"timm:vit_small_patch14_dinov2 gives no class scores but an embedding"):
        load_model("timm:vit_small_patch14_dinov2", weights="none")


def test_robustbenchs_networks_for_cifar_see_whole_pictures(monkeypatch):
    net = torch.nn.Conv2d(3, 10, 32)
    zoo = {"cifar10": {"Linf": {"Standard": {}}}}
    fake = SimpleNamespace(
        model_dicts=zoo, load_model=lambda *names, **options: torch.nn.Sequential(net, torch.nn.Flatten())
    )
    monkeypatch.setitem(sys.modules, "robustbench", fake)
    monkeypatch.setitem(sys.modules, "robustbench.model_zoo", fake)
    monkeypatch.setitem(sys.modules, "robustbench.utils", fake)
    model = load_model("robustbench:cifar10/Linf/Standard")
    image = fit(Image.fromarray(data.cat()), model.preprocess)
    assert window(data.cat().shape[:2], model.preprocess) == (1, 1)
    assert image.shape == (3, 32, 32)


@pytest.mark.parametrize(
    ("name", "classes", "expected"),
    [
        ("vit_base_patch16_clip_224.openai", 512, True),
        ("vit_base_patch16_clip_224.openai_ft_in1k", 1000, False),
        ("vit_small_patch14_dinov2", 0, True),
        ("resnet18.a1_in1k", 1000, False),
    ],
)
def test_towers_that_nobody_has_tuned_to_classes_give_embeddings(name, classes, expected):
    assert _gives_embeddings(name, SimpleNamespace(num_classes=classes)) == expected

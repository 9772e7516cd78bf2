"""Image classifiers that Transformers has saved: their processors' pictures, their weights, none of their code."""

import json

import pytest
import torch
from foolbench.core import ConfigError, Preprocess, WeightsError
from foolbench.core.fitting import fit
from foolbench.models import load_model
from foolbench.models.addresses.huggingface import _in_pixels, _preprocess
from PIL import Image
from skimage import data


def test_a_vit_of_transformers_made_saved_and_loaded(tmp_path):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=16,
        patch_size=8,
        id2label={0: "cat", 1: "dog", 2: "swan"},
    )
    net = transformers.ViTForImageClassification(config).eval()
    net.save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"has no preprocessor_config\.json, .* set size, mean and std"):
        load_model(f"hf:{tmp_path}")
    assert load_model(f"hf:{tmp_path}", size=[16, 16], mean=0.5, std=0.5).shape == (3, 16, 16)
    size = {"height": 16, "width": 16}
    transformers.ViTImageProcessor(size=size, image_mean=[0.1, 0.2, 0.3]).save_pretrained(tmp_path)
    model = load_model(f"hf:{tmp_path}")
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    mean = torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1)
    with torch.no_grad():
        expected = net((x - mean) / 0.5).logits
    assert torch.allclose(model(x), expected, atol=1e-5)
    assert model.preprocess == Preprocess(size=(16, 16), crop="squash")
    assert model.class_names == ("cat", "dog", "swan")
    assert len(model.feature_names) == len(model.features(x)) == 2
    assert all("mlp" in name for name in model.feature_names)
    assert load_model(f"hf:{tmp_path}", weights="none").random_weights


@pytest.fixture
def saved(tmp_path):
    """`saved(processor)`: the address of a small ViT that is saved with it."""
    transformers = pytest.importorskip("transformers")

    def save(processor, kind="ViTForImageClassification"):
        config = transformers.ViTConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, image_size=32, patch_size=8
        )
        getattr(transformers, kind)(config).save_pretrained(tmp_path)
        processor.save_pretrained(tmp_path)
        return f"hf:{tmp_path}"

    return save


SIDES = {"size": {"height": 32, "width": 32}}


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("MobileViTImageProcessor", SIDES | {"do_center_crop": False, "do_flip_channel_order": True}),
        ("EfficientNetImageProcessor", SIDES | {"do_center_crop": False, "rescale_offset": False, "include_top": True}),
        ("EfficientNetImageProcessor", SIDES | {"do_center_crop": False, "rescale_offset": True}),
        ("ViTImageProcessor", SIDES | {"do_resize": False}),
    ],
)
def test_an_image_processor_that_does_more_is_refused(saved, kind, arguments):
    transformers = pytest.importorskip("transformers")
    address = saved(getattr(transformers, kind)(**arguments))
    with pytest.raises(ConfigError, match=f"The image processor {kind}.* of hf:.* does something else to pictures"):
        load_model(address)


@pytest.mark.parametrize(
    "arguments",
    [
        {"resample": 1},
        {"do_normalize": False},
        {"do_normalize": False, "rescale_factor": 1 / 127.5},
        {"do_rescale": False, "image_mean": [127.5] * 3, "image_std": [60.0] * 3},
        {"do_rescale": False, "do_normalize": False},
    ],
)
def test_what_an_image_processor_does_to_a_picture_is_done_here(saved, arguments):
    transformers = pytest.importorskip("transformers")
    processor = transformers.ViTImageProcessor(**SIDES | arguments)
    model = load_model(saved(processor))
    picture = Image.fromarray(data.cat())
    theirs = processor(images=[picture], return_tensors="pt")["pixel_values"].float()
    ours = model.parts[1](fit(picture, model.preprocess)[None].float() / 255)
    assert float(((theirs - ours) * model.parts[1].std).abs().mean()) < 0.02
    assert model.preprocess.interpolation == ("lanczos" if "resample" in arguments else "bilinear")


@pytest.mark.parametrize("whole", [36, 48])
def test_pictures_that_are_squashed_and_then_cut(saved, whole):
    """As of DeiT."""
    transformers = pytest.importorskip("transformers")
    processor = transformers.DeiTImageProcessor(
        size={"height": whole, "width": whole}, crop_size={"height": 32, "width": 32}, do_center_crop=True
    )
    model = load_model(saved(processor))
    picture = Image.fromarray(data.coffee())
    theirs = processor(images=[picture], return_tensors="pt")["pixel_values"].float()
    ours = model.parts[1](fit(picture, model.preprocess)[None].float() / 255)
    assert float(((theirs - ours) * model.parts[1].std).abs().mean()) < 0.005


def test_a_head_that_was_not_saved_is_not_drawn_at_random(saved):
    address = saved(pytest.importorskip("transformers").ViTImageProcessor(**SIDES), "ViTModel")
    with pytest.raises(WeightsError, match=r"saved without 2 of the weights of ViTFor.*, classifier\.bias the first"):
        load_model(address)
    assert load_model(address, weights="none").random_weights


@pytest.mark.parametrize("options", [{}, {"weights": "none"}, {"size": [8, 8], "mean": 0.5}])
def test_an_image_classifier_of_transformers_runs_no_code(tmp_path, options):
    pytest.importorskip("transformers")
    config = {"model_type": "mine", "auto_map": {"AutoConfig": "mine.C", "AutoModelForImageClassification": "mine.M"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"auto_map": {"AutoImageProcessor": "mine.P"}}))
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'exploded')!r}, 'w')")
    with pytest.raises(WeightsError, match="could not be had"):
        load_model(f"hf:{tmp_path}", **options)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        ({}, None),
        ({"size": {"height": 8, "width": 9}, "resample": 3}, ((8, 9), None, "bicubic", "squash")),
        (
            {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}, "do_center_crop": True},
            ((224, 224), 256, "bilinear", "center"),
        ),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.875, "resample": 0}, ((224, 224), 256, "nearest", "center")),
        ({"size": {"shortest_edge": 384}, "crop_pct": 0.875}, ((384, 384), None, "bilinear", "squash")),
    ],
)
def test_geometry_of_image_processors(processor, expected):
    found = _preprocess(processor)
    assert (found and (found.size, found.resize, found.interpolation, found.crop)) == expected


def test_normalisation_of_image_processors_is_for_pixels_in_0_to_1():
    usual = {"do_normalize": True, "do_rescale": True, "rescale_factor": 1 / 255, "image_mean": [0.5]}
    assert _in_pixels(usual, "image_mean") == pytest.approx((0.5,))
    assert _in_pixels(usual | {"rescale_factor": 1 / 127.5, "image_mean": [1.0]}, "image_mean") == pytest.approx((0.5,))
    assert _in_pixels(usual | {"do_rescale": False, "image_mean": [127.5]}, "image_mean") == pytest.approx((0.5,))
    assert _in_pixels(usual | {"do_normalize": False}, "image_mean") is None

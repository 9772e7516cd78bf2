"""Pascal VOC and SBD are read back as they were written, and whatever is wrong is one sentence."""

import numpy as np
import pytest
import scipy.io
import torch
from foolbench.core import ConfigError, InputError, datasets
from foolbench.tasks import Depth, Recognition, Segmentation
from PIL import Image

NAMES = ["2007_000032", "2007_000033", "2011_003276"]


def class_map(seed, width=40, height=30):
    """All classes and a void border."""
    values = np.random.default_rng(seed).integers(0, 21, (height, width)).astype(np.uint8)
    values[:2] = 255
    return values


def save_with_palette(values, path):
    map_ = Image.fromarray(values, mode="P")
    map_.putpalette(np.random.default_rng(0).integers(0, 256, 768).astype(np.uint8).tobytes())
    map_.save(path)


@pytest.fixture
def voc(tmp_path, picture):
    root = tmp_path / "VOCdevkit" / "VOC2012"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for seed, name in enumerate(NAMES):
        picture(seed).save(root / "JPEGImages" / f"{name}.jpg")
        save_with_palette(class_map(seed), root / "SegmentationClass" / f"{name}.png")
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text(f"{NAMES[0]}\n{NAMES[1]}\n")
    (root / "ImageSets" / "Segmentation" / "train.txt").write_text(f"{NAMES[2]}\n")
    return tmp_path


@pytest.fixture
def sbd(tmp_path, picture):
    root = tmp_path / "benchmark_RELEASE" / "dataset"
    for folder in ("img", "cls"):
        (root / folder).mkdir(parents=True)
    for seed, name in ((7, "2008_000002"), (1, NAMES[1])):  # of which VOC evaluates on the second
        picture(seed).save(root / "img" / f"{name}.jpg")
        content = {"Segmentation": np.minimum(class_map(seed), 20), "Boundaries": 0, "CategoriesPresent": 0}
        scipy.io.savemat(root / "cls" / f"{name}.mat", {"GTcls": content})
    (root / "train.txt").write_text("2008_000002\n")
    (root / "val.txt").write_text(f"{NAMES[1]}\n")
    return tmp_path / "benchmark_RELEASE"


def opened(root, network, size=(30, 40), **options):
    return datasets.bind(f"voc:{root}", options)().for_model(network(Segmentation(classes=21), size))


def test_a_map_of_another_size_is_of_another_picture(voc, network):
    save_with_palette(class_map(0, width=30, height=40), voc / f"VOCdevkit/VOC2012/SegmentationClass/{NAMES[0]}.png")
    with pytest.raises(InputError, match=r"Expected a map of 30 x 40 pixels for .*32\.jpg, got one of 40 x 30 from"):
        opened(voc, network).load([0])


@pytest.mark.parametrize("above", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_maps_are_those_of_the_palette_wherever_above_the_year_is_named(voc, network, above):
    data = opened(voc / above, network)
    images, maps = data.load(range(2))
    assert len(data) == 2
    assert (images.shape, maps.dtype) == ((2, 3, 30, 40), torch.int64)
    for seed in range(2):
        assert np.array_equal(maps[seed], class_map(seed))
    data.task.check_targets(maps, 2)


def test_a_map_is_fitted_as_its_picture_is(voc, network):
    """What a picture of the map itself would become, by the nearest pixel."""
    from foolbench.core.fitting import fit
    from foolbench.core.preprocess import Preprocess

    for fitted in ({"resize": 20}, {"crop": "squash"}, {}):
        size = (16, 24)
        model = network(Segmentation(classes=21), size, **fitted or {"crop": "center"})
        _, maps = datasets.bind(f"voc:{voc}", {})().for_model(model).load([0])
        three = Image.fromarray(np.repeat(class_map(0)[:, :, None], 3, axis=2))
        expected = fit(three, Preprocess(size=size, interpolation="nearest", **fitted))[0]
        assert torch.equal(maps[0], expected.long())


def test_what_is_beyond_a_small_picture_is_void(voc, network):
    model = network(Segmentation(classes=21), (50, 60), crop="center")
    _, maps = datasets.bind(f"voc:{voc}", {})().for_model(model).load([0])
    assert np.array_equal(maps[0, 10:40, 10:50], class_map(0))
    assert int((maps[0] != 255).sum()) == int((class_map(0) != 255).sum())


def test_training_images_are_those_of_train_and_of_sbd_without_what_is_evaluated(voc, sbd, network):
    images, maps = opened(voc, network).training(10)
    assert len(images) == 1
    assert np.array_equal(maps[0], class_map(2))
    images, maps = opened(voc, network, sbd=str(sbd)).training(10)
    assert images.dtype == torch.uint8
    assert len(images) == 2
    expected = [class_map(2), np.minimum(class_map(7), 20)]
    assert {one.numpy().astype(np.uint8).tobytes() for one in maps} == {one.tobytes() for one in expected}
    with pytest.raises(ConfigError, match="all of them are evaluated on"):
        opened(voc, network, split="train").training(1)


def test_the_fingerprint_is_also_that_of_the_maps(voc, network):
    before = opened(voc, network).fingerprint
    save_with_palette(class_map(5), voc / "VOCdevkit" / "VOC2012" / "SegmentationClass" / f"{NAMES[0]}.png")
    assert opened(voc, network).fingerprint != before


def test_what_others_evaluate_on_is_no_training_image(voc, sbd, network):
    """SBD's lists hold a part of VOC's val, which another split of VOC would train on."""
    evaluated, other = opened(voc, network), opened(voc, network, split="train", sbd=str(sbd))
    assert len(other.training(10)[0]) == 2
    _, maps = other.apart_from(evaluated).training(10)
    assert np.array_equal(maps.numpy(), [np.minimum(class_map(7), 20)])
    assert other.apart_from(evaluated).training_fingerprint() != other.training_fingerprint()


def test_that_of_the_training_images_is_of_their_pictures_and_maps(voc, sbd, network, picture):
    def found(**options):
        return opened(voc, network, **options).training_fingerprint()

    plain, both = found(), found(sbd=str(sbd))
    assert len({plain, both, ""}) == 3
    assert found(split="train") == ""  # it has none, as `training` says
    save_with_palette(class_map(5), voc / "VOCdevkit" / "VOC2012" / "SegmentationClass" / f"{NAMES[2]}.png")
    assert found() != plain
    picture(50).save(sbd / "dataset" / "img" / "2008_000002.jpg")
    assert len({both, found(), found(sbd=str(sbd))}) == 3


def test_colours_in_place_of_numbers_are_refused(voc, network, picture):
    picture(0).save(voc / "VOCdevkit" / "VOC2012" / "SegmentationClass" / f"{NAMES[0]}.png")
    with pytest.raises(InputError, match=r"Expected a palette.* in the map .*2007_000032\.png, got a picture in RGB"):
        opened(voc, network).load([0])


def test_other_classes_are_refused(voc, network):
    save_with_palette(np.full((30, 40), 21, np.uint8), voc / "VOCdevkit/VOC2012/SegmentationClass" / f"{NAMES[0]}.png")
    with pytest.raises(InputError, match=r"Expected classes 0..20 or 255 in the map .* got \[21\]"):
        opened(voc, network).load([0])


def test_a_damaged_file_of_sbd_is_told(voc, sbd, network):
    (sbd / "dataset" / "cls" / "2008_000002.mat").write_bytes(b"no matlab")
    with pytest.raises(InputError, match=r"Expected GTcls\.Segmentation of SBD in .*2008_000002\.mat"):
        opened(voc, network, sbd=str(sbd)).training(10)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda root: (root / "ImageSets/Segmentation/val.txt").unlink(), "Expected the names of a split in .*val.txt"),
        (lambda root: (root / f"JPEGImages/{NAMES[0]}.jpg").unlink(), "Expected a file at .*2007_000032.jpg"),
        (lambda root: (root / f"SegmentationClass/{NAMES[0]}.png").unlink(), "Expected a file at .*2007_000032.png"),
        (lambda root: (root / "SegmentationClass").rename(root / "Maps"), "Expected SegmentationClass of Pascal VOC"),
        (lambda root: (root / f"JPEGImages/{NAMES[0]}.jpg").write_bytes(b"x"), "cannot be read as a picture"),
    ],
)
def test_what_is_missing_is_told_when_it_is_opened(voc, network, damage, sentence):
    damage(voc / "VOCdevkit" / "VOC2012")
    with pytest.raises(ConfigError, match=sentence):
        opened(voc, network)


@pytest.mark.parametrize("task", [Segmentation(classes=19), Depth()])
def test_networks_of_other_classes_or_tasks_are_refused(voc, network, task):
    with pytest.raises(ConfigError, match=r"pixelwise does .* the images of voc:.* are for Segmentation"):
        datasets.bind(f"voc:{voc}", {})().for_model(network(task, (30, 40)))


def test_a_split_that_is_no_text_is_one_sentence(voc, network):
    (voc / "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"Expected the names of a split in .*val\.txt, but: it is no text"):
        opened(voc, network)


def test_to_train_others_it_has_its_training_images(voc, network, picture, tmp_path):
    """Without its maps where the others are no such maps; what it is evaluated on stays out."""
    folder = tmp_path / "evaluated"
    folder.mkdir()
    picture(50).save(folder / "x.png")
    labels = datasets.bind(f"image-folder:{folder}", {"train": f"voc:{voc}"})()
    images, targets = labels.for_model(network(Recognition(classes=21), (30, 40))).training(10)
    assert (len(images), targets) == (1, None)
    expected = opened(voc, network).training(10)[0]
    assert torch.equal(images, expected if expected.dtype == images.dtype else (expected * 255).round().byte())

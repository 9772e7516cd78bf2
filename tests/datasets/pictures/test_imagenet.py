"""ImageNet's two layouts, with a devkit whose order of classes is not that of the networks."""

import numpy as np
import pytest
from foolbench.core import ConfigError, datasets
from foolbench.datasets.pictures.classes import wordnet_ids
from scipy.io import savemat
from torchvision.models import ResNet18_Weights

SYNSETS = np.dtype([("ILSVRC2012_ID", object), ("WNID", object), ("words", object), ("num_children", object)])
ORDER = np.random.default_rng(0).permutation(1000)  # ILSVRC id k + 1 is the WordNet id number ORDER[k]
TRUTH = [7, 1000, 1, 512]  # ILSVRC ids of the four images


def opened(root, **parameters):
    return datasets.bind(f"imagenet:{root}", parameters)()


@pytest.fixture
def flat(tmp_path, picture):
    """The validation folder as it is unpacked, the devkit beside it."""
    images, devkit = tmp_path / "val", tmp_path / "ILSVRC2012_devkit_t12" / "data"
    images.mkdir()
    devkit.mkdir(parents=True)
    for k in range(len(TRUTH)):
        picture(k).save(images / f"ILSVRC2012_val_{k + 1:08d}.JPEG", "JPEG")
    (devkit / "ILSVRC2012_validation_ground_truth.txt").write_text("".join(f"{one}\n" for one in TRUTH))
    leaves = [(k + 1, wordnet_ids()[ORDER[k]], "words", 0) for k in range(1000)]
    savemat(devkit / "meta.mat", {"synsets": np.array([*leaves, (1001, "n00001740", "entity", 9)], SYNSETS)})
    return images


def test_the_ids_are_in_the_order_of_the_networks():
    assert len(wordnet_ids()) == len(set(wordnet_ids())) == 1000
    assert list(wordnet_ids()) == sorted(wordnet_ids())
    categories = ResNet18_Weights.DEFAULT.meta["categories"]
    known = {"n01440764": "tench", "n02123394": "Persian cat", "n07920052": "espresso", "n15075141": "toilet tissue"}
    assert {wnid: categories[wordnet_ids().index(wnid)] for wnid in known} == known


def test_a_flat_folder_has_the_labels_of_the_devkit(flat, network):
    found = opened(flat)
    assert found.labels.tolist() == [int(ORDER[one - 1]) for one in TRUTH]
    assert found.for_model(network(1000, size=8)).labels.tolist() == found.labels.tolist()


def test_class_folders_may_be_a_subset(tmp_path, picture, network):
    for label in (999, 0, 281):
        folder = tmp_path / wordnet_ids()[label]
        folder.mkdir()
        picture(label).save(folder / "x.JPEG", "JPEG")
    assert opened(tmp_path).labels.tolist() == [0, 281, 999]
    (tmp_path / "n00000001").mkdir()
    with pytest.raises(ConfigError, match="n00000001, which is none of ImageNet's"):
        opened(tmp_path)


def test_an_image_folder_of_wordnet_ids_fits_a_network_of_a_thousand(tmp_path, picture, network):
    for label in (12, 700):
        folder = tmp_path / wordnet_ids()[label]
        folder.mkdir()
        picture(label).save(folder / "x.JPEG", "JPEG")
    found = datasets.bind(f"image-folder:{tmp_path}", {})()
    assert found.for_model(network(1000, size=8)).labels.tolist() == [12, 700]


def test_what_is_missing_is_said(flat, tmp_path):
    (tmp_path / "ILSVRC2012_devkit_t12").rename(tmp_path.parent / f"{tmp_path.name}-devkit")
    with pytest.raises(ConfigError, match=r"labels of a flat folder are in the devkit .* devkit = PATH"):
        opened(flat)
    elsewhere = tmp_path.parent / f"{tmp_path.name}-devkit"
    assert len(opened(flat, devkit=str(elsewhere))) == 4
    (flat / "ILSVRC2012_val_00000001.JPEG").rename(flat / "holiday.JPEG")
    with pytest.raises(ConfigError, match=r"got holiday\.JPEG"):
        opened(flat, devkit=str(elsewhere))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"7\nseven\n1\n512\n", r"Expected a class of ImageNet on each line of .*ground_truth\.txt, but: .*seven"),
        (b"7\n\xff\n", r"Expected a class of ImageNet on each line of .*ground_truth\.txt, but: it is no text"),
        (b"7\n1001\n1\n512\n", r"ground_truth\.txt has the class 1001, which is none of the thousand of meta\.mat"),
    ],
)
def test_a_damaged_ground_truth_is_one_sentence(flat, tmp_path, content, sentence):
    (tmp_path / "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt").write_bytes(content)
    with pytest.raises(ConfigError, match=sentence):
        opened(flat)


def test_a_damaged_devkit_is_one_sentence(flat, tmp_path):
    meta = tmp_path / "ILSVRC2012_devkit_t12/data/meta.mat"
    meta.write_bytes(meta.read_bytes()[:200])
    with pytest.raises(ConfigError, match=r"Expected the synsets of ImageNet's devkit in .*meta\.mat, but: "):
        opened(flat)
    savemat(meta, {"synsets": np.array([(7, wordnet_ids()[3], "words", 0)], SYNSETS)})
    with pytest.raises(ConfigError, match="has the class 1000, which is none"):
        opened(flat)
    savemat(meta, {"others": 1})
    with pytest.raises(ConfigError, match="but: KeyError: 'synsets'"):
        opened(flat)


def test_only_validation_images_have_labels_of_the_devkit(flat, picture):
    """The tree as Kaggle has it: `val` lies beside pictures whose names end in numbers, too."""
    root, devkit = flat.parent, str(flat.parent / "ILSVRC2012_devkit_t12")
    for folder, name in (("test", "ILSVRC2012_test_00000003"), ("train/n01440764", "n01440764_2")):
        (root / folder).mkdir(parents=True)
        picture(9).save(root / folder / f"{name}.JPEG", "JPEG")
    assert opened(root, devkit=devkit).labels.tolist() == opened(flat).labels.tolist()
    with pytest.raises(ConfigError, match=r"Expected names as ILSVRC2012_val_00000001.*got ILSVRC2012_test_00000003"):
        opened(root / "test", devkit=devkit)

"""Names of folders against a network's classes: mapped where that is known, else a file of them is asked for."""

import pytest
import torch
from foolbench.core import ConfigError, datasets
from foolbench.core.fitting import fit
from foolbench.models.addresses import imagenet_classes


def opened(root, **parameters):
    return datasets.bind(f"image-folder:{root}", parameters)()


def test_equal_counts_are_taken_in_order_and_names_by_name(class_folders, network):
    names = ("Emu", "cat", "gnu", "dog")
    found = opened(class_folders).for_model(network(4, class_names=names))
    assert found.labels.tolist() == [1, 1, 3, 3, 0, 0]
    assert opened(class_folders).for_model(network(3)).labels.tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("names", [("truck", "cat", "dog"), ("cat", "dog", "gnu"), ("x", "y", "CAT")])
def test_as_many_classes_some_of_which_have_names_of_others_are_no_order(class_folders, network, names):
    with pytest.raises(ConfigError, match=r"3 classes \(cat, dog, emu\) and linear-3 3 outputs.*classes = FILE"):
        opened(class_folders).for_model(network(3, class_names=names))
    (file := class_folders.parent / "classes.txt").write_text("cat\ndog\nemu\n")
    found = opened(class_folders, classes=str(file)).for_model(network(3, class_names=names))
    assert found.labels.tolist() == [0, 0, 1, 1, 2, 2], "who says it knows it"


def test_names_that_differ_from_no_class_of_the_network_are_an_order(class_folders, network):
    found = opened(class_folders).for_model(network(3, class_names=("LABEL_0", "LABEL_1", "LABEL_2")))
    assert found.labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_folders_that_are_numbers_are_in_their_order(tmp_path, picture, network):
    for number in range(11):
        (tmp_path / str(number)).mkdir()
        picture(number).save(tmp_path / str(number) / "0.png")
    found = opened(tmp_path).for_model(network(11))
    assert found.classes == [str(number) for number in range(11)]
    assert torch.equal(found.load([2])[0], fit(picture(2), found.preprocess)[None] / 255)
    assert found.labels.tolist() == list(range(11))


def test_names_of_imagenet_are_found_though_two_differ_by_a_letters_size_alone(class_folders, network):
    for name, new in (("cat", "Cardigan"), ("dog", "cardigan"), ("emu", "Tench")):
        (class_folders / name).rename(class_folders / new)
    names = imagenet_classes()
    found = opened(class_folders).for_model(network(1000, class_names=names))
    assert [names[label] for label in found.labels[::2]] == ["Cardigan", "tench", "cardigan"]
    (class_folders / "Cardigan").rename(class_folders / "CARDIGAN")
    with pytest.raises(ConfigError, match="3 classes"):
        opened(class_folders).for_model(network(1000, class_names=names))


def test_other_counts_want_a_file_of_classes(class_folders, network, tmp_path):
    with pytest.raises(ConfigError, match=r"3 classes \(cat, dog, emu\) and linear-5 5 outputs.*classes = FILE"):
        opened(class_folders).for_model(network(5))
    file = tmp_path / "classes.txt"
    file.write_text("emu\nelk\ndog\ncat\nfox\n")
    found = opened(class_folders, classes=str(file)).for_model(network(5))
    assert found.labels.tolist() == [3, 3, 2, 2, 0, 0]
    assert found.task.classes == 5
    file.write_text("emu\ndog\n")
    with pytest.raises(ConfigError, match="does not name 1 of the classes, cat"):
        opened(class_folders, classes=str(file))


def test_folders_of_other_classes_are_of_use_without_labels(class_folders, network, tmp_path):
    with pytest.raises(ConfigError, match=r'classes = 3, or .* classes = "none" to go without labels'):
        opened(class_folders).for_model(network(5))
    found = opened(class_folders, classes="none").for_model(network(5))
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in class_folders.glob("[!.]*/*.png"):
        (flat / f"{path.parent.name}{path.name}").write_bytes(path.read_bytes())
    expected = opened(flat).for_model(network(5))
    assert found.labels is expected.labels is None
    assert torch.equal(found.load(range(6))[0], expected.load(range(6))[0])


def test_a_class_folder_whose_files_are_no_pictures_is_named(class_folders):
    (class_folders / "fox").mkdir()
    assert opened(class_folders).classes == ["cat", "dog", "emu"]  # empty, it is no class
    (class_folders / "fox" / "0.heic").write_bytes(b"a picture of a phone")
    with pytest.raises(ConfigError, match="fox has files, but no pictures"):
        opened(class_folders)
    assert opened(class_folders, bad_images="skip").classes == ["cat", "dog", "emu"]


def test_pictures_behind_linked_folders_and_of_odd_suffixes_count(class_folders, tmp_path, picture):
    (tmp_path / "more").mkdir()
    picture(70).save(tmp_path / "more" / "a.jfif", "JPEG")
    (class_folders / "cat" / "linked").symlink_to(tmp_path / "more")
    (tmp_path / "more" / "back").symlink_to(class_folders / "cat")  # which leads in a circle
    found = opened(class_folders)
    assert found.labels.tolist().count(0) == 3

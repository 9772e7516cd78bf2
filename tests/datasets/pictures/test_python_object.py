"""Data sets of the user's own: images as people have them, targets as people give them, errors that name the item."""

import numpy as np
import pytest
import torch
from foolbench.core import ConfigError, InputError, datasets
from foolbench.datasets import load_dataset
from foolbench.datasets.pictures.arrays import as_image
from foolbench.evaluation.opening.data import open_dataset
from PIL import Image
from torchvision.datasets import ImageFolder

CODE = """
import numpy as np
import torch
from foolbench.datasets import Digits
from torch.utils.data import Dataset, TensorDataset

class Mine(Dataset):
    def __init__(self, kind="uint8", count=6):
        self.kind, self.count = kind, count
    def __len__(self):
        return self.count
    def __getitem__(self, k):
        levels = torch.full((3, 8, 8), 20 * k, dtype=torch.uint8)
        return {"uint8": levels, "float": levels.float() / 255, "normalised": levels.float() - 50}[self.kind], k % 3

ids = [(torch.zeros(3, 4, 4), 2**40)]


class Endless:
    def __len__(self):
        return 2**80

    def __getitem__(self, index):
        return 1


class Broken(Mine):
    def __getitem__(self, k):
        if k == 4:
            raise KeyError("no such image")
        return super().__getitem__(k)

class Unlabelled(Mine):
    def __getitem__(self, k):
        return super().__getitem__(k)[0]


class Own(Digits):
    pass


def choosing(train: bool = True, count: int = 3):
    found = Own()
    found.chosen = train, count
    return found


ready = TensorDataset(torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.arange(5) % 2)
number = 7
"""


@pytest.fixture
def mine(tmp_path):
    file = tmp_path / "my_data.py"
    file.write_text(CODE)
    return lambda name, **parameters: datasets.bind(f"{file}:{name}", parameters)()


def test_a_torch_dataset_is_opened_with_its_own_parameters(mine, tmp_path, network):
    x, y = mine("Mine", count=9).load([2, 8])
    assert torch.equal(x[:, 0, 0, 0] * 255, torch.tensor([40.0, 160.0]))
    assert y.tolist() == [2, 2]
    assert torch.equal(mine("Mine", kind="float", count=9).load([2, 8])[0], x)
    opened = open_dataset(f"{tmp_path / 'my_data.py'}:Mine")
    assert (len(opened), opened.shape, opened.task.classes) == (6, (3, 8, 8), 3)
    assert opened.for_model(network(3, size=16)).load([1])[0].shape == (1, 3, 16, 16)


def test_an_object_that_is_there_is_taken_as_it_is(mine):
    found = mine("ready")
    assert (found.shape, found.labels.tolist()) == ((1, 4, 4), [0, 1, 0, 1, 0])
    assert found.load([1])[0].dtype == torch.float32


def test_targets_are_numbers_of_outputs_of_which_a_few_images_show_some(mine, network):
    found = mine("Mine", count=9)
    assert found.for_model(network(5, size=8)).labels.tolist() == found.labels.tolist()
    assert max(found.labels) == 2
    with pytest.raises(ConfigError, match="has the target 2, linear-2 has only 2 outputs"):
        found.for_model(network(2, size=8))


def test_images_of_two_sizes_are_one_kind_of_pixels(network):
    small, large = torch.full((1, 8, 8), 0.2), torch.full((1, 9, 9), 0.6)
    found = load_dataset([(small, 0), (large, 1)]).for_model(network(2, size=8, channels=1))
    assert torch.allclose(found.load([0, 1])[0].mean(dim=(1, 2, 3)), torch.tensor([0.2, 0.6]))


def test_images_of_two_sizes_are_resized_without_a_network_too():
    found = load_dataset([(torch.full((1, 8, 8), 0.2), 0), (torch.full((1, 4, 4), 0.6), 1)])
    assert torch.allclose(found.load([1])[0], torch.full((1, 1, 8, 8), 0.6))


def test_names_of_classes_say_which_outputs_targets_mean(tmp_path, network):
    for name in ("dog", "cat"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8), (len(name), 2, 3)).save(tmp_path / name / "1.png")
    found = load_dataset(ImageFolder(tmp_path))
    assert found.for_model(network(2, size=8)).labels.tolist() == [0, 1]
    assert found.for_model(network(2, size=8, class_names=("dog", "cat"))).labels.tolist() == [1, 0]
    with pytest.raises(ConfigError, match=r"2 classes \(cat, dog\) and linear-2 2 outputs \(emu, cat"):
        found.for_model(network(2, size=8, class_names=("emu", "cat")))
    assert found.for_model(network(3, size=8, class_names=("emu", "dog", "cat"))).labels.tolist() == [2, 1]
    with pytest.raises(ConfigError, match=r"2 classes \(cat, dog\) and linear-3 3 outputs.*without \.classes"):
        found.for_model(network(3, size=8))


def test_what_makes_a_data_set_gets_the_parameters_that_it_takes(mine):
    assert mine("choosing").chosen == (True, 3)
    assert mine("choosing", train=False, count=4).chosen == (False, 4)
    assert len(mine("Mine", count=12, train_share=0.5)) < 12


@pytest.mark.parametrize(
    ("name", "parameters", "told"),
    [
        ("Own", {"train_share": 0.5}, "train_share"),
        ("Own", {"train": "digits", "train_share": 0.5}, "train, train_share"),
        ("choosing", {"train": True, "train_share": 0.5}, "train_share"),
    ],
)
def test_options_that_a_data_set_of_its_own_kind_would_drop_are_refused(mine, name, parameters, told):
    with pytest.raises(ConfigError, match=f"has training images of its own: leave {told} out"):
        mine(name, **parameters)
    with pytest.raises(ConfigError, match="leave train_share out"):
        load_dataset(mine("Own"), train_share=0.5)
    with pytest.raises(ConfigError, match="takes no parameters, got count"):
        mine("ready", count=3)


def test_images_alone_have_no_labels(mine):
    found = mine("Unlabelled")
    assert found.labels is found.load([0])[1] is None


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"),
    [
        ("Mine", {"kind": "normalised"}, r"Item 0 of .*my_data.py:Mine: Expected images in \[0, 1\]"),
        ("Broken", {}, "Item 4 of .* raised KeyError: 'no such image'"),
        ("Mine", {"count": 0}, "length 0"),
        ("Mine", {"colour": 3}, "unexpected keyword argument 'colour'"),
        ("number", {}, "int"),
        ("ids", {}, "Item 0 of .* below 1,000,000 or None as target, got 1099511627776"),
        ("Endless", {}, r"len\(\) of .* raised OverflowError"),
        ("nothing", {}, "Unknown name"),
    ],
)
def test_what_is_wrong_is_said(mine, name, parameters, sentence):
    with pytest.raises(ConfigError, match=sentence):
        mine(name, **parameters)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_every_kind_are_the_same_image(picture, channels):
    pil = picture(0, 12, 9).convert("L" if channels == 1 else "RGB")
    hwc = np.asarray(pil).reshape(9, 12, channels)
    expected = torch.from_numpy(hwc.copy()).permute(2, 0, 1)
    for given in (pil, hwc, expected, hwc.transpose(2, 0, 1).copy()):
        assert torch.equal(as_image(given), expected)
    for given in (hwc / 255, (expected / 255).half(), expected.double() / 255):
        assert torch.allclose(as_image(given) * 255, expected.float(), atol=0.1)


def test_arrays_of_another_byte_order_are_images():
    levels = np.arange(48, dtype=np.float32).reshape(3, 4, 4) / 48
    assert torch.equal(as_image(levels.astype(">f4")), torch.from_numpy(levels))


@pytest.mark.parametrize(
    "given",
    [
        "text",
        np.full((3, 4, 4), None),
        np.full((3, 4, 4), "x"),
        np.zeros((4, 4, 7)),
        np.zeros((4, 4), np.int32),
        torch.full((3, 4, 4), 2.0),
    ],
)
def test_what_is_no_image_is_refused(given):
    with pytest.raises(InputError, match="Expected"):
        as_image(given)


class Opened:
    """What torchvision's ImageFolder gives of files: as they are stored, in RGB."""

    def __init__(self, folder):
        self.files = sorted(folder.iterdir())

    def __len__(self):
        return len(self.files)

    def __getitem__(self, place):
        return Image.open(self.files[place]).convert("RGB"), 0


@pytest.mark.parametrize("kind", ["turned", "transparent"])
def test_a_picture_is_known_whether_a_program_turns_it_or_not(tmp_path, picture, kind):
    for k in range(3):
        if kind == "turned":
            exif = Image.Exif()
            exif[0x0112] = 6
            picture(k).save(tmp_path / f"{k}.jpg", exif=exif)
        else:
            alpha = Image.fromarray(np.random.default_rng(k).integers(0, 256, (30, 40), np.uint8))
            given = picture(k)
            given.putalpha(alpha)
            given.save(tmp_path / f"{k}.png")
    data = load_dataset(Opened(tmp_path), train=f"image-folder:{tmp_path}")
    if kind == "turned":
        assert data.load([0])[0].shape == (1, 3, 40, 30)  # upright
    with pytest.raises(ConfigError, match="are among the evaluation images"):
        data.training(3)

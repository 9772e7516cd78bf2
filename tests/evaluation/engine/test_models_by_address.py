"""Networks by address in recipes: rows tell them apart, flag random weights, and say what does not fit."""

import json

import pytest
import torch
from foolbench.core import ConfigError
from foolbench.core.python_objects import load_file
from foolbench.evaluation.opening.recipes import load_recipe
from foolbench.evaluation.recipe.recipe import Recipe

NET = """
from torch import nn


def net(width: int = 4, classes: int = 10):
    return nn.Sequential(
        nn.Conv2d(1, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)
    )
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(NET)
    return path


@pytest.fixture
def text(quick_text):
    """One image attack, and one that needs feature layers."""
    return quick_text.replace('[[defenses]]\nname = "bit-depth"\n', "")


def of(*entries):
    return f"models=[{', '.join(entries)}]"


def test_addresses_with_parameters_side_by_side(execute, file, text):
    entries = [f'{{name="{file}:net", width={width}, weights="none"}}' for width in (3, 4)]
    table = execute("out", of(f'"{file}:net"', *entries), text=text)
    labels = [f"{file}:net", *(f"{file}:net (width={width}, weights=none)" for width in (3, 4))]
    assert list(table.model.unique()) == labels
    assert (table.status == "ok").all()
    assert list(table.flagged.fillna("").str.contains("random-weights")) == list(table.model != labels[0])
    shas = table.groupby("model").model_sha.first()
    assert shas[labels[0]] == shas[labels[2]] != shas[labels[1]], "width = 4 is the default"


def test_a_run_goes_on_where_it_was_broken_off(execute, assert_same, file, text):
    entry = of(f'{{name="{file}:net", weights="none"}}')
    first = execute("out", entry, text=text)
    again = execute("out", entry, text=text)
    assert_same(first, again)
    assert (first.seconds == again.seconds).all(), "nothing was done again"


def test_weights_of_a_file_belong_to_the_identity(execute, file, text, tmp_path):
    shas = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        torch.save(load_file(file).net().state_dict(), tmp_path / "w.pt")
        table = execute("out", of(f'{{name="{file}:net", weights="{tmp_path / "w.pt"}"}}'), text=text)
        assert not table.flagged.fillna("").str.contains("random-weights").any()
        shas.append(table.model_sha[0])
    assert shas[0] != shas[1]


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("classes=7", "the network knows 7 classes, the images have labels of 10"),
        ("size=[9, 8]", r"takes images of 1 x 9 x 8, digits has 1 x 8 x 8; .* give it size = \[8, 8\]"),
        ('weights="nowhere.pt"', "Expected weights at nowhere.pt, found no file"),
    ],
)
def test_what_does_not_fit_is_said_in_the_rows_of_its_network(execute, file, text, entry, complaint):
    table = execute("out", of(f'{{name="{file}:net", {entry}}}', '"digits:convnet"'), text=text)
    bad = table.model != "digits:convnet"
    assert (table[bad].status == "error").all()
    assert table[bad].error.str.contains(complaint).all()
    assert (table[~bad].status == "ok").all()


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        (['"{file}:nett"'], "did you mean 'net'"),
        (['{{name="{file}:net", widht=3}}'], "did you mean 'width'"),
        (['{{name="{file}:net", width="x"}}'], "width"),
        (["{{width=3}}"], "lacks the key 'models.0.name'"),
        (["3"], "models.0"),
        (['"timm:resnet81"'], "Unknown network of timm"),
        (['{{name="torchvision:resnet18", classes="x"}}'], "classes"),
        (['{{name="{file}:net", width=3}}'] * 2, r"lists .*net \(width=3\) twice"),
        (['"digits:convnet"', '{{name="digits:convnet"}}'], "lists digits:convnet twice"),
        (['{{name="digits:convnet", width=3}}'], "Unknown parameter of model digits:convnet: 'width'"),
    ],
)
def test_a_recipe_is_refused_before_any_work(recipe_file, file, entries, complaint):
    with pytest.raises(ConfigError, match=complaint):
        load_recipe(str(recipe_file), [of(*(entry.format(file=file) for entry in entries))])


def test_a_recipe_is_written_as_it_was_read(recipe_file, file):
    plain = load_recipe(str(recipe_file))
    assert plain.model_dump()["models"] == ["digits:convnet"], "what it ran before it runs now"
    with_table = load_recipe(str(recipe_file), [of(f'{{name="{file}:net", width=3}}', '"digits:convnet"')])
    written = json.loads(json.dumps(with_table.model_dump()))
    assert Recipe.model_validate(written) == with_table
    assert written["models"] == [{"name": f"{file}:net", "width": 3}, "digits:convnet"]


def test_describe_shows_what_a_network_takes_and_its_layers(foolbench, file):
    code, out, _ = foolbench("describe", f"{file}:net", "--set", "width=3", "--set", "size=[8, 8]")
    assert code == 0
    for line in ("Task: Recognition(classes=10)", "Images: 1 x 8 x 8", "Feature layers: 1\n"):
        assert line in out
    assert "random" in foolbench("describe", f"{file}:net", "--set", 'weights="none"')[1]


def test_list_shows_the_families(foolbench):
    _, out, _ = foolbench("list", "models")
    assert all(f"{name}:" in out for name in ("torchvision", "timm", "hf", "robustbench", "FILE.py", "package.module"))
    assert "'foolbench[imagenet]'" in out


PLUGIN = """
import torch
from foolbench.core import register_dataset
from foolbench.tasks import Recognition


@register_dataset("noise-224")
class Noise:
    \"\"\"Uniform noise of the size of ImageNet's networks.\"\"\"

    name, task, shape, fingerprint = "noise-224", Recognition(classes=1000), (3, 224, 224), "noise-224 v1"
    labels = None

    def __len__(self):
        return 2

    def load(self, samples):
        images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
        return images[list(samples)], torch.tensor([3, 5])[list(samples)]

    def training(self, count, advance=lambda images: None):
        return torch.zeros(1, 3, 224, 224, dtype=torch.uint8), torch.tensor([0])
"""


@pytest.mark.slow
@pytest.mark.minutes
@pytest.mark.parametrize(
    "address",
    [
        *(f"torchvision:{name}" for name in ("resnet18", "vgg16", "googlenet", "vit_b_16")),
        *(f"timm:{name}" for name in ("resnet18", "vit_tiny_patch16_224", "convnext_tiny", "efficientnet_lite0")),
        "imagenet:efficientnet-lite0",
    ],
)
def test_networks_of_imagenets_size_run_from_the_command_line(foolbench, tmp_path, quick_text, address):
    (tmp_path / "noise.py").write_text(PLUGIN)
    text = quick_text.replace('"digits"', '"noise-224"').replace("samples = 24", "samples = 2")
    text = text.replace("max_iterations = 20", "max_iterations = 2").replace("steps = 5", "steps = 2")
    (tmp_path / "recipe.toml").write_text(text)
    weights = "" if address.startswith("imagenet") else ', weights="none"'
    arguments = ["--set", of(f'{{name="{address}"{weights}}}'), "--plugin", tmp_path / "noise.py"]
    code, _, err = foolbench("run", tmp_path / "recipe.toml", *arguments, "--out", tmp_path / "out")
    assert code == 0, err

"""Whatever gives a network can be named; whatever does not is said in a sentence."""

import pytest
import torch
from foolbench.core import ConfigError, Model, UnknownNameError, models
from foolbench.core.python_objects import load_file
from foolbench.models import load_model
from foolbench.tasks import Depth, Recognition, Segmentation


@pytest.mark.parametrize(
    ("name", "options", "width"),
    [
        ("Net", {}, 4),
        ("Net", {"width": 8}, 8),
        ("anything", {"width": 5}, 5),
        ("several", {}, 4),
        ("instance", {}, 2),
    ],
)
def test_classes_functions_and_networks(file, name, options, width):
    model = load_model(f"{file}:{name}", **options)
    assert model.task == Recognition(classes=3)
    assert model.net.conv.out_channels == width
    assert model.feature_names == ("relu",)
    assert model.name == f"{file}:{name}"
    assert model(torch.rand(2, 3, 9, 9)).shape == (2, 3)
    assert not model.random_weights


def test_what_is_made_is_the_same_each_time_and_leaves_the_global_generator_alone(file):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = load_model(f"{file}:Net")
    assert torch.equal(torch.get_rng_state(), before)
    assert load_model(f"{file}:Net").sha == first.sha


def test_options_and_own_parameters_go_where_they_belong(file):
    given = {"classes": 7, "mean": [0.5, 0.4, 0.3], "std": 0.25, "features": ["conv"], "size": [12, 10]}
    model = load_model(f"{file}:Net", **given, expect_clean=50.0)
    assert model.net.out.out_features == model.task.classes == 7
    assert model.mean_image.flatten().tolist() == pytest.approx([0.5, 0.4, 0.3])
    assert model.feature_names == ("conv",)
    assert model.shape == (3, 12, 10)
    assert (model.preprocess.size, model.preprocess.resize) == ((12, 10), 10)
    assert model.expect_clean == 50


def test_channels_are_tried_where_no_convolution_says_them(file):
    assert load_model(f"{file}:grey", size=[8, 8]).shape == (1, 8, 8)
    assert load_model(f"{file}:fixed", size=[20, 20]).shape == (3, 20, 20)
    with pytest.raises(ConfigError, match=r"mean = \[a value for each channel\]"):
        load_model(f"{file}:grey", size=[9, 9])


@pytest.mark.parametrize("channels", [3, 1, 5])
def test_the_first_convolution_need_not_be_the_first_that_is_used(file, channels):
    assert load_model(f"{file}:Backwards", channels=channels).shape[0] == channels


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_torchscript_has_no_feature_layers(file):
    model = load_model(f"{file}:scripted")
    assert (model.feature_names, model.task) == ((), Recognition(classes=3))


def test_a_model_is_taken_as_it_is(file):
    model = load_model(f"{file}:model")
    assert model is load_file(file).model
    with pytest.raises(ConfigError, match="gives a Model, which has its own size; set them there"):
        load_model(f"{file}:model", size=[8, 8])


def test_the_shape_of_an_answer_says_the_task(file):
    assert load_model(f"{file}:Net").task == Recognition(classes=3)
    assert load_model(f"{file}:segmentation").task == Segmentation(classes=5)
    assert load_model(f"{file}:depth").task == Depth()


def test_package_and_module():
    model = load_model("torchvision.models:squeezenet1_1", num_classes=6, weights="none")
    assert model.task.classes == 6
    assert model.random_weights


def test_a_function_that_loads_weights_is_told_which(file):
    assert load_model(f"{file}:loads").net.given == "imagenet"
    assert load_model(f"{file}:loads", weights="V2").net.given == "V2"
    model = load_model(f"{file}:loads", weights="none")
    assert (model.net.given, model.random_weights) == (None, True)


@pytest.mark.parametrize("name", ["Net", "anything", "instance"])
def test_weights_that_nobody_loads_are_refused(file, name):
    sentence = "Expected weights of .* as a file or \"none\", got 'checkpoints/best.weights', which is no file"
    with pytest.raises(ConfigError, match=sentence):
        load_model(f"{file}:{name}", weights="checkpoints/best.weights")
    with pytest.raises(ConfigError, match="got 'V2', which is no file"):
        load_model(load_file(file).Net(), weights="V2")


def test_the_users_own_network_stays_as_it_is(file):
    own = load_file(file).instance.train()
    model = load_model(f"{file}:instance")
    assert own.training
    assert own.conv.weight.requires_grad
    assert model.net is not own


@pytest.mark.parametrize(
    ("name", "options", "error", "complaint"),
    [
        ("Nett", {}, UnknownNameError, "did you mean 'Net'"),
        ("Net", {"widht": 3}, UnknownNameError, "did you mean 'width'"),
        ("Net", {"width": "x"}, ConfigError, r"Net\.width: .*got 'x'"),
        ("Net", {"features": ["nothing"]}, UnknownNameError, "Unknown layer of .*'nothing'"),
        ("instance", {"width": 3}, UnknownNameError, "parameter of model"),
        ("instance", {"classes": 4}, ConfigError, "Expected 4 classes from .*, got 3"),
        ("coarse", {}, ConfigError, r"Expected class scores \(N, classes\), or maps .* \(2, 5, 56, 56\)"),
        ("segmentation", {"classes": 6}, ConfigError, "Expected 6 classes from .*, got 5"),
        ("fixed", {}, ConfigError, r"cannot be run on 224 x 224 or .*; set size = \[height, width\]"),
        ("broken", {}, ConfigError, "broken raised RuntimeError: no such file"),
        ("text", {}, ConfigError, "to give a torch.nn.Module or a Model, got str"),
        ("number", {}, ConfigError, "to be a network or to make one, got int"),
    ],
)
def test_a_sentence_for_the_rest(file, name, options, error, complaint):
    with pytest.raises(error, match=complaint) as caught:
        load_model(f"{file}:{name}", **options)
    assert "\n" not in str(caught.value)


def test_a_size_makes_a_network_of_one_size_work(file):
    assert load_model(f"{file}:fixed", size=[20, 20]).task.classes == 5


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("nowhere.py:Net", "Expected a Python file, found none at nowhere.py"),
        ("json.nothing:Net", "module json.nothing cannot be imported"),
        ("nowhere.module:Net", "module nowhere.module cannot be imported: ModuleNotFoundError"),
        ("scenes:vgg61", "did you mean 'scenes:vgg19'"),
        ("json", "Unknown model 'json'"),
        ("json:", "Unknown model 'json:'"),
        ("..:x", "Unknown model"),
    ],
)
def test_addresses_that_lead_nowhere(address, complaint):
    with pytest.raises(ConfigError, match=complaint):
        load_model(address)


def test_a_registered_model_takes_parameters(monkeypatch, file):
    monkeypatch.setattr(models, "_classes", dict(models._classes))

    @models.register("mine")
    def mine(width: int = 2) -> Model:
        return Model(load_file(file).Net(width=width), task=Recognition(classes=3))

    assert load_model("mine", width=6).net.conv.out_channels == 6
    assert load_model("mine").net.conv.out_channels == 2
    with pytest.raises(ConfigError, match=r"model mine\.width"):
        models.bind("mine", {"width": "many"})
    models.register("not")(lambda: "a model")
    with pytest.raises(ConfigError, match=r"Expected model not to be a .*Model, got str"):
        load_model("not")


NETWORKS = """
from torch import nn

def sized(size=(64, 64)):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * size[0] * size[1], 4))

def one(size=(64, 64)):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * size[0] * size[1], 1))
"""


def test_the_size_that_a_function_makes_a_network_for_is_that_of_its_images(tmp_path):
    (tmp_path / "nets.py").write_text(NETWORKS)
    made = load_model(f"{tmp_path}/nets.py:sized", size=[20, 30])
    assert (made.shape, made.preprocess.size) == ((3, 20, 30), (20, 30))
    found = load_model(f"{tmp_path}/nets.py:sized")  # on what it was tried, it could be run at this size alone
    assert (found.shape, found.preprocess.size) == ((3, 64, 64), (64, 64))


def test_a_network_of_one_score_is_named(tmp_path):
    (tmp_path / "nets.py").write_text(NETWORKS)
    with pytest.raises(ConfigError, match=r"at least 2 classes from .*nets\.py:one, got 1"):
        load_model(f"{tmp_path}/nets.py:one")


def test_a_file_that_was_edited_since_it_was_imported_is_refused(tmp_path):
    (file := tmp_path / "nets.py").write_text(NETWORKS)
    load_model(f"{file}:sized")
    file.write_text(NETWORKS.replace(", 4)", ", 5)"))
    with pytest.raises(ConfigError, match=r"nets\.py has been edited since this process .*; start Python anew"):
        load_model(f"{file}:sized")

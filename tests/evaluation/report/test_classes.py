"""Class by class: the scores are those that another library finds for each class of each image."""

import foolbench
import numpy as np
import pytest
import torch
from foolbench.core import ConfigError, Model
from foolbench.tasks import Segmentation
from sklearn.metrics import jaccard_score
from torch import nn

COUNT, SIDE = 5, 12


@pytest.fixture
def net():
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 3, 1)
    with torch.no_grad():
        conv.weight.mul_(5)
    return conv


@pytest.fixture
def items():
    generator = np.random.default_rng(3)
    pictures = torch.from_numpy(generator.random((COUNT, 3, SIDE, SIDE), dtype=np.float32))
    maps = torch.from_numpy(generator.integers(0, 3, (COUNT, SIDE, SIDE)))
    maps[:, 0] = 255
    maps[1][maps[1] == 2] = 0  # a class that one image lacks
    return torch.utils.data.TensorDataset(pictures, maps)


@pytest.fixture
def run(net, items, tmp_path):
    model = Model(net, task=Segmentation(classes=3), shape=(3, SIDE, SIDE), name="pixelwise")
    attacks = [{"name": "fgsm", "group": "both"}, {"name": "segpgd", "steps": 2, "group": "both"}]
    table = foolbench.evaluate(
        model, items, attacks=attacks, eps="20/255", samples=COUNT, out=tmp_path / "run", silent=True
    )
    return tmp_path / "run", table


def test_each_class_of_each_image_has_its_iou(run, net, items):
    folder, table = run
    found = foolbench.class_scores(folder, row=1)
    assert (table.attack[0], table.metric[0]) == ("fgsm", "miou")
    assert len(found) == 3 * COUNT - 1
    for line in found.itertuples():
        image, truth = items[line.sample]
        counts = truth != 255
        with torch.no_grad():
            said = net(image[None])[0].argmax(0)[counts] == line[found.columns.get_loc("class") + 1]
        true = truth[counts] == line[found.columns.get_loc("class") + 1]
        assert line.pixels == int(true.sum()) > 0
        assert line.clean == pytest.approx(jaccard_score(true, said))
    assert found.attacked.between(0, 1).all()


def test_the_sums_of_a_class_are_those_of_the_whole_set(run):
    folder, table = run
    found = foolbench.class_scores(folder)
    assert set(found.metric) == {"miou"}
    assert set(found.row) == set(table.index[table.metric == "miou"] + 1)
    assert len(found.groupby("row").pixels.sum().unique()) == 1


def test_a_worst_case_takes_the_images_of_its_members(run):
    folder, table = run
    by_attack = {row.attack: number + 1 for number, row in table[table.metric == "miou"].iterrows()}
    both, *members = (
        foolbench.class_scores(folder, by_attack[name]).set_index(["sample", "class"]).attacked
        for name in ("both", "fgsm", "segpgd")
    )
    for _, image in both.groupby("sample"):
        assert any(np.allclose(image, member.loc[image.index]) for member in members)


def test_rows_without_classes_are_told(run, execute, tmp_path):
    folder, table = run
    other = int(table.index[table.metric == "miou-image"][0]) + 1
    with pytest.raises(ConfigError, match="metric counts pixels of classes"):
        foolbench.class_scores(folder, other)
    execute("recognised", "samples=8")
    with pytest.raises(ConfigError, match="metric counts pixels of classes"):
        foolbench.class_scores(tmp_path / "recognised")

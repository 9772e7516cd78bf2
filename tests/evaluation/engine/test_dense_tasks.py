"""Segmentation and depth of the scenes through a whole run: rows, worst cases, images, comparisons."""

from dataclasses import dataclass

import foolbench
import pytest
import torch
from foolbench.core import Attack, ConfigError, Model, register_attack
from foolbench.datasets import SceneDepths, SceneMaps
from foolbench.evaluation.board.board import make_board
from foolbench.evaluation.board.page import of_main_metrics
from foolbench.evaluation.board.pictures import Album
from foolbench.evaluation.board.runs import read_run
from foolbench.evaluation.board.shots import Shots
from foolbench.evaluation.engine.networks import training_data
from foolbench.evaluation.engine.scoring.example import read_example
from foolbench.evaluation.grid import sampling
from foolbench.evaluation.python import evaluate as evaluate_module
from foolbench.tasks.segmentation import VOID
from torch import nn
from torch.utils.data import TensorDataset

ATTACKS = [
    {"name": "random-sign", "eps": "8/255"},
    {"name": "segpgd", "eps": "8/255", "steps": 2, "group": "together"},
    {"name": "cospgd", "eps": "8/255", "steps": 2, "group": "together"},
]


class Darker(nn.Sequential):
    """Depths in 1..9."""

    def forward(self, x):
        return 1 + 8 * (10 * super().forward(x)).sigmoid()


def network(data):
    torch.manual_seed(0)
    kind, outputs = (nn.Sequential, 7) if isinstance(data, SceneMaps) else (Darker, 1)
    net = kind(
        nn.Conv2d(3, 6, 5, stride=4, padding=2), nn.Tanh(), nn.Conv2d(6, outputs, 1), nn.Upsample(scale_factor=4)
    )
    return Model(net, task=data.task, shape=data.shape, mean=0.42, std=0.15, name="small")


@pytest.fixture(scope="module", autouse=True)
def without_pages():
    """They have tests of their own. Nor are there more substitutes than elsewhere."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(evaluate_module, "publish", lambda folder, table: None)
        patched.setattr(training_data, "SUBSTITUTES", 32)
        yield


@pytest.fixture(scope="module", params=[SceneMaps, SceneDepths], ids=lambda data: data.name)
def run(request, tmp_path_factory):
    data, folder = request.param(), tmp_path_factory.mktemp("dense")
    given = {"attacks": ATTACKS, "defenses": "bit-depth", "samples": 6, "silent": True, "out": folder}
    return foolbench.evaluate(network(data), data.name, **given), folder, data, given


def test_all_metrics_have_all_numbers(run):
    table, _, data, _ = run
    assert set(table.status) == {"ok"}, table.error.tolist()
    assert set(table.metric) == set(data.task.metrics)
    assert len(table) == len(data.task.metrics) * 2 * 4  # systems, attacks with their group
    assert ((table.gfr_low <= table.gfr) & (table.gfr <= table.gfr_high)).all()
    assert (table.floor == 0).all()
    errors = table.metric.map({name: metric.error for name, metric in data.task.metrics.items()})
    assert (table.robust <= table.clean)[~errors].all()
    assert (table.robust >= table.clean)[errors].all()


def test_a_group_is_no_better_than_its_members(run):
    table, _, data, _ = run
    for (name, _), rows in table.groupby(["metric", "defense"]):
        rates = rows.set_index("attack")
        members = rates.loc[["segpgd", "cospgd"]]
        assert rates.loc["together", "gfr"] >= members.gfr.max()
        if data.task.metrics[name].error:
            assert rates.loc["together", "robust"] >= members.robust.max()
        else:
            assert rates.loc["together", "robust"] <= members.robust.min()


def test_attacks_do_more_than_noise(run):
    table, _, data, _ = run
    main = table[(table.metric == next(iter(data.task.metrics))) & (table.defense == "none")].set_index("attack")
    assert main.loc["together", "gfr"] > 2 * main.loc["random-sign", "gfr"]


def test_a_row_shows_its_maps_with_a_legend(run):
    _, folder, data, _ = run
    board = make_board([read_run(folder)])
    assert len(board.parts) == len(data.task.metrics)
    assert [part.rows[0]["metric"] for part in of_main_metrics(board.parts)] == [next(iter(data.task.metrics))]
    shots = Shots(board, Album())
    for row in board.rows[: len(ATTACKS) * 2]:
        panel = shots.of(row)
        defended = row["defense"] != "none"
        captions = [shot.caption for shot in panel.maps]
        assert captions[0] == "in truth"
        assert captions[1:] == (
            ["bare network, clean", "bare network, attacked", "defended, clean", "defended, attacked"]
            if defended
            else ["answer, clean", "answer, attacked"]
        )
        told = [shot.said.endswith("% as before") for shot in panel.maps]
        assert told == [name.endswith("attacked") for name in captions]
        assert len(panel.legend) == (5 if data.name.endswith("depth") else len({word for _, word in panel.legend}))
        example = read_example(folder, row["cell"].split()[0])
        assert example.pictures["clean map"].shape == (128, 128, 3)
        (_, y), x = data.load([example.sample]), network(data).predict(data.load([example.sample])[0])
        expected = data.task.draw(torch.cat([x, y]), str).pictures
        if not defended:
            assert (torch.from_numpy(example.pictures["clean map"]) == expected[0]).float().mean() > 0.99
            assert (torch.from_numpy(example.pictures["truth map"]) == expected[1]).float().mean() > 0.99


@pytest.mark.slow  # tables of 21 metrics; the fourth task does the same in seconds
def test_it_is_read_back_compared_and_not_run_again(run):
    table, folder, data, given = run
    again = foolbench.evaluate(network(data), data.name, **given)
    assert again.seconds.tolist() == table.seconds.tolist()
    scores = foolbench.image_scores(folder, 1)
    assert len(scores) == 6
    compared = foolbench.compare(folder, by="defense")
    assert set(compared.status) == {"ok"}
    assert set(compared.metric) == set(data.task.metrics)


def test_what_needs_classes_is_refused_and_networks_of_another_task_too(tmp_path):
    model = network(SceneMaps())
    with pytest.raises(ConfigError, match="one class to another"):
        foolbench.evaluate(model, "scenes-segmentation", attacks="deepfool", eps=0.1, samples=2, silent=True)
    with pytest.raises(ConfigError, match="does segmentation, the images are for depth"):
        foolbench.evaluate(model, "scenes-depth", attacks="fgsm", eps=0.1, samples=2, silent=True)


class Quarter(nn.Sequential):
    """Forgets to bring its maps to the size of the image."""

    def forward(self, x):
        return super().forward(x)[:, :, ::4, ::4]


def test_maps_of_another_size_than_the_image_are_one_sentence():
    data = SceneMaps()
    model = Model(Quarter(nn.Conv2d(3, 7, 1)), task=data.task, shape=data.shape, mean=0.42, std=0.15, name="small")
    table = foolbench.evaluate(model, data.name, attacks="fgsm", eps=0.1, samples=2, silent=True)
    assert table.error.str.contains("answers with maps of 32 x 32 to images of 128 x 128").all()


def test_a_map_that_says_nothing_is_named_before_anything_is_attacked(monkeypatch):
    images, maps = SceneMaps().load(range(4))
    maps[2] = VOID
    told, given = TensorDataset(images, maps), {"attacks": "fgsm", "eps": 0.1, "sampling": "first", "silent": True}
    with pytest.raises(ConfigError, match=r"image 2: .*void everywhere"):
        foolbench.evaluate(network(SceneMaps()), told, **given)
    monkeypatch.setattr(sampling, "LOOKED_AT", 1)  # image 3, as in a large data set others than the void one
    table = foolbench.evaluate(network(SceneMaps()), told, **given)
    assert table.error.str.contains(r"image 2: .*void everywhere").all()


def test_maps_are_carried_over_between_networks_of_other_sizes(tmp_path):
    """Each network is scored against maps of its own size."""
    data = SceneMaps()
    (tmp_path / "nets.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "from foolbench.core import Model\n"
        "from foolbench.tasks import Segmentation\n"
        "def net(size):\n"
        "    torch.manual_seed(size)\n"
        "    return Model(nn.Conv2d(3, 7, 3, padding=1), task=Segmentation(classes=7), shape=(3, size, size), mean=0.4,"
        " std=0.2, name=str(size))\n"
        "def small(): return net(64)\ndef large(): return net(128)\n"
    )
    small, large = (f"{tmp_path}/nets.py:{name}" for name in ("small", "large"))
    given = {"attacks": ["fgsm", {"name": "universal-pgd", "max_iterations": 2}], "eps": 0.1, "samples": 3}
    table = foolbench.evaluate(large, data.name, source_models=[small, large], **given, silent=True)
    assert set(table.status) == {"ok"}
    assert {name.rpartition(":")[2] for name in table.source_model} == {"small", "large"}


def test_void_pixels_are_none_that_an_attack_has_to_change():
    """Their truth is unknown, so nothing that is said of them counts."""
    targets = []

    @register_attack("toy-told")
    @dataclass(frozen=True, kw_only=True)
    class Told(Attack):
        access = "none"

        def perturb(self, model, x, y, *, rng):
            targets.append(y)
            return x

    data = SceneMaps()
    images, maps = data.load(range(3))
    maps[:, :, :40] = VOID
    half = TensorDataset(images, maps)
    table = foolbench.evaluate(network(data), half, attacks=[Told(eps=0.1)], samples=3, sampling="first", silent=True)
    assert set(table.status) == {"ok"}
    told = torch.cat(targets)
    assert (told[:, :, :40] == VOID).all()
    assert (told[:, :, 40:] != VOID).all()

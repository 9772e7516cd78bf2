"""A data set is not believed: each broken promise is one sentence before anything runs."""

import pytest
import torch
from foolbench.core import ConfigError, register_dataset
from foolbench.evaluation.opening.data import open_dataset
from foolbench.tasks import Recognition

LABELS = torch.arange(90) % 3


class Good:
    name = "good"
    task = Recognition(classes=3)
    shape = (1, 4, 4)
    fingerprint = "good"
    labels = LABELS

    def __len__(self):
        return len(LABELS)

    def load(self, samples):
        chosen = list(samples)
        return (torch.tensor(chosen) / 100).reshape(-1, 1, 1, 1).expand(-1, 1, 4, 4).contiguous(), LABELS[chosen]

    def training(self, count, advance=None):
        return torch.zeros(count, 1, 4, 4, dtype=torch.uint8), torch.zeros(count, dtype=torch.int64)


def images_by(change):
    return lambda self, samples: (change(Good.load(self, samples)[0]), Good.load(self, samples)[1])


def targets_by(change):
    return lambda self, samples: (Good.load(self, samples)[0], change(Good.load(self, samples)[1]))


BROKEN = {
    "has no labels": {"labels": property(lambda self: (_ for _ in ()).throw(AttributeError("labels")))},
    "Its fingerprint is None": {"fingerprint": None},
    "give a hash of all": {"fingerprint": ""},
    "(channels, height, width)": {"shape": (4, 4)},
    "no evaluation images": {"__len__": lambda self: 0},
    "should return >= 0": {"__len__": lambda self: -1},
    "int64 tensor (1000000000,)": {"__len__": lambda self: 10**9},
    "0..2": {"load": targets_by(lambda y: y + 1)},
    "int64 labels": {"load": targets_by(lambda y: y.float())},
    "int64 tensor (90,)": {"labels": LABELS.tolist()},
    "than its labels say": {"labels": LABELS.flip(0)},
    "float32": {"load": images_by(lambda x: (x * 255).byte())},
    "values in [2.55, 226.95]": {"load": images_by(lambda x: x * 255)},
    "(N, 1, 4, 4)": {"load": images_by(lambda x: x.repeat(1, 3, 1, 1))},
    "gives 63 images; give 64": {"load": images_by(lambda x: x[:-1])},
    "NaN": {"load": images_by(lambda x: x / 0 * 0)},
    "random crops": {"load": images_by(lambda x: x * torch.rand(1))},
    "load gives Tensor": {"load": lambda self, samples: torch.zeros(len(samples), 1, 4, 4)},
    "No such file": {"load": lambda self, samples: open("/nowhere")},  # noqa: PTH123, SIM115
}


def test_a_data_set_that_keeps_them_is_opened(own_registries):
    register_dataset("good")(Good)
    assert isinstance(open_dataset("good"), Good)


@pytest.mark.parametrize("sentence", BROKEN)
def test_a_broken_promise_is_a_sentence(own_registries, sentence):
    register_dataset("bad")(type("Bad", (Good,), BROKEN[sentence]))
    with pytest.raises(ConfigError) as raised:
        open_dataset("bad")
    message = str(raised.value)
    assert sentence in message
    assert "bad" in message
    assert "\n" not in message


def test_what_cannot_be_made_is_one_sentence():
    @register_dataset("toy-torn")
    def torn():
        raise TypeError("no\nluck")

    with pytest.raises(ConfigError, match=r"^Data set toy-torn raised TypeError: no luck\.$"):
        open_dataset("toy-torn")

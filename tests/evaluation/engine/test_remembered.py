"""What a system has said of clean images is what it would say, and takes no more room than there is."""

import pytest
import torch
from foolbench.evaluation.engine.memory.remembered import Remembered, Room

CPU = torch.device("cpu")
ANSWERS = {
    "labels": torch.arange(300),
    "maps": torch.arange(4 * 8 * 8).reshape(4, 8, 8),
    "many classes": torch.tensor([0, 40_000, 2**40]),
    "negative": torch.tensor([-1, 127, 128]),
    "depths": torch.rand(4, 8, 8),
    "half": torch.rand(4).half(),
    "booleans": torch.rand(4) < 0.5,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_it_is_what_was_said_to_the_last_bit(name):
    said, asked = Remembered(Room()), []

    def predict():
        asked.append(name)
        return [ANSWERS[name], ANSWERS[name].flip(0)]

    for _ in range(2):
        first, second = said.predictions("clean", range(4), CPU, predict)
        assert first.dtype == ANSWERS[name].dtype
        assert torch.equal(first, ANSWERS[name])
        assert torch.equal(second, ANSWERS[name].flip(0))
    assert asked == [name]


def test_purposes_and_samples_are_told_apart():
    said = Remembered(Room())
    for number, (purpose, samples) in enumerate([("clean", (1, 2)), ("floor", (1, 2)), ("clean", (2, 1))]):
        for _ in range(2):
            (found,) = said.predictions(purpose, samples, CPU, lambda number=number: [torch.tensor([number])])
            assert found.item() == number


def test_maps_of_a_few_classes_take_a_byte_a_pixel_until_the_room_is_full():
    room, asked = Room(left=2 * 16 * 16), []
    systems = Remembered(room), Remembered(room)

    def predict():
        asked.append(None)
        return [torch.full((1, 16, 16), 20)]

    for said in (*systems, systems[0]):
        for sample in (1, 2):
            (found,) = said.predictions("clean", (sample,), CPU, predict)
            assert (found == 20).all()
    assert room.left == 0
    assert len(asked) == 4  # the second system has found no room, and is asked again and again

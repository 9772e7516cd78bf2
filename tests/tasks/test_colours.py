"""Maps as pictures: the colours of Pascal VOC, a ramp that only gets brighter, and scales that say what they show."""

import pytest
import torch
from foolbench.tasks import Depth, Recognition, Segmentation
from foolbench.tasks.colours import as_hex, class_colours, ramp
from foolbench.tasks.segmentation import VOID

NAMES = ("background", "person", "dog")


def test_classes_have_the_colours_of_pascal_voc():
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 8: (64, 0, 0), 15: (192, 128, 128), 20: (0, 64, 128)}
    colours = class_colours(255)
    assert {label: tuple(colours[label].tolist()) for label in known} == known
    assert len(colours.unique(dim=0)) == 255
    assert as_hex(colours[15]) == "#c08080"


def test_the_ramp_gets_brighter_and_ends():
    brightness = ramp(torch.linspace(0, 1, 101)).double() @ torch.tensor([0.2126, 0.7152, 0.0722]).double()
    assert (brightness.diff() > 0).all()
    assert torch.equal(ramp(torch.tensor([-3.0, 7.0])), ramp(torch.tensor([0.0, 1.0])))


def test_maps_of_classes_have_a_legend_of_what_is_there():
    maps = torch.tensor([[[0, 2], [2, VOID]], [[0, 0], [0, 0]]])
    drawing = Segmentation(classes=3).draw(maps, NAMES.__getitem__)
    assert drawing.legend == [("#000000", "background"), ("#008000", "dog"), ("#c8c8c8", "void")]
    colours = {colour: [int(colour[place : place + 2], 16) for place in (1, 3, 5)] for colour, _ in drawing.legend}
    assert drawing.pictures[0, 0, 1].tolist() == colours["#008000"]
    assert drawing.pictures[0, 1, 1].tolist() == colours["#c8c8c8"]


def test_depths_have_the_scale_of_the_first_map():
    maps = torch.tensor([[[1.0, 2.0], [4.0, 0.0]], [[0.6, 1.0], [4.0, 9.0]]])
    drawing = Depth(min_depth=0.5, max_depth=10.0).draw(maps, str)
    assert [word for _, word in drawing.legend] == ["1", "1.41", "2", "2.83", "4"]
    first, second = drawing.pictures
    assert as_hex(first[0, 0]) == as_hex(second[0, 0]) == as_hex(second[0, 1]) == drawing.legend[0][0]
    assert as_hex(first[0, 1]) == drawing.legend[2][0]
    assert as_hex(first[1, 0]) == as_hex(second[1, 1]) == drawing.legend[4][0]
    assert first[1, 1].tolist() == [0, 0, 0], "unknown"


def test_an_answer_that_is_a_word_is_no_picture():
    task = Recognition(classes=3)
    assert task.draw(torch.tensor([1]), NAMES.__getitem__) is None
    assert task.word(torch.tensor(1), NAMES.__getitem__) == "person"
    assert float(task.confidence(torch.tensor([[0.0, 0.0, 0.0]]))) == pytest.approx(1 / 3)

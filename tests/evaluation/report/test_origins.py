"""What of a row is another now is told, fact by fact."""

from foolbench.evaluation.report.origins import _others

THEN = {"data": "d", "model_sha": "m", "training": {"": "one", "photographs": "p"}}


def test_other_training_images_are_told_where_they_are_seen():
    assert list(_others("net", THEN, THEN | {"training": {"": "two", "photographs": "p"}})) == [
        "The training images for net are others: fingerprint two, not one."
    ]
    assert list(_others("net", THEN, THEN | {"training": {"photographs": "q"}})) == [
        "The training images of photographs for net are others: fingerprint q, not p."
    ]
    assert list(_others("net", THEN, {"data": "d", "model_sha": "m"})) == []  # of a row that sees none

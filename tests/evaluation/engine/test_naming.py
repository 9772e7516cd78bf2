"""What was crafted is known by all that decides it."""

import pytest
import torch
from foolbench.evaluation.engine import versions
from foolbench.evaluation.engine.cache.naming import environment

CPU = torch.device("cpu")


@pytest.mark.parametrize("library", ["foolbox", "numpy", "opencv-python", "pillow", "scikit-image", "scipy"])
def test_another_version_of_a_library_that_computes_is_another_environment(monkeypatch, library):
    before, version = environment(CPU), versions.version
    assert environment(CPU) == before
    monkeypatch.setattr(versions, "version", lambda name: "0.0" if name == library else version(name))
    assert environment(CPU) != before

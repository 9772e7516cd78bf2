"""What tests of all data sets share: pictures, and a cache of their own."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def picture():
    """`picture(seed, width, height)`: one of random pixels."""

    def make(seed, width=40, height=30):
        return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))

    return make

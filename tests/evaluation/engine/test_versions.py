from importlib.metadata import PackageNotFoundError

import pytest
from foolbench.evaluation.engine.provenance import versions


@pytest.mark.parametrize("name", ["opencv-python", "opencv-python-headless"])
def test_whichever_package_cv2_is_from_is_named(monkeypatch, name):
    def version(asked, path):
        if asked in versions.OPENCV and asked != name:
            raise PackageNotFoundError(asked)
        return "9.8"

    monkeypatch.setattr(versions, "_version", version)
    for found in (versions.versions([]), versions.libraries()):
        assert [key for key in found if key.startswith("opencv")] == [name]
        assert found[name] == found["torch"] == "9.8"

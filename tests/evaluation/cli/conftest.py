"""What tests of one command share."""

import pytest


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A folder for what the tests of a file make once and copy."""
    return tmp_path_factory.mktemp("shared") / "out"


@pytest.fixture
def verify(foolbench, tmp_path):
    """`verify(*arguments)` of the run in `out`: exit code, and what it says of the rows."""

    def verify(*arguments, of=tmp_path / "out"):
        code, out, err = foolbench("verify", of, "--device", "cpu", *arguments)
        assert "Traceback" not in out + err
        return code, out if code != 2 else err

    return verify

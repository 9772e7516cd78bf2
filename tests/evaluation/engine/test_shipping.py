"""What workers without the folder of the run leave where they are: nothing."""

import os
import subprocess
import sys

from foolbench.evaluation.engine.executors.shipping import Scratch


def test_images_go_once_they_are_shipped_and_what_later_units_need_stays(tmp_path):
    scratch = Scratch.begin(tmp_path)
    scratch.unpack("adversarial/before/0.safetensors", b"given")
    scratch.unpack("learned/pca.safetensors", b"given")
    made = scratch.folder / "adversarial" / "job" / "0.safetensors"
    made.parent.mkdir()
    made.write_bytes(b"made")
    assert scratch.made() == {"adversarial/job/0.safetensors": b"made"}
    scratch.tidy()
    assert [path.name for path in scratch.folder.rglob("*.safetensors")] == ["pca.safetensors"]
    assert scratch.made() == {}
    made.parent.mkdir(parents=True)
    made.write_bytes(b"made anew")
    assert scratch.made() == {"adversarial/job/0.safetensors": b"made anew"}


def test_what_killed_workers_have_left_goes_as_another_begins(tmp_path):
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    left = tmp_path / f"foolbench-worker-{killed.pid}-abc" / "adversarial"
    left.mkdir(parents=True)
    others = [tmp_path / f"foolbench-worker-{os.getpid()}-abc", tmp_path / "foolbench-of-a-user"]
    for other in others:
        other.mkdir()
    scratch = Scratch.begin(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([*others, scratch.folder])
    scratch.leave()
    assert sorted(tmp_path.iterdir()) == sorted(others)

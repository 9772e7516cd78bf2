"""What workers without the folder of the run leave where they are: nothing."""

import os
import subprocess
import sys

from filelock import FileLock
from foolbench.core.files import write_whole
from foolbench.evaluation.engine.executors import shipping
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


def test_what_is_made_in_the_place_of_a_damaged_file_is_shipped(tmp_path):
    scratch = Scratch.begin(tmp_path)
    scratch.unpack("learned/pca.safetensors", b"damaged")
    assert scratch.made() == {}
    for content in (b"made", b"anew"):
        write_whole(scratch.folder / "learned" / "pca.safetensors", content)
        assert scratch.made() == {"learned/pca.safetensors": content}
    assert scratch.made() == {}
    scratch.leave()


LIVE = """
import sys
from filelock import FileLock
lock = FileLock(sys.argv[1])
lock.acquire()
print("lives", flush=True)
sys.stdin.read()
"""


def test_what_killed_workers_have_left_goes_as_another_begins(tmp_path, monkeypatch):
    """One on another machine lives on, though nobody has its process id here."""

    def unknown(process, signal):
        raise ProcessLookupError

    notes, folder = tmp_path / "foolbench-worker-notes", tmp_path / "foolbench-worker-7-abc"
    notes.mkdir()
    folder.mkdir()
    living, lock = Scratch.begin(tmp_path), folder / shipping._LIVES
    with subprocess.Popen([sys.executable, "-c", LIVE, lock], stdin=-1, stdout=-1, text=True) as worker:
        worker.stdout.readline()
        with monkeypatch.context() as patched:
            patched.setattr(os, "kill", unknown)
            scratch = Scratch.begin(tmp_path)
        assert sorted(tmp_path.iterdir()) == sorted([notes, living.folder, folder, scratch.folder])
        worker.kill()
    later = Scratch.begin(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([notes, living.folder, scratch.folder, later.folder])
    for left in (living, scratch, later):
        left.leave()
    assert list(tmp_path.iterdir()) == [notes]


def test_where_nothing_can_be_locked_folders_stay(tmp_path, monkeypatch):
    def refused(lock, timeout):
        raise NotImplementedError("no locks here")

    monkeypatch.setattr(FileLock, "acquire", refused)
    first, second = Scratch.begin(tmp_path), Scratch.begin(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([first.folder, second.folder])
    first.leave()
    assert list(tmp_path.iterdir()) == [second.folder]

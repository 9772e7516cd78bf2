"""A folder that processes share: what is damaged is not found, what is too much goes, what cannot be kept is told."""

import os
import random
import threading

import pytest
import torch
from foolbench.evaluation.engine.cache.cache import Cache
from foolbench.evaluation.engine.cache.kept import keep, recall

NAMES = {"x_adv", "undone"}


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "shared")


def same(found, tensors):
    return (
        found is not None and found.keys() == tensors.keys() and all(torch.equal(found[k], tensors[k]) for k in found)
    )


def test_what_was_kept_is_found_with_its_clean_images_only(cache, clean, tensors):
    assert cache.recall("adversarial/job/shard", NAMES, clean) is None
    cache.keep("adversarial/job/shard", tensors, clean)
    assert same(cache.recall("adversarial/job/shard", NAMES, clean), tensors)
    assert cache.recall("adversarial/job/shard", NAMES, clean + 1e-7) is None
    assert cache.recall("adversarial/job/shard", {*NAMES, "costs"}, clean) is None


def test_images_that_another_version_has_packed_are_made_anew(cache, clean, tensors):
    cache.keep("adversarial/job/shard", tensors)
    assert cache.recall("adversarial/job/shard", NAMES, clean) is None


@pytest.mark.parametrize("forged", [{"x_adv": torch.zeros(3)}, {"planes": torch.tensor([1, 4])}, {"x_adv": None}])
def test_whole_files_that_say_nonsense_are_none(cache, clean, tensors, forged):
    """Their checksum holds: somebody has written them so."""
    cache.keep("adversarial/job/shard", tensors, clean)
    known = recall(cache.path("adversarial/job/shard"), set()) | forged
    keep(cache.path("adversarial/job/shard"), {name: value for name, value in known.items() if value is not None})
    assert cache.recall("adversarial/job/shard", NAMES, clean) is None


def test_a_file_in_the_place_of_another_is_damage(cache, tensors):
    cache.keep("learned/a", tensors)
    cache.path("learned/a").rename(cache.path("learned/b"))
    assert cache.recall("learned/b", NAMES) is None


def test_no_bit_of_a_file_can_change(cache, clean, tensors):
    cache.keep("adversarial/job/shard", tensors, clean)
    path, rng = cache.path("adversarial/job/shard"), random.Random(0)
    content = path.read_bytes()
    for bit in rng.sample(range(8 * len(content)), 300):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        found = cache.recall("adversarial/job/shard", NAMES, clean)
        assert found is None or same(found, tensors)  # a blank in the header, say
    path.write_bytes(content[: len(content) // 2])
    assert cache.recall("adversarial/job/shard", NAMES, clean) is None


def test_what_was_not_used_for_longest_makes_room(cache, tensors):
    for place in range(10):
        cache.keep(f"learned/{place}", tensors)
        os.utime(cache.path(f"learned/{place}"), (1000 + place, 1000 + place))
    size = cache.path("learned/0").stat().st_size
    assert cache.recall("learned/0", NAMES) is not None  # now it is the one that was used last
    small = Cache(cache.folder, limit=5 * size)
    small.keep("learned/new", tensors)
    assert [entry.path.stem for entry in small.entries()] == ["7", "8", "9", "0", "new"][-4:]
    for place in range(20):
        small.keep(f"learned/more {place}", tensors)
        assert sum(entry.size for entry in small.entries()) <= 5 * size


def test_what_others_have_torn_goes_some_day(cache, tensors):
    cache.keep("learned/a", tensors)
    old, new = (cache.folder / "learned" / f".{name}.safetensors.12.tmp" for name in ("old", "new"))
    old.touch()
    new.touch()
    os.utime(old, (1000, 1000))
    Cache(cache.folder).keep("learned/b", tensors)
    assert (old.exists(), new.exists()) == (False, True)


def test_a_full_disk_is_told_once(cache, tensors, monkeypatch, capsys):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    cache.keep("learned/a", tensors)
    cache.keep("learned/b", tensors)
    assert capsys.readouterr().err.count("cannot be written (No space left on device)") == 1
    assert cache.entries() == []


def test_one_makes_it_while_the_other_waits(cache, tensors):
    made = []

    def make():
        own = Cache(cache.folder)
        with own.exclusive("learned/a"):
            if own.recall("learned/a", NAMES) is None:
                made.append(1)
                own.keep("learned/a", tensors)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]
    assert not list((cache.folder / ".locks").iterdir())


def test_where_nothing_can_be_locked_nobody_waits(tmp_path):
    (tmp_path / "shared").write_text("a file where the folder should be")
    with Cache(tmp_path / "shared").exclusive("learned/a"):
        pass


def test_cleared(cache, tensors):
    cache.keep("learned/a", tensors)
    cache.keep("perturbations/a", tensors)
    cache.clear("learned")
    assert [entry.path.parent.name for entry in cache.entries()] == ["perturbations"]
    cache.clear()
    assert cache.entries() == []
    cache.clear()

"""What lies in a file that a defense or an attack is told by name decides what it does, and so what it is called."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from foolbench.core import Attack, InputTransform, register_attack, register_defense
from foolbench.defenses import JPEG
from foolbench.defenses.compose import Compose
from foolbench.evaluation.grid.defenses import NamedDefense
from foolbench.evaluation.grid.named_files import named_files


@pytest.fixture
def dimmed():
    """A defense called toy-dimmed, whose factor lies in a file."""

    @register_defense("toy-dimmed")
    @dataclass(frozen=True, kw_only=True)
    class Dimmed(InputTransform):
        factor: Path

        differentiable = True
        randomized = False

        def transform(self, x, *, rng):
            return x * float(self.factor.read_text())

    return Dimmed


def test_a_defense_has_another_name_where_its_file_has_another_content(dimmed, tmp_path):
    file, copy = tmp_path / "factor", tmp_path / "copy"
    names = []
    for content in ("1.0", "0.25", "1.0"):
        file.write_text(content)
        chain = Compose(steps=(JPEG(), dimmed(factor=file)))
        names.append([NamedDefense(name="toy", defense=one).digest for one in (dimmed(factor=file), chain)])
    assert names[0] == names[2]
    assert set(names[0]).isdisjoint(names[1])
    copy.write_text("1.0")
    assert named_files(dimmed(factor=copy)) == named_files(dimmed(factor=file))


def test_words_are_no_files_and_texts_with_an_ending_are(monkeypatch, tmp_path):
    @dataclass(frozen=True, kw_only=True)
    class Told:
        word: str = "factor"
        listed: tuple[str, ...] = ("factor.txt", "missing.txt")

    for name in ("factor", "factor.txt"):
        (tmp_path / name).write_text("1.0")
    monkeypatch.chdir(tmp_path)
    assert len(named_files(Told())) == 1


@pytest.mark.parametrize("crafted_anew", [True, False])
def test_a_run_takes_no_row_from_another_file(execute, dimmed, tmp_path, crafted_anew):
    """Neither from its own folder nor, of what knows the defense, from the cache."""
    file = tmp_path / "factor"
    settings = (
        "attacks=[{name='pgd', steps=3}]",
        f"defenses=[{{name='toy-dimmed', factor='{file}'}}]",
        "knowledge=['oblivious', 'adaptive']",
    )
    found = {}
    for folder, content in (("out", "1.0"), ("out", "0.25"), ("fresh", "0.25")):
        file.write_text(content)
        found[folder, content] = execute(folder, *settings, crafted_anew=crafted_anew)
    columns = ["clean", "gfr", "linf_max"]
    assert found["out", "0.25"][columns].equals(found["fresh", "0.25"][columns])
    assert not found["out", "0.25"][columns].equals(found["out", "1.0"][columns])


def test_an_attack_is_crafted_anew_where_its_file_has_another_content(execute, tmp_path):
    @register_attack("toy-lit")
    @dataclass(frozen=True, kw_only=True)
    class Lit(Attack):
        access = "none"
        share: Path

        def perturb(self, model, x, y, *, rng):
            return (x + self.eps * float(self.share.read_text())).clamp(max=1)

    file = tmp_path / "share"
    largest = []
    for content in ("1.0", "0.5"):
        file.write_text(content)
        table = execute("out", f"attacks=[{{name='toy-lit', share='{file}'}}]", "defenses=[]", crafted_anew=False)
        largest.append(table.linf_max.item())
    assert largest == pytest.approx([40 / 255, 20 / 255], abs=1e-6)

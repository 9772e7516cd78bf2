"""What fails is a row with a message, everything else is finished, and mending the cause finishes the rest."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from foolbench.core import (
    Attack,
    ConfigError,
    InputTransform,
    UniversalAttack,
    register_attack,
    register_defense,
    register_model,
)
from foolbench.core.errors import WeightsError
from foolbench.evaluation.leaderboard.columns import COLUMNS
from foolbench.models import ENTRIES

NAMES = list(COLUMNS)
NUMBERS = NAMES[NAMES.index("clean") : NAMES.index("flagged")]

TRANSFORMS = {
    "raises": lambda x: (_ for _ in ()).throw(RuntimeError("lens cap on")),
    "nan": lambda x: x * torch.nan,
    "one nan": lambda x: torch.where(torch.arange(len(x))[:, None, None, None] == 3, torch.nan, x),
    "smaller": lambda x: x[:, :, :4, :4],
    "fewer": lambda x: x[:1],
    "nothing": lambda x: None,
}


@pytest.fixture
def quick_text(quick_text):
    """One attack and one defense that work: each fault needs runs of its own."""
    head, _, pgd, _ = quick_text.split("[[attacks]]\n")
    return f'{head}[[attacks]]\n{pgd}[[defenses]]\nname = "bit-depth"\n'


@pytest.fixture
def mend(monkeypatch):
    """Toy plugins that fail in a given way; `mend()` takes the cause away."""
    broken = {"transform": None, "perturb": None, "model": False}

    @register_defense("toy")
    @dataclass(frozen=True, kw_only=True)
    class Toy(InputTransform):
        """Passes images on, while nothing is broken."""

        differentiable: ClassVar[bool] = True
        randomized: ClassVar[bool] = False

        def transform(self, x, *, rng):
            return broken["transform"](x) if broken["transform"] else x

    @register_attack("toy")
    @dataclass(frozen=True, kw_only=True)
    class ToyAttack(Attack):
        """Brightens every pixel, while nothing is broken."""

        access: ClassVar = "none"

        def __call__(self, model, x, y=None, *, rng=None):
            return broken["perturb"](x) if broken["perturb"] else super().__call__(model, x, y, rng=rng)

        def perturb(self, model, x, y, *, rng):
            return x + self.eps

    @register_attack("toy-universal")
    @dataclass(frozen=True, kw_only=True)
    class ToyUniversal(UniversalAttack):
        """Brightens every pixel, while nothing is broken."""

        access: ClassVar = "none"

        def search(self, model, data, *, rng):
            delta = torch.full((1, 8, 8), self.eps)
            return broken["perturb"](delta) if broken["perturb"] else delta

    @register_model("toy")
    def load():
        """The network for the digits, or none."""
        if broken["model"]:
            raise WeightsError("Expected weights, found moths.")
        return ENTRIES["digits:convnet"].load()

    def mend(**faults):
        broken.update({"transform": None, "perturb": None, "model": False} | faults)

    return mend


@pytest.fixture(scope="module")
def memory():
    return {}


@pytest.fixture
def unbroken(execute, mend, memory):
    """`unbroken(toy)` is the table where nothing fails; each is made once."""

    def unbroken(toy):
        if toy not in memory:
            mend()
            memory[toy] = execute("whole", add=toy)
        return memory[toy]

    return unbroken


def check_errors(table, failed):
    """Exactly the `failed` rows are errors, with a message and without a number."""
    assert (table.status == "error").tolist() == failed.tolist()
    errors = table[failed]
    assert errors.error.str.len().gt(5).all()
    assert errors[NUMBERS].isna().all(axis=None)
    assert table[~failed][["clean", "gfr", "robust", "seconds"]].notna().all(axis=None)
    assert table[~failed].error.isna().all()


@pytest.mark.parametrize("fault", TRANSFORMS)
def test_a_broken_defense_costs_its_own_cells(execute, assert_same, mend, unbroken, fault):
    toy = '[[defenses]]\nname = "toy"\n'
    whole = unbroken(toy)
    mend(transform=TRANSFORMS[fault])
    table = execute("out", add=toy)
    check_errors(table, table.defense == "toy")
    if fault == "raises":
        assert table[table.defense == "toy"].error.str.contains("lens cap on").all()
    mend()
    assert_same(execute("out", add=toy), whole)


ATTACKS = {
    "raises": lambda x: (_ for _ in ()).throw(RuntimeError("out of ink")),
    "too far": lambda x: x + 41 / 255,
    "far too far": lambda x: x * 0 + 9,
    "one nan": lambda x: torch.where(torch.arange(x.numel()).reshape(x.shape) == 5, torch.nan, x),
    "smaller": lambda x: x[..., :4],
}


@pytest.mark.parametrize("attack", ["toy", "toy-universal"])
@pytest.mark.parametrize("fault", ATTACKS)
def test_a_broken_attack_costs_its_own_cells(execute, assert_same, mend, unbroken, fault, attack):
    toy = f'[[attacks]]\nname = "{attack}"\n'
    whole = unbroken(toy)
    mend(perturb=ATTACKS[fault])
    table = execute("out", add=toy)
    check_errors(table, table.attack == attack)
    mend()
    assert_same(execute("out", add=toy), whole)


@pytest.mark.parametrize("direction", [3, -1.1])
def test_a_budget_is_enforced_not_repaired(execute, direction):
    @register_attack("greedy")
    @dataclass(frozen=True, kw_only=True)
    class Greedy(Attack):
        """Takes more than it may."""

        access: ClassVar = "none"

        def perturb(self, model, x, y, *, rng):
            return x + direction * self.eps

    table = execute("out", "attacks=[{name='greedy'}]", "defenses=[]")
    check_errors(table, table.attack == "greedy")
    assert "exceeds" in table.error.item()


def test_a_model_that_cannot_be_loaded_costs_its_own_cells(execute, assert_same, mend):
    both = "models=['toy', 'digits:convnet']"
    mend(model=True)
    table = execute("out", both)
    check_errors(table, table.model == "toy")
    assert table[table.model == "toy"].error.str.contains("moths").all()
    mend()
    alone = execute("alone")
    again = execute("out", both)
    assert_same(again[again.model == "digits:convnet"].reset_index(drop=True), alone)


def test_an_error_in_a_late_shard_leaves_no_numbers_and_keeps_the_early_ones(execute, assert_same, mend, unbroken):
    toy = '[[defenses]]\nname = "toy"\n'
    whole = unbroken(toy)
    mend(transform=lambda x: x if len(x) == 16 else x * torch.nan)
    table = execute("out", add=toy)  # 16 images, then 8
    check_errors(table, table.defense == "toy")
    mend()
    assert_same(execute("out", add=toy), whole)


class _SpeechlessError(Exception):
    def __str__(self):
        raise RuntimeError


class _RustPanic(BaseException):
    """As pyo3 raises it: no `Exception`."""


THROWN = [OSError("caf\udce9.png\x1b[2J"), _SpeechlessError(), GeneratorExit(), _RustPanic("index out of bounds")]


@pytest.mark.parametrize("error", THROWN, ids=lambda e: type(e).__name__)
def test_whatever_an_attack_raises_is_a_row(execute, error):
    @register_attack("thrower")
    @dataclass(frozen=True, kw_only=True)
    class Thrower(Attack):
        """Fails."""

        access = "gradient"

        def perturb(self, model, x, y, *, rng):
            raise error

    table = execute("out", "attacks=[{name='thrower'}, {name='fgsm'}]")
    assert table.groupby("attack").status.agg(set).to_dict() == {"thrower": {"error"}, "fgsm": {"ok"}}
    assert all(map(str.isprintable, table.error.dropna()))


@dataclass(frozen=True, kw_only=True)
class Weighted(InputTransform):
    """Holds a tensor, of which a table would show four digits."""

    weights: tuple[float, ...] = (1.0,)
    differentiable: ClassVar[bool] = True
    randomized: ClassVar[bool] = False

    def __post_init__(self):
        object.__setattr__(self, "weights", torch.tensor(self.weights))

    def transform(self, x, *, rng):
        return x


def test_parameters_that_print_alike_are_refused(foolbench, recipe_file):
    register_defense("weighted")(Weighted)
    code, _, err = foolbench("plan", recipe_file, "--set", "defenses=[{name='weighted'}]")
    assert code == 2
    assert "weighted.weights: Expected a plain value" in " ".join(err.split())


@pytest.mark.parametrize("register", [register_attack, register_defense])
def test_nothing_is_called_none(register):
    with pytest.raises(ConfigError, match="'none' stands for none of them"):
        register("none")


def test_a_report_does_not_lose_what_an_edit_has_outdated(execute, foolbench, tmp_path, monkeypatch):
    execute("out", "attacks=[{name='fgsm'}]")
    before = (tmp_path / "out" / "leaderboard.csv").read_text()
    monkeypatch.setattr("foolbench.evaluation.grid.cells.source_hash", lambda cls: "edited")
    code, _, err = foolbench("report", tmp_path / "out")
    assert code == 2
    assert "has 2 finished rows, of which the ledger has 0" in " ".join(err.split())
    assert (tmp_path / "out" / "leaderboard.csv").read_text() == before


def test_a_message_of_several_lines_is_one_line_in_the_table(execute):
    @register_attack("talker")
    @dataclass(frozen=True, kw_only=True)
    class Talker(Attack):
        """Has much to say."""

        access = "none"

        def perturb(self, model, x, y, *, rng):
            raise RuntimeError("first\n\n  second\tthird")

    assert set(execute("out", "attacks=[{name='talker'}]").error) == {"RuntimeError: first second third"}

"""What makes a number doubtful is seen by the run that finds it, and stands in the row and under the table."""

from dataclasses import dataclass

import pandas as pd
import torch
from foolbench.core import Draws, InputTransform, register_defense
from foolbench.evaluation.report.tables import markdown

BOTH = "knowledge=['oblivious', 'adaptive']"
PGD_ONLY = "attacks=[{name='pgd', steps=5, norm='linf'}]"
GAUSSIAN = "defenses=[{name='gaussian', sigma=0.8}]"


@dataclass(frozen=True, kw_only=True)
class Wall(InputTransform):
    """Black or white."""

    differentiable = True  # a lie, and the flag tells
    randomized = False

    def transform(self, x, *, rng: Draws):
        return (x > 0.5).float() + 0 * x


def test_vanished_gradients_are_flagged(execute):
    register_defense("wall")(Wall)
    table = execute("out", BOTH, PGD_ONLY, "defenses=[{name='wall'}, {name='median'}]")
    flags = table[table.knowledge == "adaptive"].set_index("defense")["flagged"].fillna("")
    assert flags.to_dict() == {"wall": "zero-gradients:100%", "median": ""}


def test_what_transfers_better_than_the_attack_that_knows_the_defense_is_flagged(execute):
    register_defense("wall")(Wall)
    table = execute("out", BOTH, PGD_ONLY, "defenses=[{name='wall'}]", "samples=100").set_index(
        ["defense", "knowledge"]
    )
    assert table.gfr_gap["wall", "adaptive"] < -10
    for knowledge in ("oblivious", "adaptive"):
        assert "transfer-beats-white-box" in table["flagged"]["wall", knowledge]
    assert pd.isna(table["flagged"]["none", "oblivious"])


def test_a_single_step_that_its_knowledge_misleads_is_flagged(execute):
    """The gradient of JPEG's surrogate at the clean image is a poor guide to where all of the budget ends."""
    table = execute("out", BOTH, "attacks=[{name='fgsm'}]", "defenses=[{name='jpeg'}]", "samples=64")
    jpeg = table[table.defense == "jpeg"].set_index("knowledge")
    assert jpeg.gfr_gap["adaptive"] < -10
    assert jpeg.flagged.to_dict() == dict.fromkeys(("oblivious", "adaptive"), "oblivious-beats-adaptive")


@dataclass(frozen=True, kw_only=True)
class HalfWall(InputTransform):
    """Black or white, where more than half of an image is dark."""

    differentiable = True
    randomized = False

    def transform(self, x, *, rng: Draws):
        dark = (x < 0.1).flatten(1).float().mean(dim=1) > 0.5
        return torch.where(dark[:, None, None, None], (x > 0.5).float() + 0 * x, x)


def test_the_share_without_gradient_is_the_same_however_a_run_is_cut(execute):
    register_defense("half-wall")(HalfWall)
    settings = (BOTH, PGD_ONLY, "defenses=[{name='half-wall'}]")
    execute("out", *settings, "samples=5", "batch_size=2")
    resumed, whole = execute("out", *settings), execute("other", *settings, "batch_size=64")
    flags = whole["flagged"].dropna().tolist()
    assert resumed["flagged"].dropna().tolist() == flags
    (shares,) = [[flag for flag in line.split() if flag.startswith("zero-gradients")] for line in flags]
    assert len(shares) == 1
    assert shares[0] != "zero-gradients:100%"


def test_what_stops_at_its_own_boundary_is_flagged_where_it_is_scored_elsewhere(execute):
    attacks = "attacks=[{name='apgd', steps=4}, {name='apgd', steps=4, early_stop=false}]"
    table = execute("out", BOTH, attacks, GAUSSIAN)
    flagged = table[table["flagged"].fillna("").str.contains("stops-at-boundary")]
    assert flagged[["defense", "knowledge"]].to_numpy().tolist() == [["gaussian", "oblivious"]]
    assert '"early_stop":true' in flagged.attack_params.item()


NOVICE = """
from foolbench import load_model


def novice():
    model = load_model("digits:convnet")
    model.net.fc.bias.data[3:] -= 1e3
    return model.net
"""


def test_what_too_few_images_say_of_a_network_is_no_flag_of_more(execute, tmp_path):
    """Three right digits of ten are better than chance, which eight images cannot tell."""
    (tmp_path / "novice.py").write_text(NOVICE)
    model = f"{{name='{tmp_path / 'novice.py'}:novice', mean=0.5, std=0.5}}"
    chosen = (f"models=[{model}]", "attacks=[{name='fgsm'}]", "defenses=[]")
    few = execute("out", *chosen, "samples=8")
    assert few.flagged.str.contains("no-better-than-chance").all()
    more, anew = (execute(folder, *chosen, "samples=200") for folder in ("out", "another"))
    assert more.flagged.isna().all()
    assert anew.flagged.isna().all()


def test_one_draw_of_a_random_defense_is_flagged(execute):
    for draws, flagged in ((1, True), (2, False)):
        table = execute(f"out{draws}", PGD_ONLY, "defenses=[{name='random-noise'}, {name='jpeg'}]", f"draws={draws}")
        flags = table.set_index("defense")["flagged"].fillna("")
        assert flags.to_dict() == {"none": "", "random-noise": "single-draw" if flagged else "", "jpeg": ""}


def test_flagged_numbers_are_marked_in_the_tables(execute):
    table = execute("out", "attacks=[{name='apgd', steps=4}]", GAUSSIAN)
    text = markdown(table)
    bare, defended = (line.split("|")[-2] for line in text.splitlines() if "[" in line and line.startswith("|"))
    assert "*" not in bare
    assert "* [" in defended
    assert "- stops-at-boundary: digits:convnet x apgd x gaussian, oblivious" in text

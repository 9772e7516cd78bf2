"""What a defended system has right of successful adversarial images, where several attacks share a row."""

import numpy as np
import pytest
from foolbench.evaluation.report.images import image_scores


def test_recovered_in_the_worst_case_and_over_seeds(execute, tmp_path):
    """Against the images of the members: those on which an attack succeeds without the defense, and with it no more."""
    attacks = "attacks=[{name='uniform-noise', eps=0.4, seeds=3, group='g'}, {name='fgsm', eps=0.4, group='g'}]"
    table = execute("out", attacks, "defenses=[{name='median'}]", "samples=40")
    images = {
        (row.attack, row.seed, row.defense): image_scores(tmp_path / "out", number)
        for number, row in enumerate(table.itertuples(), 1)
        if row.attack != "g" and row.seed != "mean"
    }
    members = [key for key in images if key[2] == "none"]
    succeeded = np.array([(images[key].clean == 1) & (images[key].attacked == 0) for key in members])
    right = np.array([images[*key[:2], "median"].attacked == 1 for key in members])
    rows = table[table.defense == "median"].set_index(table[table.defense == "median"].seed.fillna(""))
    noise = [key[0] == "uniform-noise" for key in members]
    pooled = right[noise][succeeded[noise]]
    assert rows.successes["mean"] == len(pooled) > 3
    assert rows.recovered["mean"] == pytest.approx(100 * pooled.mean(), abs=0.01)
    worst = table[(table.attack == "g") & (table.defense == "median")].iloc[0]
    among = succeeded.any(axis=0)
    assert worst.successes == among.sum() > 10
    assert worst.recovered == pytest.approx(100 * (right | ~succeeded).all(axis=0)[among].mean(), abs=0.01)
    assert worst.recovered > 0
    assert table.recovered[table.defense == "none"].isna().all()

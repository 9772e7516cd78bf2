"""A plan tells the run that comes after it how long it will take."""

from foolbench.evaluation.engine.work.progress import Step

QUICK = ("--set", "attacks=[{name='fgsm'}, {name='pgd', steps=2}]", "--device", "cpu")


def test_a_run_after_its_plan_knows_from_the_first_moment(foolbench, recipe_file, monkeypatch, tmp_path):
    expected = []
    monkeypatch.setattr(Step, "expect", lambda self, seconds: expected.append(seconds))
    assert foolbench("run", recipe_file, *QUICK, "--out", tmp_path / "before")[0] == 0
    assert expected[0] is None
    assert foolbench("plan", recipe_file, *QUICK)[0] == 0
    expected.clear()
    assert foolbench("run", recipe_file, *QUICK, "--out", tmp_path / "after")[0] == 0
    assert expected[0] > 0
    assert expected[-1] == 0

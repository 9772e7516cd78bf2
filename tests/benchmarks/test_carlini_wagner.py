"""C&W L2, 9 searches of 200 steps, against foolbox's, which ends a search only when the whole batch has stalled."""

import warnings

from foolbench.attacks import CarliniWagner
from foolbench.core.norms import size

with warnings.catch_warnings():  # foolbox 3.3.4 imports the filter from its old place
    warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)
    import foolbox


def test_carlini_wagner_l2(googlenet, ratio):
    model, x, y, net = googlenet
    attack = CarliniWagner(searches=9, steps=200)
    theirs = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=9, steps=200, stepsize=0.01, initial_const=1e-3, abort_early=True
    )
    wrapped = foolbox.PyTorchModel(net, bounds=(0, 1), device=x.device)
    found, results = [], []

    def ours():
        found[:] = [attack(model, x, y, rng=0)]

    def peer():
        results[:] = theirs(wrapped, x, y, epsilons=None)

    ratio(ours, peer, limit=0.33, rounds=1)
    assert (model.predict(found[0]) != y).all()
    assert results[2].all()
    assert size(found[0] - x, "l2").mean() <= 1.01 * size(results[0] - x, "l2").mean()

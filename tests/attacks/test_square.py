"""Square finds the known optima of linear models from scores alone, within its queries, image by image."""

import pytest
import torch
from foolbench.attacks import Square
from foolbench.attacks.square import _Chance, _cut, _dipole, _paste, _peak, _window
from foolbench.core import ConfigError, Draws, Model, Task
from foolbench.core.norms import size
from foolbench.datasets.digits import Digits
from torch import nn

SHAPE = (2, 3, 4)


@pytest.fixture(scope="module")
def digits(digits_model):
    x, _ = Digits().load(range(48))
    return x, digits_model.predict(x)


@pytest.fixture
def robust(linear_model, mid_images):
    """A binary linear model, images whose class no budget here changes, and the way to the other class."""
    shape = (1, 5, 5)
    model, x = linear_model(2, shape), mid_images(12, shape)
    logits = model(x)
    x = x[(logits[:, 0] - logits[:, 1]).abs() > 0.1]
    up = model.net.weight[1] - model.net.weight[0]
    return model, x, torch.where(model.predict(x) == 0, 1.0, -1.0)[:, None] * up


def test_linf_optimum(robust):
    model, x, away = robust
    adversarial = Square(eps=1e-3, queries=400)(model, x, rng=0)
    torch.testing.assert_close((adversarial - x).flatten(1), 1e-3 * away.sign(), rtol=0, atol=1e-6)


def test_l2_nears_the_optimum_with_all_of_its_budget(robust):
    model, x, away = robust
    before = -torch.ones(len(x))
    for queries, share in ((1, -1.0), (50, 0.2), (250, 0.5)):
        delta = Square(eps=1e-3, norm="l2", queries=queries)(model, x, rng=0) - x
        torch.testing.assert_close(size(delta, "l2"), torch.full((len(x),), 1e-3), rtol=2e-3, atol=0)
        attained = (delta.flatten(1) * away).sum(dim=1) / (1e-3 * size(away, "l2"))
        assert (attained > before).all()
        assert (attained > share).all()
        before = attained


class Recording(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net, self.outputs, self.seen = net, [], []

    def forward(self, x):
        outputs = self.net(x)
        self.seen.append(0.5 * x + 0.5)
        self.outputs.append(outputs.clone())
        return outputs


def l2_queries(linear_model, shape, count, queries):
    """Grey images, and what Square asks about each under L2 and a budget of 0.1, from a model that none can fool."""
    linear, x = linear_model(2, shape), torch.full((count, *shape), 0.5)
    linear.net.weight.data.zero_()
    linear.net.bias.data = torch.tensor([1.0, 0.0])
    model = Model(Recording(linear.net), task=linear.task, mean=(0.5,), std=(0.5,))
    Square(eps=0.1, norm="l2", queries=queries)(model, x, torch.zeros(count, dtype=torch.int64), rng=0)
    return x, model.net.seen[1:]


def which(squares, candidates):
    """The number of the candidate that each square is."""
    apart = (squares[:, None] - candidates).flatten(2).abs().amax(dim=2)
    distance, number = apart.min(dim=1)
    assert distance.max() <= 1e-5
    return number


def signed_and_turned(side):
    dipole = _dipole(side, torch.device("cpu"))
    return torch.stack([dipole, -dipole, dipole.T, -dipole.T])


def test_l2_adds_a_dipole_of_either_sign_and_turn_to_what_is_there(linear_model):
    x, (start, changed) = l2_queries(linear_model, (1, 3, 3), 4000, 2)  # both squares are the whole image
    before = (start - x)[:, 0]
    directions = signed_and_turned(3) + (before / size(before, "l2")[:, None, None])[:, None]
    candidates = 0.1 * directions / torch.linalg.vector_norm(directions, dim=(2, 3), keepdim=True)
    counts = which((changed - x)[:, 0], candidates).bincount(minlength=4)
    assert 850 < counts.min() <= counts.max() < 1150  # five standard deviations


def test_l2_starts_with_dipoles_of_either_sign_and_turn(linear_model):
    x, (start,) = l2_queries(linear_model, (1, 15, 15), 160, 1)
    tiles = (start - x).reshape(160, 5, 3, 5, 3).transpose(2, 3).reshape(4000, 3, 3)
    counts = which(tiles, 0.1 * signed_and_turned(3) / 5).bincount(minlength=4)  # 25 share the budget
    assert 850 < counts.min() <= counts.max() < 1150  # five standard deviations


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.03), ("l2", 0.2)])
def test_every_query_is_within_the_budget_and_the_best_is_kept(digits_model, digits, norm, eps):
    x, y = digits
    x, y = x[:1], y[:1]
    model = Model(Recording(digits_model.net), task=digits_model.task, mean=(0.5,), std=(0.5,))
    adversarial = Square(eps=eps, norm=norm, queries=100)(model, x, y, rng=0)
    seen, outputs = torch.cat(model.net.seen), torch.cat(model.net.outputs)
    assert len(seen) == 101
    assert size(seen - x, norm).max() <= eps + 1e-6
    assert -1e-6 <= seen.min() <= seen.max() <= 1 + 1e-6
    others = outputs.scatter(1, y.expand(101)[:, None], -torch.inf).amax(dim=1)
    best = (others - outputs[:, int(y)])[1:].argmax()
    torch.testing.assert_close(adversarial, seen[1:][best][None], rtol=0, atol=1e-6)


def test_no_query_repeats_what_was_there(digits_model, digits):
    x, y = digits
    model = Model(Recording(digits_model.net), task=digits_model.task, mean=(0.5,), std=(0.5,))
    Square(eps=0.02, queries=100)(model, x[:1].clamp(0.1, 0.9), y[:1], rng=0)
    seen, outputs = torch.cat(model.net.seen)[1:], torch.cat(model.net.outputs)[1:]
    margins = outputs[:, int(y[0])] - outputs.scatter(1, y[:1].expand(100)[:, None], -torch.inf).amax(dim=1)
    kept = [int(margins[:query].argmin()) for query in range(1, 100)]
    assert (size(seen[1:] - seen[kept], "linf") > 0).all()


def test_queries(linear_model, mid_images):
    model, x = linear_model(3, SHAPE), mid_images(8, SHAPE)
    y = model.predict(x)
    model.passes.forwards = 0
    assert (model.predict(Square(eps=1e-4, queries=50)(model, x, y, rng=0)) == y).all()
    assert (model.passes.forwards, model.passes.backwards) == (8 * (50 + 1 + 1), 0)  # once clean, and once here


def test_early_stop(digits_model, digits):
    x, y = digits
    digits_model.passes.forwards = 0
    wrong = Square(eps=0.1, queries=100)(digits_model, x, (y + 1) % 10, rng=0)
    assert torch.equal(wrong, x)
    assert digits_model.passes.forwards == 48
    adversarial = Square(eps=0.15, queries=100)(digits_model, x, y, rng=0)
    fooled = digits_model.predict(adversarial) != y
    assert 5 < fooled.sum() < 45
    assert digits_model.passes.forwards < 48 * 3 + 100 * (48 - int(fooled.sum()) / 2)


def test_a_target_is_reached(digits_model, digits):
    x, y = digits
    target = (y + 1) % 10
    reached = Square(eps=0.5, queries=200, targeted=True)(digits_model, x, target, rng=0)
    assert (digits_model.predict(reached) == target).float().mean() > 0.5


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.08), ("l2", 0.5)])
def test_a_batch_changes_no_image(digits_model, digits, norm, eps):
    x, y = digits
    attack, rng = Square(eps=eps, norm=norm, queries=60), Draws.of(0, samples=range(48))
    together = attack(digits_model, x, y, rng=rng)
    for rows in (torch.tensor([7]), torch.tensor([30, 2, 11])):
        torch.testing.assert_close(
            attack(digits_model, x[rows], y[rows], rng=rng[rows]), together[rows], rtol=0, atol=1e-5
        )


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 2, 2), (1, 1, 9), (2, 17, 4)], ids=str)
def test_any_shape(linear_model, mid_images, norm, shape):
    model, x = linear_model(3, shape), mid_images(6, shape)
    adversarial = Square(eps=0.01, norm=norm, queries=40)(model, x, rng=0)
    assert size(adversarial - x, norm).max() <= 0.01 + 1e-6
    assert (size(adversarial - x, norm) > 0).any()


def test_the_squares_shrink_as_in_the_paper():
    attack = Square(eps=0.1, queries=10_000)
    queries = (1, 10, 11, 50, 51, 200, 201, 500, 501, 1000, 1001, 2000, 2001, 4000, 4001, 6000, 6001, 8000, 8001)
    shares = [0.8 / 2**k for k in (0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9)]
    sides = [attack._side(query, torch.Size((1, 3, 224, 224))) for query in queries]
    assert sides == [round((share * 224 * 224) ** 0.5) for share in shares]
    unscaled = Square(eps=0.1, queries=100, rescaled=False)
    assert unscaled._side(90, torch.Size((1, 3, 224, 224))) == round((0.8 / 4 * 224 * 224) ** 0.5)
    assert Square(eps=0.1, queries=100)._side(90, torch.Size((1, 1, 224, 224))) == sides[-1]
    assert Square(eps=0.1, norm="l2")._side(4900, torch.Size((1, 1, 8, 8))) == 3


def test_windows_reach_every_place():
    shape = torch.Size((4000, 2, 6, 5))
    image = torch.arange(2 * 6 * 5.0).expand(4000, -1).view(shape)
    squares = _cut(image, _window(_Chance(Draws.of(0, samples=range(4000)), 2).next().first, shape, 3))
    assert squares.shape == (4000, 2, 3, 3)
    corner = squares[:, :1, :1, :1]
    rows, columns, channels = torch.arange(3.0)[:, None], torch.arange(3.0), torch.arange(2.0)[:, None, None]
    assert torch.equal(squares, corner + 30 * channels + 5 * rows + columns)
    places, counts = corner.unique(return_counts=True)
    assert places.tolist() == [5 * row + column for row in range(4) for column in range(3)]
    assert 250 < counts.min() <= counts.max() < 420


def test_a_square_goes_where_it_came_from():
    draws, shape = Draws.of(0, samples=range(3)), torch.Size((3, 2, 6, 5))
    image = draws.uniform(shape[1:])
    window = _window(_Chance(draws, 2).next().second, shape, 4)
    changed = image.clone()
    _paste(changed, window, -_cut(image, window))
    assert torch.equal(_cut(changed, window), -_cut(image, window))
    assert int((changed != image).sum()) == 3 * 2 * 4 * 4


def test_luck_is_that_of_the_image_whoever_else_is_there():
    chances = [_Chance(Draws.of(0, samples=range(4)), 3), _Chance(Draws.of(0, samples=[2]), 3)]
    seen = []
    for query in range(300):  # more than two blocks
        together, alone = (chance.next() for chance in chances)
        row = 2 if query <= 130 else 0
        assert all(torch.equal(part[row], other[0]) for part, other in zip(together, alone, strict=True))
        seen.append(alone)
        if query == 130:
            chances[0] = chances[0][torch.tensor([2, 0])]
    signs, turned = torch.stack([luck.signs for luck in seen]), torch.stack([luck.turned for luck in seen])
    assert signs.unique().tolist() == [-1, 1]
    assert signs.mean().abs() < 0.2
    assert 0.3 < turned.float().mean() < 0.7


@pytest.mark.parametrize(("height", "width"), [(3, 7), (2, 5), (1, 3), (1, 1)])
def test_peaks_are_those_of_the_paper(height, width):
    radius = max(height, width) // 2
    expected = torch.zeros(height, width)
    for row in range(height):
        for column in range(width):
            depth = radius - max(abs(row - height // 2), abs(column - width // 2))
            expected[row, column] = sum(1 / (radius + 1 - k) ** 2 for k in range(depth + 1))
    torch.testing.assert_close(_peak(height, width, torch.device("cpu")), expected)


def test_a_dipole_has_two_signs_and_norm_one():
    dipole = _dipole(7, torch.device("cpu"))
    assert (dipole[:3] > 0).all()
    assert (dipole[3:] < 0).all()
    torch.testing.assert_close(torch.linalg.vector_norm(dipole), torch.tensor(1.0))


@pytest.mark.parametrize("wrong", [{"queries": 0}, {"p_init": 0.0}, {"p_init": 1.1}, {"norm": "l1"}], ids=str)
def test_refuses_parameters(wrong):
    with pytest.raises(ConfigError):
        Square(eps=0.1, **wrong)


def test_refuses_a_model_without_class_scores(linear_model, mid_images):
    unasked = dict.fromkeys(("metrics", "check_outputs", "check_targets", "loss", "average"), lambda self, *given: None)
    other = type("Other", (Task,), unasked | {"predict": lambda self, outputs: outputs.argmax(1)})
    model = Model(linear_model(3, SHAPE).net, task=other(), shape=SHAPE)
    with pytest.raises(ConfigError, match="class logits"):
        Square(eps=0.1)(model, mid_images(2, SHAPE), torch.zeros(2, dtype=torch.int64))

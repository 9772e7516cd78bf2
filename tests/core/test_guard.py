"""What foreign code changes about a network is noticed, and undone."""

import pytest
import torch
from foolbench.core import Model
from foolbench.core.guard import Guard
from foolbench.defenses import BitDepth
from foolbench.tasks import Recognition
from torch import nn

X = torch.rand(2, 1, 2, 2, generator=torch.Generator().manual_seed(0))


def network():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))
    net[1].register_buffer("shift", torch.ones(4), persistent=False)
    net[1].register_buffer("unused", torch.tensor([torch.nan, 1.0]))
    return Model(net, task=Recognition(classes=3), name="small")


def replace_forward(net):
    net[2].forward = torch.tanh


CHANGES = {
    "a replaced forward": replace_forward,
    "a hook with keywords": lambda net: net[1].register_forward_hook(lambda *given, **named: None, with_kwargs=True),
    "a hook before it": lambda net: net[1].register_forward_pre_hook(lambda module, given: (2 * given[0],)),
    "a hook on the way back": lambda net: net[1].register_full_backward_pre_hook(lambda module, slope: None),
    "another module": lambda net: net.__setitem__(2, nn.Tanh()),
    "weights": lambda net: nn.init.zeros_(net[1].weight),
    "a buffer that is in no state": lambda net: net[1].shift.add_(1),
    "a value beside one that is none": lambda net: net[1].unused[1].zero_(),
    "a mode": lambda net: net.train(),
    "half": lambda net: net.half(),
    "double": lambda net: net.double(),
    "double, by its data": lambda net: setattr(net[1].weight, "data", net[1].weight.data.double()),
    "another shape": lambda net: setattr(net[1].weight, "data", torch.zeros(2, 2)),
    "another shape of a buffer that is in no state": lambda net: setattr(net[1].shift, "data", torch.zeros(7)),
    "a buffer that leaves the state": lambda net: net[1].register_buffer("unused", torch.zeros(2), persistent=False),
    "no memory at all": lambda net: net.to("meta"),
    "a weight that is differentiated": lambda net: net[1].weight.requires_grad_(),
    "a buffer that is differentiated": lambda net: net[1].shift.requires_grad_(),
    "a buffer that was computed": lambda net: net[1].shift.mul_(torch.ones(4, requires_grad=True)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_noticed_and_undone(change):
    model = network()
    guard, before, names = Guard(model), model(X), model.net.state_dict().keys()
    assert not guard.undo()
    change(model.net)
    assert guard.undo()
    assert not guard.undo()
    assert torch.equal(model(X), before)
    assert not any(tensor.requires_grad for tensor in (*model.net.parameters(), *model.net.buffers()))
    assert model.net.state_dict().keys() == names
    assert "forward" not in vars(model.net[2])


def test_what_a_network_remembers_of_what_it_saw_is_no_change():
    model = network()
    guard = Guard(model)
    model.net[1].last_size = (2, 2)
    assert not guard.undo()
    assert model.net[1].last_size == (2, 2)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("change", ["half", "double", "weights", "a mode"])
@pytest.mark.parametrize("called_before", [False, True])
def test_torchscript_is_put_back_too(change, called_before):
    model = Model(torch.jit.script(network().net), task=Recognition(classes=3))
    expected = network()(X)
    if called_before:
        model(X)
    guard = Guard(model)
    assert torch.equal(model(X), expected)
    assert not guard.undo()
    if change == "weights":
        next(model.net.parameters()).zero_()
    else:
        CHANGES[change](model.net)
    assert guard.undo()
    assert not guard.undo()
    assert torch.equal(model(X), expected)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*quant:UserWarning")
def test_quantised_weights_are_put_back():
    from torch.ao.quantization import quantize_dynamic

    model = Model(quantize_dynamic(network().net, {nn.Linear}, dtype=torch.qint8), task=Recognition(classes=3))
    guard, before, layer = Guard(model), model(X), model.net[1]
    layer.set_weight_bias(torch.quantize_per_tensor(torch.zeros(4, 4), 0.1, 0, torch.qint8), layer.bias())
    assert not torch.equal(model(X), before)
    assert guard.undo()
    assert not guard.undo()
    assert torch.equal(model(X), before)


OWN = {
    "shells": lambda model: setattr(model, "shells", BitDepth(bits=1).defend(model).shells),
    "draws": lambda model: setattr(model, "draws", 7),
    "features": lambda model: setattr(model, "feature_names", ("1",)),
    "task": lambda model: setattr(model, "_network_task", Recognition(classes=3).abstaining()),
    "precision": lambda model: setattr(model, "precision", torch.float16),
    "a method": lambda model: setattr(model, "logits", lambda x, *, rng=None: -x.flatten(1)[:, :3]),
    "a hash": lambda model: setattr(model, "_net_sha", "0123"),
    "one thing less": lambda model: delattr(model, "preprocess"),
    "all of it": lambda model: vars(model).clear(),
}


@pytest.mark.parametrize("change", OWN.values(), ids=OWN)
def test_what_is_changed_of_the_model_itself_is_noticed_and_undone(change):
    model = network()
    sha = model.sha
    guard, before, own = Guard(model), model(X), dict(vars(model))
    assert not guard.undo()
    change(model)
    assert guard.undo()
    assert not guard.undo()
    assert vars(model) == own
    assert model.sha == sha
    assert torch.equal(model(X), before)


def test_what_a_model_counts_and_finds_out_is_no_change():
    model = network()
    guard = Guard(model)
    model(X)
    sha = model.sha
    assert not guard.undo()
    assert model.sha == sha == network().sha


def test_a_hash_found_of_changed_weights_is_forgotten():
    model = network()
    guard = Guard(model)
    nn.init.zeros_(model.net[1].weight)
    assert model.sha
    assert guard.undo()
    assert model.sha == network().sha

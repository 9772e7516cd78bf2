"""Networks of the user's own at `FILE.py:NAME` and `package.module:NAME`, or callables that return one.

A function or class is called with those parameters of the recipe that it accepts, including `classes` and `size`. The
other ones, and those options for which it has a default of its own, are options as for any network. `weights` is passed
to a function with a parameter of that name, with "none" as None. A `Model` is used as it is.
"""

from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from typing import Any

from torch import nn

from ...core.arguments import parameters_of
from ...core.errors import ConfigError
from ...core.foreign import foreign
from ...core.model import Model
from ...core.network import own_copy
from ...core.python_objects import find_object
from ...core.registry import Family
from .source import RANDOM, Network, Options, seeded, to_model

SUMMARY = "Your own: an nn.Module, a foolbench.core.Model, or a function or class that gives one."


def loader(address: str) -> Callable[..., Model]:
    """Return the function that loads the network at an address.

    Raises ConfigError if the address names nothing, or something that is neither a network nor callable.
    """
    with seeded():
        found = find_object(address)
    makes = not isinstance(found, nn.Module | Model)
    if makes and not callable(found):
        raise ConfigError(f"Expected {address} to be a network or to make one, got {type(found).__name__}.")
    taken = parameters_of(found) if makes else []
    loads_weights = any(parameter.name == "weights" for parameter in taken)
    own = [parameter for parameter in taken if not _is_option(parameter)]
    names = {parameter.name for parameter in own if parameter.kind is not Parameter.VAR_KEYWORD}
    known = [option for option in parameters_of(Options) if option.name not in names]

    def load(**given: Any) -> Model:
        options = {option.name: given.pop(option.name) for option in known if option.name in given}
        if loads_weights and "weights" in options:
            weights = options.pop("weights")
            given |= {"weights": None if weights == RANDOM else weights}
            options |= {"weights": RANDOM} if weights == RANDOM else {}
        with seeded():
            net = _made(address, found, given) if makes else found
        if isinstance(net, nn.Module) and _is_size(given.get("size")):
            options["size"] = tuple(given["size"])  # the size it was made for
        return as_model(address, net, options)

    load.__doc__ = SUMMARY
    load.__signature__ = Signature(_keywords([*known, *own]))  # pyright: ignore[reportFunctionMemberAccess]
    return load


def _is_option(parameter: Parameter) -> bool:
    """Return whether a parameter is one of `Options` with a default, rather than the function's own."""
    return parameter.name in _OPTIONS and parameter.default is not Parameter.empty


def _is_size(given: Any) -> bool:
    return isinstance(given, list | tuple) and len(given) == 2 and all(isinstance(side, int) for side in given)


def _made(address: str, function: Callable[..., Any], parameters: Mapping[str, Any]) -> Any:
    with foreign(address):
        return function(**parameters)


def as_model(address: str, found: Any, options: Mapping[str, Any]) -> Model:
    """Wrap a network as a Model with `options`, or return a Model as it is.

    Raises ConfigError for anything else, for options beside a Model, and for weights that are not a file.
    """
    if isinstance(found, nn.Module):
        checked = Options(**options)
        if checked.weights not in (None, RANDOM) and checked.file is None:
            raise ConfigError(
                f'Expected weights of {address} as a file or "{RANDOM}", got {checked.weights!r}, which is no file.'
            )
        return to_model(address, Network(net=own_copy(found)), checked)
    if not isinstance(found, Model):
        raise ConfigError(f"Expected {address} to give a torch.nn.Module or a Model, got {type(found).__name__}.")
    if options:
        raise ConfigError(f"{address} gives a Model, which has its own {', '.join(options)}; set them there.")
    return found


def _keywords(parameters: list[Parameter]) -> list[Parameter]:
    """Return the parameters that can be given by name, as keyword-only ones, with `**` last."""
    named = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in parameters if one.kind in _BY_NAME]
    return [*named, *(one for one in parameters if one.kind is Parameter.VAR_KEYWORD)]


_OPTIONS = {option.name for option in parameters_of(Options)} - {"classes", "size"}
_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)

FAMILY: Family[Model] = Family(
    {"FILE.py:NAME": SUMMARY, "package.module:NAME": "The same, in a package that can be imported."},
    loader,
    is_open=True,
)

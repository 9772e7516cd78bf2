"""Find the modules of a network that a network defense changes or reads."""

from torch import nn

from ..core.errors import ConfigError


def modules_of(net: nn.Module, kinds: type[nn.Module] | tuple[type[nn.Module], ...], what: str) -> list[nn.Module]:
    """Return all modules of the given kinds, each once.

    Raises ConfigError, which calls them `what`, if there are none.
    """
    found = [module for module in net.modules() if isinstance(module, kinds)]
    if not found:
        raise ConfigError(
            f"Expected {type(net).__name__} to have {what} as modules, found none; make those that its code calls as "
            "functions modules of it."
        )
    return found

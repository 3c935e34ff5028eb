"""Classes that stand in front of a host's class which is named when an object is made."""
import inspect
from functools import cache
from typing import Any, Union

from mmengine.registry import MODELS as ROOT
from torch import nn


class AroundHost:
    """Base of classes whose objects are of the class of their ``host``, behind them.

    Args:
        args, kwargs: As of the subclass.
        host: The class, or its name in the registry.

    Raises:
        ValueError: It is no class of modules.
    """

    def __new__(cls, *args: Any, host: Union[str, type, None] = None, **kwargs: Any) -> nn.Module:
        return super().__new__(cls if host is None else _joined(cls, _resolved(host)))

    @classmethod
    def _body_around(cls, host: type) -> dict[str, Any]:
        """What the joined class has of its own."""
        return {}

    def __reduce_ex__(self, protocol: int) -> tuple:
        """The class is made anew in the process that loads it."""
        _, _, *state = super().__reduce_ex__(protocol)
        return (_blank, type(self).__bases__, *state)


@cache
def _joined(base: type[AroundHost], host: type) -> type[AroundHost]:
    """A class of the name and the documentation of the host."""
    return type(host.__name__, (base, host), dict(
        base._body_around(host), __module__=base.__module__, __doc__=host.__doc__))


def _blank(base: type[AroundHost], host: type) -> AroundHost:
    return base.__new__(base, host=host)


def _resolved(host: Union[str, type]) -> type:
    cls = host
    if isinstance(host, str):
        with ROOT.switch_scope_and_registry(None) as registry:
            cls = registry.get(host)
    if not (inspect.isclass(cls) and issubclass(cls, nn.Module)):
        raise ValueError(f'host must be a class of modules or its name in the registry, got '
                         f'{host!r}')
    return cls

"""The values of a config: compared, and written down as Python."""
import ast
import keyword
from functools import reduce
from importlib import import_module
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Optional

import numpy as np
from mmengine.config import Config
from mmengine.config.lazy import LazyAttr, LazyObject

NAMED = (type, FunctionType, BuiltinFunctionType, ModuleType)  # what an import statement brings


def plain(value: Any) -> Any:
    """A part of a config in plain dicts, with what is imported in place of lazy imports."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in dict.items(value)}
    if isinstance(value, (list, tuple)):
        return type(value)([plain(item) for item in value])
    if isinstance(value, (LazyObject, LazyAttr)):
        try:
            return value.build()
        except Exception:  # of a package that this model does without
            return f'{value.module}.{value}'
    return value.item() if isinstance(value, np.generic) else value


def same(a: Any, b: Any) -> bool:
    """Whether two values of :func:`plain` say the same in a config. A class is its name; objects
    that cannot be compared, which every reading of a config makes anew, are if their types are."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)) and type(a) is type(b):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, NAMED) or isinstance(b, NAMED):
        return a is b or _dotted(a) == _dotted(b)
    if hasattr(a, 'shape') or hasattr(b, 'shape'):
        return (type(a) is type(b) and a.shape == b.shape and a.dtype == b.dtype
                and bool(((a == b) | (a != a) & (b != b)).all()))
    if type(a).__eq__ is object.__eq__:
        return type(a) is type(b)
    return bool(a == b or a != a and b != b)


def _dotted(value: Any) -> Any:
    if isinstance(value, ModuleType):
        return value.__name__
    return f'{value.__module__}.{value.__qualname__}' if isinstance(value, NAMED) else value


class Imports:
    """The import statements of a pure-Python config.

    Args:
        base: The config that it inherits, whose names are taken.
    """

    def __init__(self, base: Config):
        self.lines: list[str] = []
        self._taken = set(base)
        self._names: dict[tuple, str] = {}

    def name(self, module: str, name: Optional[str] = None) -> str:
        """What ``name`` of a module, or the module itself, is called in the config."""
        if (module, name) not in self._names:
            own = alias = name or module.rpartition('.')[2]
            while alias in self._taken:
                alias += '_'
            self._taken.add(alias)
            self._names[module, name] = alias
            if name is None:
                self.lines.append(f'import {module} as {alias}')
            else:
                self.lines.append(f'from {module} import {name}'
                                  + (f' as {alias}' if alias != own else ''))
        return self._names[module, name]


def expression(value: Any, imports: Optional[Imports] = None, key: Any = None) -> str:
    """Python that makes this value.

    Args:
        value: Of :func:`plain`.
        imports: Gets what the expression needs; None: there may be none, and a ``type`` is
            named instead.
        key: Where the value stands.

    Raises:
        ValueError: There is no such expression.
    """
    if isinstance(value, dict):
        items = [(name, expression(item, imports, name))
                 for name, item in sorted(value.items(), key=lambda item: str(item[0]))]
        if all(isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)
               for name in value):
            return f'dict({", ".join(f"{name}={text}" for name, text in items)})'
        return f'{{{", ".join(f"{name!r}: {text}" for name, text in items)}}}'
    if isinstance(value, (list, tuple)):
        text = ', '.join(expression(item, imports, key) for item in value)
        if isinstance(value, list):
            return f'[{text}]'
        return f'({text},)' if len(value) == 1 else f'({text})'
    if isinstance(value, NAMED) and _is_importable(value):
        if imports is None and key == 'type':
            return repr(_dotted(value))
        if isinstance(value, ModuleType) and imports is not None:
            return imports.name(value.__name__)
        if imports is not None:
            first, *rest = value.__qualname__.split('.')
            return '.'.join([imports.name(value.__module__, first), *rest])
    if isinstance(value, float) and value - value != 0:  # infinite, or no number
        return f'float({str(value)!r})'
    try:
        if same(ast.literal_eval(repr(value)), value):
            return repr(value)
    except (SyntaxError, ValueError):
        pass
    raise ValueError(f'{key}={value!r} cannot be written into a config; a number, a string, a '
                     'list, a tuple, a dict or a class of a module can')


def _is_importable(value: Any) -> bool:
    """Whether the name of a class or function leads to it."""
    try:
        if isinstance(value, ModuleType):
            return import_module(value.__name__) is value
        return reduce(getattr, value.__qualname__.split('.'),
                      import_module(value.__module__)) is value
    except Exception:  # whatever an import may raise
        return False

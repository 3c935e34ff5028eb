"""The hosts' packages as they are found: whole, with a light mmcv, broken, or not installed.

Nothing of them is imported before somebody asks for it, and what is wrong with one is no matter of
the other.
"""
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Optional

EXTENSION = 'mmcv._ext'
#: What puts mmcv with its operators in the place of one without; its source needs the second step,
#: where there is no wheel for this PyTorch.
REMEDY = ('pip uninstall -y mmcv mmcv-lite && pip install "setuptools<82" ninja psutil && '
          'MMCV_WITH_OPS=1 pip install --no-build-isolation "mmcv>=2.1.0,<2.2.0"')
NO_OPERATORS = f'and the mmcv of this environment has none: {REMEDY}'
#: Hosts that are of no use without these operators. Most of mmseg needs none.
NEED_OPERATORS = ('mmdet', )
#: The versions that slots were written for and are tested with.
TESTED = {'mmdet': '3.3.0', 'mmseg': '1.2.2'}


def import_host(module: str, user: str) -> None:
    """Import a module of a host.

    Args:
        module: ``'mmdet.models'``.
        user: What extends the host, for the message.

    Raises:
        ImportError: The host is not installed, cannot be imported, or lacks mmcv's operators; the
            message says which, and what to do.
    """
    host = module.split('.')[0]
    error = failure(module)
    if isinstance(error, ModuleNotFoundError) and error.name == host:
        raise ImportError(f'{user} extends {host}, which is not installed: '
                          f'pip install "mmups[{host}]"') from error
    if error:
        why = ' '.join(f'{type(error).__name__}: {error}'.split())
        raise ImportError(
            f'{user} extends {host}, which is installed and cannot be imported ({why}): pip '
            f'install "mmups[{host}]" brings what it needs, in versions that fit, and python -c '
            f'"import {module}" tells whether it works') from error
    if host in NEED_OPERATORS and not has_operators():
        raise ImportError(f'{user} extends {host}, which needs the compiled operators of mmcv, '
                          f'{NO_OPERATORS}')


@cache
def failure(module: str) -> Optional[Exception]:
    """What importing a module raises; None: nothing.

    The first attempt counts: after it parts of a host are registered, and another one would end in
    a complaint about these.
    """
    try:
        import_module(module)
    except Exception as error:  # a missing dependency, a refused version, whatever it may be
        return error
    return None


def has_operators() -> bool:
    """Whether the installed mmcv has its operators, or a user's own replacement of them."""
    return bool(sys.modules.get(EXTENSION) or find_spec(EXTENSION))


class _StandIn(ModuleType):
    """Has every operator; each says, when it is called, that it has to be compiled."""

    def __getattr__(self, name: str) -> Callable:
        if name.startswith('__'):
            raise AttributeError(f'module {self.__name__!r} has no attribute {name!r}')

        def operator(*args, **kwargs) -> Any:
            raise ImportError(f'{name} is one of the compiled operators of mmcv, {NO_OPERATORS}')
        return operator

    @staticmethod
    def get_compiler_version() -> str:
        return 'n/a'  # as mmcv's collect_env() says

    get_compiling_cuda_version = get_compiler_version


@contextmanager
def _in_place_of(name: str, module: Optional[ModuleType]) -> Iterator[None]:
    missing = object()
    before = sys.modules.get(name, missing)
    sys.modules[name] = module
    try:
        yield
    finally:
        if before is missing:
            del sys.modules[name]
        else:
            sys.modules[name] = before


@contextmanager
def _stand_in_for_operators() -> Iterator[None]:
    """``mmcv.ops`` loads its extension as soon as it is imported, and mmseg and mmdet import it.
    Where there is none (``mmcv-lite``), a stand-in takes its place during that import and no
    longer: ``find_spec('mmcv._ext')`` says afterwards, as before, that there is none."""
    if has_operators():
        yield
        return
    stand_in = _StandIn(EXTENSION)
    stand_in.__spec__ = ModuleSpec(EXTENSION, None)
    with _in_place_of(EXTENSION, stand_in):
        yield


@contextmanager
def _no_broken_mmdet() -> Iterator[None]:
    """mmseg imports mmdet, and is prepared for an absent one, not for one that is broken."""
    if failure('mmdet.models'):
        with _in_place_of('mmdet', None):  # as if it were absent
            yield
    else:
        yield


#: Module of a host -> what has to hold while it is imported.
CONDITIONS: dict[str, Callable[[], AbstractContextManager]] = {
    'mmcv.ops': _stand_in_for_operators,
    'mmseg.models': _no_broken_mmdet,
}


class _Finder(MetaPathFinder):
    """Finds what Python finds, and has it loaded under its condition."""

    def find_spec(self, name: str, path: Optional[list] = None,
                  target: Optional[ModuleType] = None) -> Optional[ModuleSpec]:
        if name not in CONDITIONS:
            return None
        if spec := PathFinder.find_spec(name, path):
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                with CONDITIONS[name]():
                    execute(module)
            spec.loader.exec_module = exec_module
        return spec


def prepare_imports() -> None:
    """From now on hosts are imported under :data:`CONDITIONS`. Imports none by itself."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())

"""mmcv without its compiled operators (``mmcv-lite``), which is enough for most of mmseg.

``mmcv.ops`` loads the extension ``mmcv._ext`` as soon as it is imported, and mmseg and mmdet import
``mmcv.ops``. Where there is no extension, a stand-in takes its place during that import and no
longer: ``find_spec('mmcv._ext')`` says afterwards, as before, that there is none.
"""
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Optional

EXTENSION = 'mmcv._ext'
#: What puts mmcv with its operators in the place of one without; from its source, which needs ninja
#: and psutil, where there is no wheel for this PyTorch.
REMEDY = ('pip uninstall -y mmcv mmcv-lite, then MMCV_WITH_OPS=1 pip install --no-build-isolation '
          '"mmcv>=2.1.0,<2.2.0" ninja psutil')


class _StandIn(ModuleType):
    """Has every operator; each says, when it is called, that it has to be compiled."""

    def __getattr__(self, name: str) -> Callable:
        if name.startswith('__'):
            raise AttributeError(f'module {self.__name__!r} has no attribute {name!r}')

        def operator(*args, **kwargs) -> Any:
            raise ImportError(f'{name} is one of the compiled operators of mmcv, and the mmcv of '
                              f'this environment has none: {REMEDY}')
        return operator

    @staticmethod
    def get_compiler_version() -> str:
        return 'n/a'  # as mmcv's collect_env() says

    get_compiling_cuda_version = get_compiler_version


@contextmanager
def _standing_in() -> Iterator[None]:
    missing = object()
    before = sys.modules.get(EXTENSION, missing)
    stand_in = sys.modules[EXTENSION] = _StandIn(EXTENSION)
    stand_in.__spec__ = ModuleSpec(EXTENSION, None)
    try:
        yield
    finally:
        if before is missing:
            del sys.modules[EXTENSION]
        else:
            sys.modules[EXTENSION] = before


class _OpsFinder(MetaPathFinder):
    """Finds ``mmcv.ops`` as Python does, and has it loaded beside the stand-in."""

    def find_spec(self, name: str, path: Optional[list] = None,
                  target: Optional[ModuleType] = None) -> Optional[ModuleSpec]:
        if name != 'mmcv.ops' or sys.modules.get(EXTENSION) or find_spec(EXTENSION):
            return None
        if spec := PathFinder.find_spec(name, path):
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                with _standing_in():
                    execute(module)
            spec.loader.exec_module = exec_module
        return spec


def accept_light_mmcv() -> None:
    """From now on ``mmcv.ops`` can be imported without ``mmcv._ext``. Imports nothing by itself."""
    if not any(isinstance(finder, _OpsFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _OpsFinder())

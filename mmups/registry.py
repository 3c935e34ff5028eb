"""Registries of scope ``mmups``, children of mmengine's.

``type='mmups.X'`` resolves from mmdet, mmseg, mmengine or any other OpenMMLab project: mmengine
imports this module by the prefix, and the modules in ``locations`` on the first look-up. mmengine
swallows an ImportError raised here, so nothing but mmengine is imported. A type that extends a
class of a host is imported, and the host with it, when it is asked for.
"""
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any, Optional, Union

from mmengine import registry as root

from .hosts import TESTED, failure, import_host


class Registry(root.Registry):
    """A registry of mmengine, with types that load together with their hosts.

    Args:
        args: As of mmengine's.
        kwargs: As of mmengine's.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._hosted: dict[str, tuple[str, str]] = {}  # name -> modules of the host and of mmups

    def register_hosted(self, host: str, module: str, names: Iterable[str]) -> None:
        """Announce types that extend a host's.

        Args:
            host: Module of the host that has to work, ``'mmdet.models'``.
            module: Module of mmups that registers ``names`` when it is imported.
            names: What it registers.

        Raises:
            KeyError: One of the names is taken.
        """
        for name in names:
            if (there := self.module_dict.get(name)) and not _within(there, module):
                raise KeyError(f'{name} is already registered in {self.name} at '
                               f'{there.__module__}')
            self._hosted[name] = host, module

    def register_package(self, package: str, host: str, files: Mapping[str, str]
                         ) -> tuple[Callable[[str], Callable], list[str]]:
        """Announce the types of a package whose files are imported one by one.

        Args:
            package: Its name.
            host: As in :meth:`register_hosted`.
            files: File -> names of the types in it, with spaces between them.

        Returns:
            The package's ``__getattr__`` and ``__all__``.

        Raises:
            KeyError: As in :meth:`register_hosted`.
        """
        modules = {name: f'{package}.{file}'
                   for file, names in files.items() for name in names.split()}
        for name, module in modules.items():
            self.register_hosted(host, module, (name, ))

        def __getattr__(name: str) -> Callable:
            if name not in modules:
                raise AttributeError(f'module {package!r} has no attribute {name!r}')
            self._load(host, modules[name], f'{self.scope}.{name}')
            return getattr(import_module(modules[name]), name)
        return __getattr__, sorted(modules)

    def host_of(self, kind: Union[str, Callable], scope: Optional[str]) -> str:
        """The package of a config's type, or the one that this type of mmups extends.

        Args:
            kind: The type, or its name.
            scope: Where names without a prefix are looked up.
        """
        if not isinstance(kind, str):
            kind = f'{getattr(kind, "__module__", "")}.{getattr(kind, "__name__", "")}'
        package, *_, short = (kind if '.' in kind else f'{scope}.{kind}').split('.')
        if package == self.scope and short in self._hosted:
            package = self._hosted[short][0].split('.')[0]
        return package

    def load_hosts(self) -> dict[str, ImportError]:
        """Import the types of all hosts.

        Returns:
            Host that cannot be used, ``'mmdet'``, or class of a host whose type of the same name
            cannot, ``'mmdet.FPN'`` -> why.
        """
        self.import_from_location()
        failed = {}
        for name, (host, module) in self._hosted.items():
            package = host.split('.')[0]
            if package in failed:
                continue
            try:
                import_host(host, self.scope)
            except ImportError as error:
                failed[package] = error
                continue
            try:
                self._load(host, module, f'{self.scope}.{name}')
            except ImportError as error:
                failed[f'{package}.{name}'] = error
        return failed

    def get(self, key: str) -> Optional[Callable]:
        """As mmengine's. A type whose host cannot be used is a function that says why."""
        self.import_from_location()
        path, _, name = str(key).removeprefix(f'{self.scope}.').rpartition('.')
        host, module = self._hosted.get(name, ('', ''))
        whole = f'{self.scope}.{path}.'  # mmups.models.det.FPN is what pure-Python configs dump
        if module and name not in self.module_dict and (not path or f'{module}.'.startswith(whole)):
            try:
                self._load(host, module, f'{self.scope}.{name}')
            except ImportError as error:
                return _missing(error)
        return super().get(key)

    @staticmethod
    def _load(host: str, module: str, user: str) -> None:
        import_host(host, user)
        if error := failure(module):
            package = host.split('.')[0]
            version = getattr(sys.modules[package], '__version__', '')
            raise ImportError(
                f'{user} does not fit {package} {version}, but {TESTED.get(package)}: pip install '
                f'"mmups[{package}]" brings a version that it fits ({error})') from error
        import_module(module)

    def _register_module(self, module: Callable, module_name: Union[str, list[str], None] = None,
                         force: bool = False) -> None:
        """As mmengine's. The name of a type that is not loaded yet is taken, too."""
        names = module_name or getattr(module, '__name__', ())
        for name in [names] if isinstance(names, str) else names:
            _, own = self._hosted.get(name, ('', ''))
            if own and name not in self.module_dict and not _within(module, own):
                if not force:
                    raise KeyError(f'{name} is already registered in {self.name} at {own}')
                self.get(name)  # before it is replaced
        super()._register_module(module, module_name, force)


def _within(registered: Callable, module: str) -> bool:
    return f'{registered.__module__}.'.startswith(f'{module}.')


def _missing(error: ImportError) -> Callable:

    def missing(*args, **kwargs):
        raise error
    return missing


MODELS = Registry('model', parent=root.MODELS, scope='mmups',
                  locations=['mmups.engine', 'mmups.models'])
DATASETS = Registry('dataset', parent=root.DATASETS, scope='mmups', locations=['mmups.datasets'])
METRICS = Registry('metric', parent=root.METRICS, scope='mmups', locations=['mmups.evaluation'])
TRANSFORMS = Registry('transform', parent=root.TRANSFORMS, scope='mmups',
                      locations=['mmups.datasets'])
LOOPS = Registry('loop', parent=root.LOOPS, scope='mmups', locations=['mmups.engine.robustness'])
STRATEGIES = Registry('strategy', parent=root.STRATEGIES, scope='mmups',
                      locations=['mmups.engine.fsdp'])

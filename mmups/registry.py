"""Registries of scope ``mmups``, children of mmengine's.

``type='mmups.X'`` resolves from mmdet, mmseg, mmengine or any other OpenMMLab project: mmengine
imports this module by the prefix, and the modules in ``locations`` on the first look-up. mmengine
swallows an ImportError raised here, so nothing but mmengine is imported.
"""
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec

from mmengine import registry as root

MODELS = root.Registry('model', parent=root.MODELS, scope='mmups',
                       locations=['mmups.engine', 'mmups.models'])
DATASETS = root.Registry('dataset', parent=root.DATASETS, scope='mmups',
                         locations=['mmups.datasets'])
METRICS = root.Registry('metric', parent=root.METRICS, scope='mmups',
                        locations=['mmups.evaluation'])
TRANSFORMS = root.Registry('transform', parent=root.TRANSFORMS, scope='mmups',
                           locations=['mmups.datasets'])


def register_hosted(registry: root.Registry, host: str, module: str, names: Iterable[str]) -> None:
    """Import the module that registers ``names``, or explain their absence.

    Args:
        registry: Where ``module`` registers.
        host: Package whose classes the module extends. Where it is not installed, each name
            becomes a function that says what to install, when a config asks for it.
        module: Module to import.
        names: What it registers.
    """
    if find_spec(host):
        import_module(module)
        return

    def explain(name):
        def missing(*args, **kwargs):
            raise ImportError(f'mmups.{name} extends {host}, which is not installed: '
                              f'pip install "mmups[{host}]"')
        return missing

    for name in names:
        registry.register_module(name=name, module=explain(name))

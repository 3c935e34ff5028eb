"""Registries of scope ``mmups``, children of mmengine's.

``type='mmups.X'`` resolves from mmdet, mmseg, mmengine or any other OpenMMLab project: mmengine
imports this module by the prefix, and the modules in ``locations`` on the first look-up. mmengine
swallows an ImportError raised here, so nothing but mmengine is imported.
"""
from mmengine import registry as root

MODELS = root.Registry('model', parent=root.MODELS, scope='mmups',
                       locations=['mmups.engine', 'mmups.models'])
DATASETS = root.Registry('dataset', parent=root.DATASETS, scope='mmups',
                         locations=['mmups.datasets'])
HOOKS = root.Registry('hook', parent=root.HOOKS, scope='mmups', locations=['mmups.engine'])

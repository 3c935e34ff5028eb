"""Registries of the project, children of mmengine's as those of every OpenMMLab package."""
from mmengine import registry as root

MODELS = root.Registry('model', parent=root.MODELS, scope='stereo')
DATASETS = root.Registry('dataset', parent=root.DATASETS, scope='stereo')
METRICS = root.Registry('metric', parent=root.METRICS, scope='stereo')

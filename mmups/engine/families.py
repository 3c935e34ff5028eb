"""Where OpenMMLab and its maintained fork (distributions ``onedl-*``, the same modules) differ.

What is installed is asked for by the feature that differs, never by a version or a name of a fork.
"""
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.runner.checkpoint import CheckpointLoader

from mmups.preset_files import CONFIGS


def name_hosts() -> None:
    """Let ``_base_ = 'mmseg::...'`` find mmseg, whichever distribution brought it.

    mmengine looks such names up by distribution, and the fork's table has OpenMMLab's.
    """
    for module in ('mmdet', 'mmseg'):
        try:
            distribution(MODULE2PACKAGE[module])
        except PackageNotFoundError:
            if find_spec(module):
                MODULE2PACKAGE[module] = module


def name_own_configs() -> None:
    """Let ``_base_ = 'mmups::FOLDER/NAME.py'`` find the configs and presets of this package.

    mmengine has a closed list of packages, and looks the types of their configs up in a scope of
    the package's name. The configs of mmups are in the scope of the host that they inherit.
    """
    inherited = Config._get_cfg_path

    def get_cfg_path(cfg_path, filename):
        if not str(cfg_path).startswith('mmups::'):
            return inherited(cfg_path, filename)
        path = CONFIGS / cfg_path.removeprefix('mmups::')
        if not path.is_file():
            raise FileNotFoundError(f'no config {cfg_path!r}: there is no {path}')
        return str(path), None

    Config._get_cfg_path = staticmethod(get_cfg_path)


def refuse_code() -> None:
    """Have mmengine read checkpoint files by ``torch.load`` as it is, in this process.

    mmengine 0.10.7 does so, and PyTorch 2.6 and newer then run no code of a file. The fork reads
    again without that protection what cannot be read with it.
    """

    def load_from_local(filename, map_location):  # the log has the name's end
        return torch.load(Path(filename).expanduser(), map_location=map_location)

    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)

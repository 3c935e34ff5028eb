"""Where OpenMMLab and its maintained fork (distributions ``onedl-*``, the same modules) differ.

What is installed is asked for by the feature that differs, never by a version or a name of a fork.
"""
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

import torch
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.runner.checkpoint import CheckpointLoader


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


def refuse_code() -> None:
    """Have mmengine read checkpoint files by ``torch.load`` as it is, in this process.

    mmengine 0.10.7 does so, and PyTorch 2.6 and newer then run no code of a file. The fork reads
    again without that protection what cannot be read with it.
    """

    def load_from_local(filename, map_location):  # the log has the name's end
        return torch.load(Path(filename).expanduser(), map_location=map_location)

    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)

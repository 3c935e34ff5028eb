"""Work without a GPU: memory, and several processes."""
import ctypes
import os
import platform
from typing import Optional

import torch.distributed
from mmengine.dist import is_distributed
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODEL_WRAPPERS
from mmengine.runner import Runner
from torch import nn

#: Parameters of glibc's mallopt.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> None:
    """Have the memory of tensors that were freed used again, up to 2 GiB of it.

    glibc returns blocks above 32 MiB to the system at once, and the next tensor of that size gets
    new pages, which the system has to fill with zeros first: half of the time of an interpolation.
    Where there is another C library, or the user has settings of malloc in the environment, all
    stays as it is.
    """
    own = any(name.startswith('MALLOC_') or name == 'GLIBC_TUNABLES' for name in os.environ)
    if platform.libc_ver()[0] == 'glibc' and not own:
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_TOP_PAD, 2**26)


def join_processes() -> None:
    """Join the processes of a launcher by gloo, before a runner does it by what needs GPUs."""
    if not is_distributed():
        torch.distributed.init_process_group('gloo')


class CPURunner(Runner):
    """mmengine's runner, which takes for granted that each process of a launcher has a GPU.

    Batch norms that synchronise over GPUs become plain ones, each with the statistics of its own
    process.
    """

    def wrap_model(self, model_wrapper_cfg: Optional[dict], model: nn.Module) -> nn.Module:
        wrapper = model_wrapper_cfg or dict(
            broadcast_buffers=False,
            find_unused_parameters=self.cfg.get('find_unused_parameters', False))
        return MODEL_WRAPPERS.build(dict(dict(type='MMDistributedDataParallel'), **wrapper),
                                    default_args=dict(module=revert_sync_batchnorm(model)))

"""Several processes without a GPU."""
from typing import Optional

import torch.distributed
from mmengine.dist import is_distributed
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODEL_WRAPPERS
from mmengine.runner import Runner
from torch import nn


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

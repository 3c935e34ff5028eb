"""Fully sharded training by mmengine, mended where PyTorch has moved on."""
from typing import Any, Optional, Union

from mmengine._strategy import FSDPStrategy as _FSDPStrategy
from mmengine.device import get_device
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import BaseOptimWrapper
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.nn.utils import clip_grad_norm_

from mmups.registry import STRATEGIES


@STRATEGIES.register_module()
class FSDPStrategy(_FSDPStrategy):
    """mmengine's strategy, for ``FlexibleRunner``; what it does differently:

    - ``clip_grad`` of an optimizer wrapper clips by the norm of all gradients. mmengine takes that
      of each process's own shards for it, and the processes then scale theirs differently.
    - Training resumes. mmengine passes PyTorch 2.1 and newer the arguments in their old order.
    - A checkpoint is one file by default, as a single process would have written it, which every
      tool reads.
    - It works without GPUs, over gloo; batch norms that synchronise become plain ones there.

    Args:
        state_dict_cfg: As mmengine's; 'full': one file, 'local': a folder with one per process.
        kwargs: As mmengine's.
    """

    def __init__(self, *, state_dict_cfg: Union[str, dict] = 'full', **kwargs: Any):
        super().__init__(state_dict_cfg=state_dict_cfg, **kwargs)

    def _wrap_model(self, model: nn.Module) -> nn.Module:
        if get_device() == 'cpu':
            model = revert_sync_batchnorm(model)
            self.model_wrapper = {'device_id': 'cpu', **(self.model_wrapper or {})}
            # Offloaded from a CPU to itself, the weights are freed before they are copied.
            for config in (self.state_dict_config, self.optim_state_dict_config):
                config.offload_to_cpu = False
        return super()._wrap_model(model)

    def build_optim_wrapper(self, optim_wrapper: Union[BaseOptimWrapper, dict],
                            model: Optional[nn.Module] = None) -> BaseOptimWrapper:
        wrapper = super().build_optim_wrapper(optim_wrapper, model)
        if getattr(wrapper, 'clip_func', None) is clip_grad_norm_:
            wrapper.clip_func = lambda parameters, **kwargs: model.clip_grad_norm_(**kwargs)
        return wrapper

    def load_optim_state_dict(self, state_dict: dict) -> None:
        self.optim_wrapper.load_state_dict(FullyShardedDataParallel.optim_state_dict_to_load(
            model=self.model, optim=self.optim_wrapper.optimizer, optim_state_dict=state_dict))

"""mmcv's CUDA kernel of CARAFE (Apache-2.0), where mmcv is installed with its operators."""
from functools import cache
from importlib.util import find_spec
from typing import Callable, Optional, Union

import torch
from torch import Tensor

from ..shuffle import pixel_shuffle


def missing() -> Optional[str]:
    found = _carafe()
    return found if isinstance(found, str) else None


def serves(operator: str, x: Tensor) -> bool:
    """The compiler cannot look into mmcv's operators, and they know no double precision."""
    return (operator == 'reassemble' and x.is_cuda and x.dtype != torch.float64
            and not torch.compiler.is_compiling())


def reassemble(x: Tensor, kernels: Tensor, kernel_size: int, groups: int,
               scale_factor: int) -> Tensor:
    fine = pixel_shuffle(kernels.float(), scale_factor).contiguous()
    return _carafe()(x.float().contiguous(), fine, kernel_size, groups, scale_factor).to(x.dtype)


@cache
def _carafe() -> Union[Callable, str]:
    """mmcv's operator, or what keeps it from being used."""
    way_out = 'install mmcv with its operators for CUDA, e.g. mmcv==2.1.0 from source'
    try:
        if find_spec('mmcv._ext') is None:
            return f'mmcv is installed without its compiled operators; {way_out}'
        from mmcv.ops import carafe, get_compiling_cuda_version
        if get_compiling_cuda_version() == 'not available':
            return f"mmcv's operators were built without CUDA; {way_out}"
    except Exception as error:  # whatever a broken mmcv raises; PyTorch computes the same
        return f'importing mmcv.ops raises {type(error).__name__}: {error}; {way_out}'
    return carafe

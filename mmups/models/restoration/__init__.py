"""Own hosts for image restoration, which need PyTorch and mmengine only."""
from .nafnet import NAFNet, NAFNetLocal

__all__ = ['NAFNet', 'NAFNetLocal']

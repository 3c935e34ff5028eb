"""Own hosts for image restoration, which need PyTorch and mmengine only."""
from .nafnet import NAFNet, NAFNetLocal
from .restormer import Restormer

__all__ = ['NAFNet', 'NAFNetLocal', 'Restormer']

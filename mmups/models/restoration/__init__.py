"""Own hosts for image restoration, which need PyTorch and mmengine only."""
from .image_restorer import ImageRestorer, RestorationDataPreprocessor
from .losses import PSNRLoss
from .nafnet import NAFNet, NAFNetLocal
from .restormer import Restormer

__all__ = ['ImageRestorer', 'NAFNet', 'NAFNetLocal', 'PSNRLoss', 'RestorationDataPreprocessor',
           'Restormer']

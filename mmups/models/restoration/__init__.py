"""Image restoration: hosts of its own, which need PyTorch and mmengine only."""
from .image_restorer import ImageRestorer, RestorationDataPreprocessor
from .losses import PSNRLoss

__all__ = ['ImageRestorer', 'PSNRLoss', 'RestorationDataPreprocessor']

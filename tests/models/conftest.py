"""What the tests of the slots share."""
import pytest
import torch


@pytest.fixture
def pyramid():
    """``pyramid(size, channels)``: random maps of a backbone whose finest one has ``size``.

    ResNet, MiT and most others round odd sizes up, ConvNeXt rounds down.
    """
    def make(size, channels=(8, 16, 24, 32), rounding='up'):
        generator = torch.Generator().manual_seed(0)
        maps = []
        for c in channels:
            maps.append(torch.randn(2, c, *size, generator=generator))
            size = tuple((n + (rounding == 'up')) // 2 for n in size)
        return tuple(maps)
    return make

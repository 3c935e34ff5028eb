"""Parameter counts without memory, and weights that matter."""
import pytest
import torch


@pytest.fixture
def count():
    """``count(cls, **args)``: parameters of the network and keys of its state dict."""
    def count(cls, **args):
        with torch.device('meta'):
            net = cls(**args)
        return sum(p.numel() for p in net.parameters()), len(net.state_dict())
    return count


@pytest.fixture
def draw():
    """Draw all parameters anew: NAFNet's blocks start as the identity."""
    def draw(net, std=0.2):
        torch.manual_seed(0)
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, std=std)
        return net
    return draw

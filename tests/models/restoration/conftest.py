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


@pytest.fixture
def half_precision():
    """Hold a network in bfloat16 throughout to itself in float32."""
    def half_precision(net):
        image = torch.rand(2, 3, 13, 18)
        expected = net(image)
        out = net.bfloat16()(image.bfloat16())
        assert out.dtype == torch.bfloat16
        torch.testing.assert_close(out.float(), expected, rtol=0.05, atol=0.05)
    return half_precision

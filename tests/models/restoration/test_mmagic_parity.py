"""Both networks against mmagic's, from the files that hold them; skipped where it is not installed.

``import mmagic.models`` needs what no recent environment has. These files need PyTorch, einops and
mmengine only, and are imported without the packages around them:
``pip install --no-deps mmagic==1.2.0 einops``.
"""
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
import torch

from mmups.models import NAFNet, NAFNetLocal, Restormer

pytestmark = [
    pytest.mark.skipif(not find_spec('mmagic') or not find_spec('einops'),
                       reason='mmagic and einops are not installed'),
    pytest.mark.filterwarnings('ignore:.*saved_variables:DeprecationWarning')]


def leaf(monkeypatch, name):
    """A module of mmagic, with empty packages around it."""
    parts = name.split('.')
    root = Path(find_spec('mmagic').origin).parent
    for depth in range(1, len(parts)):
        package = ModuleType('.'.join(parts[:depth]))
        package.__path__ = [str(root.joinpath(*parts[1:depth]))]
        monkeypatch.setitem(sys.modules, package.__name__, package)
    return import_module(name)


def hold(ours, theirs, sizes, make=lambda size: torch.rand(2, 3, *size)):
    """Keys in their order, outputs and gradients, with parameters drawn anew."""
    torch.manual_seed(0)
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    for size in sizes:
        image = make(size)
        outs = ours(image), theirs(image)
        torch.testing.assert_close(*outs, rtol=1e-4, atol=1e-4 * outs[1].abs().max().item())
        grads = [torch.autograd.grad(out.square().mean(), list(net.parameters()))
                 for out, net in zip(outs, (ours, theirs))]
        for grad, expected in zip(*grads):
            assert (grad - expected).norm() <= 1e-3 * expected.norm()


NAFNET = dict(mid_channels=8, enc_blk_nums=[1, 2], dec_blk_nums=[1, 1], middle_blk_num=2)


def test_nafnet(monkeypatch):
    module = leaf(monkeypatch, 'mmagic.models.editors.nafnet.nafnet_net')
    hold(NAFNet(**NAFNET), module.NAFNet(**NAFNET), [(32, 48), (45, 30)])


@pytest.mark.parametrize('train_size', [(1, 3, 32, 48), (1, 3, 30, 41)], ids=str)
def test_nafnet_local(train_size, monkeypatch):
    """On patches, beyond them in one direction, and in both."""
    module = leaf(monkeypatch, 'mmagic.models.editors.nafnet.nafnet_net')
    args = dict(NAFNET, train_size=train_size)
    hold(NAFNetLocal(**args), module.NAFNetLocal(**args), [(32, 48), (37, 200), (100, 130)])


@pytest.mark.parametrize('args', [
    {}, dict(LayerNorm_type='BiasFree', bias=True), dict(heads=[2, 2, 1, 4])], ids=str)
def test_restormer(args, monkeypatch):
    module = leaf(monkeypatch, 'mmagic.models.editors.restormer.restormer_net')
    args = dict(args, dim=8, num_blocks=[1, 2, 1, 1], num_refinement_blocks=1)
    hold(Restormer(**args), module.Restormer(**args), [(16, 24), (45, 30)])


def test_restormer_of_two_pictures(monkeypatch):
    module = leaf(monkeypatch, 'mmagic.models.editors.restormer.restormer_net')
    args = dict(dim=8, num_blocks=[1] * 4, num_refinement_blocks=1, dual_pixel_task=True,
                inp_channels=6)
    hold(Restormer(**args), module.Restormer(**args), [(45, 30)], lambda size: dict(
        imgL=torch.rand(2, 3, *size), imgR=torch.rand(2, 3, *size)))

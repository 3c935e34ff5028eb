"""mmups.FCNMaskHead is mmdet's FCNMaskHead with another upsampler."""
import pytest
import torch
from mmdet.models.roi_heads.mask_heads import FCNMaskHead as HostFCNMaskHead
from mmengine.registry import MODELS as ROOT

from mmups.models.det import FCNMaskHead
from mmups.models.upsamplers import Deconv, DySample

SMALL = dict(in_channels=8, conv_out_channels=16, num_classes=3)
INTERPOLATION = dict(type='bilinear', scale_factor=2)
BN = dict(type='BN')

# Every option of mmdet's FCNMaskHead but ``upsample_cfg``.
OPTIONS = {
    'plain': dict(),
    'one-conv': dict(num_convs=1),
    'no-conv': dict(num_convs=0),
    'kernel': dict(num_convs=2, conv_kernel_size=5, roi_feat_size=7),
    'norm': dict(num_convs=2, norm_cfg=BN),
    'conv': dict(num_convs=2, conv_cfg=dict(type='ConvWS')),
    'agnostic': dict(num_convs=1, class_agnostic=True),
    'predictor': dict(num_convs=1, predictor_cfg=dict(type='mmdet.NormedConv2d', power=2.0)),
    'loss': dict(num_convs=1, loss_mask=dict(type='CrossEntropyLoss', use_mask=True)),
}


def assert_parity(ours, host, rois):
    assert list(ours.state_dict()) == list(host.state_dict())
    for source, target in ((ours, host), (host, ours)):
        for parameter in source.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        target.load_state_dict(source.state_dict())
        assert torch.equal(ours(rois), host(rois))


@pytest.mark.parametrize('size', [(14, 14), (7, 9)], ids=['even', 'odd'])
@pytest.mark.parametrize('upsample_cfg', [
    None, dict(type='deconv', scale_factor=2), dict(type='deconv', scale_factor=3),
    dict(type='nearest', scale_factor=2), dict(type='bilinear', scale_factor=4),
    dict(type=None)], ids=str)
@pytest.mark.parametrize('kwargs', OPTIONS.values(), ids=OPTIONS)
def test_parity_without_upsampler(kwargs, upsample_cfg, size):
    """mmdet's own key, and its default, mean the same here."""
    kwargs = dict(SMALL, **kwargs, **({} if upsample_cfg is None else
                                      dict(upsample_cfg=upsample_cfg)))
    assert_parity(FCNMaskHead(**kwargs), HostFCNMaskHead(**kwargs), torch.randn(3, 8, *size))


@pytest.mark.parametrize('size', [(14, 14), (7, 9)], ids=['even', 'odd'])
@pytest.mark.parametrize('scale', [2, 3])
@pytest.mark.parametrize('mode', ['nearest', 'bilinear'])
@pytest.mark.parametrize('kwargs', OPTIONS.values(), ids=OPTIONS)
def test_parity_with_upsampler(kwargs, mode, scale, size):
    """The scale is still that of ``upsample_cfg``, whatever its type."""
    ours = FCNMaskHead(**SMALL, **kwargs, upsampler=dict(mode=mode),
                       upsample_cfg=dict(type='carafe', scale_factor=scale))
    host = HostFCNMaskHead(**SMALL, **kwargs, upsample_cfg=dict(type=mode, scale_factor=scale))
    assert_parity(ours, host, torch.randn(3, 8, *size))


def test_carafe_of_mmdet_still_builds():
    """mmcv has no CPU kernel for its CARAFE, so only the weights are compared."""
    kwargs = dict(SMALL, upsample_cfg=dict(type='carafe', scale_factor=2, up_kernel=5, up_group=1,
                                           encoder_kernel=3, encoder_dilation=1))
    assert list(FCNMaskHead(**kwargs).state_dict()) == list(HostFCNMaskHead(**kwargs).state_dict())


@pytest.mark.parametrize('upsample_cfg', [None, dict(type='deconv'), dict(type='deconv',
                                                                         scale_factor=2)])
def test_scale_defaults_to_two(upsample_cfg):
    head = ROOT.build(dict(type='mmups.FCNMaskHead', upsampler=dict(type='DySample'),
                           upsample_cfg=upsample_cfg, **SMALL))
    assert type(head.upsample_modules[0]) is DySample
    assert head(torch.randn(2, 8, 14, 14)).shape == (2, 3, 28, 28)


def test_rectified_like_mmdets_deconv():
    """With a transposed convolution on both sides the heads agree, with the ReLU that mmdet has."""
    ours = FCNMaskHead(**SMALL, upsampler=dict(type='Deconv', kernel_size=2))
    host = HostFCNMaskHead(**SMALL)
    assert type(ours.upsample_modules[0]) is Deconv
    host.load_state_dict({key.replace('upsample_modules.0', 'upsample'): value
                          for key, value in ours.state_dict().items()})
    rois = torch.randn(3, 8, 14, 14)
    torch.testing.assert_close(ours(rois), host(rois))


def test_stock_checkpoint_loads():
    """Of a stock checkpoint everything loads but mmdet's deconv, whose place is taken."""
    ours, host = FCNMaskHead(**SMALL, upsampler=dict(type='DySample')), HostFCNMaskHead(**SMALL)
    added = {f'upsample_modules.0.{key}' for key in ('offset.weight', 'offset.bias', 'init_pos')}
    missing, unexpected = ours.load_state_dict(host.state_dict(), strict=False)
    assert (set(missing), set(unexpected)) == (added, {'upsample.weight', 'upsample.bias'})
    missing, unexpected = host.load_state_dict(ours.state_dict(), strict=False)
    assert (set(missing), set(unexpected)) == ({'upsample.weight', 'upsample.bias'}, added)

"""mmups.PanopticFPNHead is mmdet's PanopticFPNHead with another upsampler."""
import pytest
import torch
from mmdet.models.seg_heads import PanopticFPNHead as HostPanopticFPNHead
from mmengine.registry import MODELS as ROOT

from mmups.models.det import PanopticFPNHead

SMALL = dict(num_things_classes=3, num_stuff_classes=4, in_channels=16, inner_channels=32)
CHANNELS = [16] * 5

# Every option of mmdet's PanopticFPNHead.
OPTIONS = {
    'plain': dict(),
    'start': dict(start_level=1),
    'end': dict(end_level=3),
    'one-level': dict(start_level=2, end_level=3),
    'five-levels': dict(end_level=5),
    'norm': dict(norm_cfg=dict(type='BN')),
    'no-norm': dict(norm_cfg=None),
    'conv': dict(conv_cfg=dict(type='ConvWS')),
    'loss': dict(loss_seg=dict(type='CrossEntropyLoss', ignore_index=255, loss_weight=0.5)),
    'init': dict(init_cfg=dict(type='Normal', layer='Conv2d', std=0.1)),
}


@pytest.mark.parametrize('upsampler', [None, dict(mode='bilinear')])
@pytest.mark.parametrize('size', [(32, 48), (16, 80)])
@pytest.mark.parametrize('kwargs', OPTIONS.values(), ids=OPTIONS)
def test_parity(pyramid, kwargs, size, upsampler):
    """Same keys in the same order, state dicts that load both ways, and the same numbers."""
    inputs = pyramid(size, CHANNELS)
    ours = PanopticFPNHead(**SMALL, **kwargs, upsampler=upsampler)
    host = HostPanopticFPNHead(**SMALL, **kwargs)
    assert list(ours.state_dict()) == list(host.state_dict())
    for source, target in ((ours, host), (host, ours)):
        source.init_weights()
        for parameter in source.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        target.load_state_dict(source.state_dict())
        outs, expected = ours(inputs), host(inputs)
        assert outs.keys() == expected.keys()
        assert all(torch.equal(outs[key], expected[key]) for key in expected)


def test_odd_sizes_are_refused_as_by_mmdet(pyramid):
    """The branches only meet where every level is half of the next finer one."""
    inputs = pyramid((37, 53), CHANNELS)
    for cls in (HostPanopticFPNHead, PanopticFPNHead):
        with pytest.raises(RuntimeError, match='stack'):
            cls(**SMALL)(inputs)


def test_upsamplers_per_level(pyramid):
    """0, 1, 2 and 3 of them, as many as mmdet interpolates."""
    head = ROOT.build(dict(type='mmups.PanopticFPNHead', upsampler=dict(type='DySample'), **SMALL))
    assert [len(layer.upsample_modules) for layer in head.conv_upsample_layers] == [0, 1, 2, 3]
    assert head(pyramid((32, 48), CHANNELS))['seg_preds'].shape == (2, 5, 32, 48)


def test_stock_checkpoint_loads():
    """A stock checkpoint lacks the upsamplers' weights and nothing else."""
    ours, host = PanopticFPNHead(**SMALL, upsampler=dict(type='DySample')), HostPanopticFPNHead(
        **SMALL)
    added = {f'conv_upsample_layers.{level}.upsample_modules.{i}.{key}'
             for level in range(4) for i in range(level)
             for key in ('offset.weight', 'offset.bias', 'init_pos')}
    missing, unexpected = ours.load_state_dict(host.state_dict(), strict=False)
    assert (set(missing), unexpected) == (added, [])
    missing, unexpected = host.load_state_dict(ours.state_dict(), strict=False)
    assert (missing, set(unexpected)) == ([], added)

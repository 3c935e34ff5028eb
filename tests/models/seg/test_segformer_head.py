"""mmups.SegformerHead is mmseg's SegformerHead with another upsampler."""
import pytest
import torch
from mmengine.registry import MODELS as ROOT
from mmseg.models.decode_heads import SegformerHead as HostSegformerHead

from mmups.models.seg import SegformerHead

CHANNELS = [8, 16, 24, 32]
SMALL = dict(in_channels=CHANNELS, in_index=[0, 1, 2, 3], channels=16, num_classes=5,
             norm_cfg=dict(type='BN'))

# Options of mmseg's SegformerHead, and of what it inherits where forward uses it.
OPTIONS = {
    'plain': dict(),
    'aligned': dict(align_corners=True),
    'bicubic': dict(interpolate_mode='bicubic'),
    'area': dict(interpolate_mode='area', align_corners=None),
    'nearest': dict(interpolate_mode='nearest', align_corners=None),
    'no-norm': dict(norm_cfg=None),
    'act': dict(act_cfg=dict(type='GELU')),
    'no-dropout': dict(dropout_ratio=0),
    'three-levels': dict(in_channels=CHANNELS[1:], in_index=[1, 2, 3]),
    'two-levels': dict(in_channels=CHANNELS[::3], in_index=[0, 3]),
    'one-level': dict(in_channels=CHANNELS[2:3], in_index=[2]),
    'threshold': dict(num_classes=2, out_channels=1, threshold=0.3,
                      loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)),
    'init': dict(init_cfg=None),
}


@pytest.mark.parametrize('size, rounding', [((32, 48), 'up'), ((37, 53), 'up'),
                                            ((37, 53), 'down')], ids=['even', 'odd', 'floor'])
@pytest.mark.parametrize('kwargs, explicit', [
    pytest.param(kwargs, explicit, id=f'{name}-{"upsampler" if explicit else "default"}')
    for name, kwargs in OPTIONS.items() for explicit in (False, True)
    if not (explicit and name == 'one-level')])
def test_parity(pyramid, kwargs, explicit, size, rounding):
    """Same keys in the same order, state dicts that load both ways, and the same numbers."""
    inputs = pyramid(size, rounding=rounding)
    kwargs = {**SMALL, **kwargs}
    host = HostSegformerHead(**kwargs)
    if explicit:
        mode = kwargs.pop('interpolate_mode', 'bilinear')
        kwargs['upsampler'] = dict(mode=mode, align_corners=kwargs.get('align_corners', False))
    ours = SegformerHead(**kwargs)
    assert list(ours.state_dict()) == list(host.state_dict())
    for source, target in ((ours, host), (host, ours)):
        for parameter in source.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        target.load_state_dict(source.state_dict())
        outs = []
        for head in (ours, host):
            torch.manual_seed(0)  # for the dropout
            outs.append(head(inputs))
        assert torch.equal(*outs)


def test_nearest_needs_no_other_key(pyramid):
    """mmseg's nearest mode only works beside ``align_corners=None``."""
    kwargs = dict(SMALL, interpolate_mode='nearest')
    with pytest.raises(ValueError, match='align_corners'):
        HostSegformerHead(**kwargs)(pyramid((32, 48)))
    ours, host = SegformerHead(**kwargs), HostSegformerHead(**kwargs, align_corners=None)
    ours.load_state_dict(host.state_dict())
    assert torch.equal(ours.eval()(pyramid((32, 48))), host.eval()(pyramid((32, 48))))


def test_loss_and_prediction_parity(pyramid):
    """What mmseg does around forward is untouched."""
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample
    inputs = pyramid((16, 24))
    host = HostSegformerHead(**SMALL, dropout_ratio=0)
    ours = SegformerHead(**SMALL, dropout_ratio=0)
    ours.load_state_dict(host.state_dict())
    labels = torch.randint(0, 5, (2, 1, 64, 96))
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]
    assert ours.loss(inputs, samples, None) == host.loss(inputs, samples, None)
    metas = [dict(img_shape=(64, 96))] * 2
    assert torch.equal(ours.predict(inputs, metas, None), host.predict(inputs, metas, None))


@pytest.mark.parametrize('levels', [2, 3, 4])
def test_number_of_upsamplers(pyramid, levels):
    """One per rung: 3 + 2 + 1 for four levels."""
    head = ROOT.build(dict(SMALL, type='mmups.SegformerHead', upsampler=dict(type='DySample'),
                           in_channels=CHANNELS[:levels], in_index=list(range(levels))))
    assert len(head.upsample_modules) == levels * (levels - 1) // 2
    assert head(pyramid((37, 53))).shape == (2, 5, 37, 53)


def test_stock_checkpoint_loads():
    """A stock checkpoint lacks the upsamplers' weights and nothing else."""
    ours, host = SegformerHead(**SMALL, upsampler=dict(type='DySample')), HostSegformerHead(**SMALL)
    added = {f'upsample_modules.{i}.{key}' for i in range(6)
             for key in ('offset.weight', 'offset.bias', 'init_pos')}
    missing, unexpected = ours.load_state_dict(host.state_dict(), strict=False)
    assert (set(missing), unexpected) == (added, [])
    missing, unexpected = host.load_state_dict(ours.state_dict(), strict=False)
    assert (missing, set(unexpected)) == ([], added)

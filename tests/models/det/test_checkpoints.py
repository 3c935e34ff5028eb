"""The authors' detection checkpoints load, those of DySample and of what came after it.

Their files are not at hand; the format is put together here from what is public about their code:
key names, shapes and the layout of ``init_pos``.
"""
import pytest
import torch
from mmengine.registry import MODELS as ROOT
from mmengine.runner import load_checkpoint
from torch import nn

C, IN = 16, [8, 16, 24, 32]
GROUPS = 4


def add_conv(state, name, inputs, outputs, kernel, bias=True):
    state[f'neck.{name}.weight'] = torch.randn(outputs, inputs, kernel, kernel)
    if bias:
        state[f'neck.{name}.bias'] = torch.randn(outputs)


def pyramid_state(levels):
    """State dict of a detector's neck: convolutions of a pyramid with ``levels`` laterals."""
    state = {}
    for i in range(levels):
        inputs = (IN + IN[-1:] + [C] * levels)[i]
        add_conv(state, f'lateral_convs.{i}.conv', inputs, C, 1 if i < 4 else 3)
        add_conv(state, f'fpn_convs.{i}.conv', C, C, 3)
    return state


def authors_state(levels, dyscope, scope_bias):
    """A pyramid and one DySample between each two levels."""
    state = pyramid_state(levels)
    for i in range(levels - 1):
        # x of the four sub-pixels, row by row, for each group, then their y
        x, y = [-0.25, 0.25, -0.25, 0.25], [-0.25, -0.25, 0.25, 0.25]
        state[f'neck.upsample_modules.{i}.init_pos'] = torch.tensor(
            x * GROUPS + y * GROUPS).reshape(1, -1, 1, 1)
        add_conv(state, f'upsample_modules.{i}.offset', C, 8 * GROUPS, 1)
        if dyscope:
            add_conv(state, f'upsample_modules.{i}.scope', C, 8 * GROUPS, 1, bias=scope_bias)
    return state


def lda_aqu_state(levels):
    """A pyramid and one LDA-AQU between each two levels, as its one released model has them."""
    state = pyramid_state(levels)
    for i in range(levels - 1):
        name = f'upsample_modules.{i}'
        for norm, channels in (('layer_norm.norm', C), ('conv_offset.1.norm', C // 8)):
            for key in ('weight', 'bias'):
                state[f'neck.{name}.{norm}.{key}'] = torch.randn(channels)
        add_conv(state, f'{name}.proj_q', C, C // 4, 1, bias=False)
        add_conv(state, f'{name}.proj_k', C, C // 4, 1, bias=False)
        state[f'neck.{name}.conv_offset.0.weight'] = torch.randn(C // 8, 1, 3, 3)
        add_conv(state, f'{name}.conv_offset.3', C // 8, 18, 3)
        state[f'neck.{name}.relative_position_bias_table'] = torch.randn(1, 1, 1, 9, C // 4)
    return state


def dlu_state(levels):
    """The same with DLU."""
    state = pyramid_state(levels)
    for i in range(levels - 1):
        name = f'upsample_modules.{i}'
        add_conv(state, f'{name}.channel_compressor', C, 64, 1)
        add_conv(state, f'{name}.kernel_space_generator', 64, 25, 3)
        add_conv(state, f'{name}.conv_offset', 64, 8, 3)
    return state


class Detector(nn.Module):
    """As much of a detector as the checkpoint has keys for."""

    def __init__(self, **neck):
        super().__init__()
        self.neck = ROOT.build(dict(type='mmups.FPN', in_channels=IN, out_channels=C, num_outs=5,
                                    **neck))
        self.neck.init_weights()


@pytest.fixture
def checkpoint(tmp_path):
    """``checkpoint(state)``: file in the form in which checkpoints are published."""
    def save(state):
        path = tmp_path / 'epoch_12.pth'
        torch.save(dict(meta=dict(cfg='', epoch=12, iter=87960), state_dict=state), path)
        return str(path)
    return save


@pytest.mark.parametrize('levels', [4, 5], ids=['plain', 'p6'])
@pytest.mark.parametrize('dyscope, scope_bias', [(False, False), (True, True), (True, False)],
                         ids=['dysample', 'plus', 'plus-without-bias'])
@pytest.mark.parametrize('strict', [True, False])
def test_loads(checkpoint, levels, dyscope, scope_bias, strict):
    """Every value arrives; a scope without bias has bias zero."""
    state = authors_state(levels, dyscope, scope_bias)
    model = Detector(upsampler=dict(type='DySample', groups=GROUPS, dyscope=dyscope),
                     top_down_extra_levels=levels == 5)
    for module in model.neck.upsample_modules:
        if dyscope:  # as after training, so that a bias left behind would show
            nn.init.ones_(module.scope.bias)
    load_checkpoint(model, checkpoint(state), strict=strict)
    loaded = model.state_dict()
    for key, value in state.items():
        assert torch.equal(loaded.pop(key), value), key
    assert loaded.keys() == {f'neck.upsample_modules.{i}.scope.bias' for i in range(levels - 1)
                             if dyscope and not scope_bias}
    assert not any(value.any() for value in loaded.values())


@pytest.mark.parametrize('levels', [4, 5], ids=['plain', 'p6'])
@pytest.mark.parametrize('kind, make', [('LDAAQU', lda_aqu_state), ('DLU', dlu_state)],
                         ids=['LDAAQU', 'DLU'])
def test_successors_load(checkpoint, kind, make, levels):
    """Every key arrives, and there is no other."""
    state = make(levels)
    model = Detector(upsampler=dict(type=kind), top_down_extra_levels=levels == 5)
    load_checkpoint(model, checkpoint(state), strict=True)
    assert model.state_dict().keys() == state.keys()
    for key, value in model.state_dict().items():
        assert torch.equal(state[key], value), key


@pytest.mark.parametrize('strict', [True, False])
def test_freqfusion_under_its_authors_name(checkpoint, strict):
    """Their pyramid has P6 in its top-down path, and the modules in ``alignment``."""
    args = dict(upsampler=dict(type='FreqFusion'), top_down_extra_levels=True)
    source, model = Detector(**args), Detector(**args)
    for parameter in source.parameters():
        nn.init.normal_(parameter)
    state = {key.replace('upsample_modules', 'alignment'): value
             for key, value in source.state_dict().items()}
    assert 'neck.alignment.3.dysampler.hr_direct_scale.weight' in state
    load_checkpoint(model, checkpoint(state), strict=strict)
    for key, value in source.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key


def test_init_pos_is_the_authors():
    """Nothing changes by loading theirs, so a checkpoint without it would do as well."""
    state = authors_state(4, False, False)
    model = Detector(upsampler=dict(type='DySample', groups=GROUPS))
    for key in state:
        if key.endswith('init_pos'):
            assert torch.equal(model.state_dict()[key], state[key])


@pytest.mark.parametrize('levels, needed', [(4, False), (5, True)])
@pytest.mark.parametrize('strict', [True, False])
def test_wrong_topology(checkpoint, levels, needed, strict):
    """The error names the option, and mmengine's lenient loading does not swallow it."""
    path = checkpoint(authors_state(levels, False, False))
    model = Detector(upsampler=dict(type='DySample'), top_down_extra_levels=not needed)
    with pytest.raises(ValueError, match=f'top_down_extra_levels={needed} in the neck'):
        load_checkpoint(model, path, strict=strict)


def test_wrong_topology_as_initialisation(checkpoint):
    """Nor does ``init_cfg``."""
    path = checkpoint(authors_state(4, False, False))
    init_cfg = dict(type='Pretrained', checkpoint=path, prefix='neck.')
    with pytest.raises(ValueError, match='top_down_extra_levels=False'):
        Detector(upsampler=dict(type='DySample'), top_down_extra_levels=True, init_cfg=init_cfg)


@pytest.mark.parametrize('extra', [False, True])
def test_partial_checkpoints_are_no_topology(extra):
    """A state dict without laterals (of a backbone, say) says nothing about the neck."""
    model = Detector(top_down_extra_levels=extra)
    missing, unexpected = model.load_state_dict({'backbone.conv1.weight': torch.ones(1)},
                                                strict=False)
    assert len(missing) == len(model.state_dict()) and unexpected == ['backbone.conv1.weight']


def test_topology_of_norms(checkpoint):
    """Convolutions tell the topology also where each has a norm behind it."""
    options = dict(norm_cfg=dict(type='BN'), upsampler=dict(type='DySample'))
    path = checkpoint(Detector(**options, top_down_extra_levels=True).state_dict())
    load_checkpoint(Detector(**options, top_down_extra_levels=True), path, strict=True)
    with pytest.raises(ValueError, match='top_down_extra_levels=True'):
        load_checkpoint(Detector(**options), path)


def test_checkpoint_of_fpn_carafe(checkpoint):
    """mmdet's FPN_CARAFE with mmcv's CARAFE, as its configs have it: key by key, strictly."""
    pytest.importorskip('mmcv.ops')
    carafe = dict(type='carafe', up_kernel=5, up_group=1, encoder_kernel=3, encoder_dilation=1)
    neck = dict(in_channels=IN, out_channels=C, num_outs=5)
    host = ROOT.build(dict(neck, type='mmdet.FPN_CARAFE', start_level=0, end_level=-1,
                           norm_cfg=None, act_cfg=None, order=('conv', 'norm', 'act'),
                           upsample_cfg=carafe))
    path = checkpoint({f'neck.{key}': value for key, value in host.state_dict().items()})
    model = Detector(upsampler=dict(type='CARAFE'), top_down_extra_levels=True)
    load_checkpoint(model, path, strict=True)
    for key, value in host.state_dict().items():
        assert torch.equal(model.neck.state_dict()[key], value), key
    swapped = ROOT.build(dict(neck, type='mmups.FPN_CARAFE', upsampler=dict(type='CARAFE')))
    swapped.load_state_dict(host.state_dict(), strict=True)
    maps = [torch.randn(1, c, n, n) for c, n in zip(IN, (37, 19, 10, 5))]
    for ours, theirs in zip(swapped(maps), model.neck(maps)):
        assert torch.equal(ours, theirs)

"""What every slot promises for every upsampler.

To register an upsampler is to have it tested here, in each slot that can serve it; a new slot is a
row of ``SLOTS``.
"""
import copy
from importlib.util import find_spec

import pytest
import torch
import torch.nn.functional as F
from mmengine.model import initialize
from mmengine.registry import MODELS as ROOT
from torch.utils.checkpoint import checkpoint

from mmups.models.upsamplers import BaseUpsampler, registered_upsamplers

C = 32  # channels of every map that is upsampled
BACKBONE = [8, 16, 24, 32]
FPN = dict(type='mmups.FPN', in_channels=BACKBONE, out_channels=C)
UP, DOWN = 'up', 'down'


def pyramid(channels, size=(32, 48), rounding=UP):
    maps = []
    for c in channels:
        maps.append(torch.randn(2, c, *size))
        size = tuple((n + (rounding == UP)) // 2 for n in size)
    return maps


# Slot -> (host package, config, channels of its input maps, number of upsamplers, whether the slot
# has guides).
SLOTS = {
    'FPN': ('mmdet', dict(FPN, num_outs=5), BACKBONE, 3, True),
    'FPN-retina': ('mmdet', dict(FPN, start_level=1, add_extra_convs='on_output', num_outs=5),
                   BACKBONE, 2, True),
    'FPN-p6': ('mmdet', dict(FPN, num_outs=5, top_down_extra_levels=True), BACKBONE, 4, True),
    'FCNMaskHead': ('mmdet', dict(type='mmups.FCNMaskHead', num_convs=1, in_channels=8,
                                  conv_out_channels=C, num_classes=3), [8], 1, False),
    'PanopticFPNHead': ('mmdet', dict(type='mmups.PanopticFPNHead', num_things_classes=3,
                                      num_stuff_classes=4, in_channels=8, inner_channels=C),
                        [8] * 4, 6, False),
    'SegformerHead': ('mmseg', dict(type='mmups.SegformerHead', in_channels=BACKBONE, channels=C,
                                    in_index=[0, 1, 2, 3], num_classes=5, dropout_ratio=0,
                                    norm_cfg=dict(type='BN')), BACKBONE, 6, True),
}
#: The branches of Panoptic FPN are stacked, by mmdet too, and must be multiples of each other.
ANY_SIZE = sorted(SLOTS.keys() - {'PanopticFPNHead'})
UPSAMPLERS = sorted(registered_upsamplers().items())
PAIRS = [(slot, name) for slot, row in SLOTS.items() for name, cls in UPSAMPLERS
         if row[4] or not cls.guided]


def build(slot, upsampler, host_init=None, **kwargs):
    """The slot with an upsampler (a name, a class or a dict) in it, initialised."""
    host, cfg = SLOTS[slot][:2]
    if not find_spec(host):
        pytest.skip(f'{host} is not installed')
    torch.manual_seed(0)
    if not isinstance(upsampler, dict):
        upsampler = dict(type=upsampler)
    if host_init is not None:
        cfg = dict(cfg, init_cfg=host_init)
    module = ROOT.build(dict(cfg, upsampler=dict(upsampler, **kwargs)))
    module.init_weights()
    return module


def inputs_of(slot, *args, **kwargs):
    torch.manual_seed(1)
    return pyramid(SLOTS[slot][2], *args, **kwargs)


def run(module, maps):
    """The slot's outputs as a list."""
    out = module(maps[0] if type(module).__name__ == 'FCNMaskHead' else tuple(maps))
    if isinstance(out, dict):
        out = list(out.values())
    return [out] if torch.is_tensor(out) else list(out)


def upsamplers_of(module):
    return [m for m in module.modules() if isinstance(m, BaseUpsampler)]


def backward(outs):
    sum(out.float().square().sum() for out in outs).backward()


# --- every upsampler in every slot ---------------------------------------------------------------


@pytest.mark.parametrize('slot, name', PAIRS)
def test_every_parameter_learns(slot, name):
    """One step reaches every parameter, so that DDP needs no ``find_unused_parameters``."""
    module, maps = build(slot, name), inputs_of(slot)
    assert [type(m).__name__ for m in upsamplers_of(module)] == [name] * SLOTS[slot][3]
    outs = run(module, maps)
    backward(outs)
    assert all(out.isfinite().all() for out in outs)
    assert [key for key, p in module.named_parameters() if p.grad is None] == []
    assert all(p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize('slot, name', [pair for pair in PAIRS if pair[0] in ANY_SIZE])
@pytest.mark.parametrize('rounding', [UP, DOWN])
def test_odd_sizes(slot, name, rounding):
    """Backbones that round up or down: the finest map keeps its size (the mask head doubles)."""
    module, maps = build(slot, name), inputs_of(slot, (37, 53), rounding)
    out = run(module, maps)[0]
    finest = maps[1] if slot == 'FPN-retina' else maps[0]
    expected = (74, 106) if slot == 'FCNMaskHead' else finest.shape[2:]
    assert out.shape[2:] == expected
    backward([out])
    assert out.isfinite().all()


@pytest.mark.parametrize('slot, name', PAIRS)
def test_autocast(slot, name):
    """bfloat16 autocast trains, and gives about what float32 gives."""
    module, maps = build(slot, name), inputs_of(slot)
    expected = run(module, maps)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        outs = run(module, maps)
    backward(outs)
    for out, reference in zip(outs, expected):
        assert out.shape == reference.shape
        error = (out.float() - reference).norm() / reference.norm()
        assert error < 0.05
    assert all(p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize('slot, name', PAIRS)
def test_channels_last(slot, name):
    """The memory format changes speed, not numbers."""
    module, maps = build(slot, name).eval(), inputs_of(slot)
    expected = run(module, maps)
    module = module.to(memory_format=torch.channels_last)
    outs = run(module, [x.contiguous(memory_format=torch.channels_last) for x in maps])
    for out, reference in zip(outs, expected):
        torch.testing.assert_close(out, reference, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('slot, name', PAIRS)
def test_deepcopy(slot, name):
    """A copy (EMA) computes the same and shares no parameter."""
    module, maps = build(slot, name).eval(), inputs_of(slot)
    twin = copy.deepcopy(module)
    assert all(map(torch.equal, run(twin, maps), run(module, maps)))
    expected = [out.clone() for out in run(twin, maps)]
    for parameter in module.parameters():
        parameter.data.add_(1)
    assert all(map(torch.equal, run(twin, maps), expected))


@pytest.mark.parametrize('slot, name', PAIRS)
@pytest.mark.parametrize('reentrant', [False, True])
def test_activation_checkpointing(slot, name, reentrant):
    """Recomputing the whole slot gives the same gradients."""
    grads = []
    for recompute in (False, True):
        module, maps = build(slot, name), [x.requires_grad_() for x in inputs_of(slot)]
        if recompute:
            outs = checkpoint(lambda *maps: tuple(run(module, maps)), *maps,  # noqa: B023
                              use_reentrant=reentrant)
        else:
            outs = run(module, maps)
        backward(outs)
        grads.append([p.grad for p in (*module.parameters(), *maps)])
    for grad, expected in zip(*grads):
        torch.testing.assert_close(grad, expected)


@pytest.mark.parametrize('name', [n for n, cls in UPSAMPLERS if not cls.guided])
def test_no_rois(name):
    """An image without objects: forward and backward, and DDP's gradients are there."""
    module = build('FCNMaskHead', name)
    out, = run(module, [torch.randn(0, 8, 14, 14)])
    assert out.shape == (0, 3, 28, 28)
    backward([out])
    assert [p.grad.any().item() for p in module.parameters()] == [False] * len(
        list(module.parameters()))


@pytest.mark.parametrize('kernels', [(7, None), (7, 3), (11, None), (11, 3), (15, 5), (31, 3)],
                         ids=str)
@pytest.mark.parametrize('slot', SLOTS)
def test_large_kernels(slot, kernels):
    """LCTC's kernels, larger than most of the maps."""
    module = build(slot, 'LCTC', kernel_size=kernels[0], small_kernel_size=kernels[1])
    reference = build(slot, 'Interpolate')
    maps = inputs_of(slot)
    outs = run(module, maps)
    assert [out.shape for out in outs] == [out.shape for out in run(reference, maps)]
    backward(outs)
    assert [m.large.kernel_size for m in upsamplers_of(module)] == (
        [(kernels[0], ) * 2] * SLOTS[slot][3])
    assert all(p.grad.isfinite().all() for p in module.parameters())


# --- initialisation ------------------------------------------------------------------------------

# Upsampler -> the standard deviation with which each of its parameters starts. PyTorch's default
# is uniform within 1/sqrt(fan_in).
INITS = {
    'DySample': (dict(type='DySample', dyscope=True),
                 {'offset.weight': 0.001, 'offset.bias': 0, 'scope.weight': 0, 'scope.bias': 0}),
    'DySample-S': (dict(type='DySample', style='pl', groups=8),
                   {'offset.weight': 0.001, 'offset.bias': 0}),
    'Deconv': (dict(type='Deconv'), {'weight': (3 * 9 * C)**-0.5}),
    'PixelShuffle': (dict(type='PixelShuffle'), {'0.weight': (3 * 9 * C)**-0.5}),
    'LCTC': (dict(type='LCTC', kernel_size=7),
             {'large.weight': 3**-0.5 / 7, 'small.weight': 3**-0.5 / 3}),
}
#: An initialisation of the host that would spoil whatever it reached last.
SPOIL = dict(type='Constant', val=7, bias=7, layer=['Conv2d', 'ConvTranspose2d', 'Deconv'])


def assert_initial(model, stds, count):
    modules = upsamplers_of(model)
    assert len(modules) == count
    for key, std in stds.items():
        values = torch.cat([m.get_parameter(key).flatten() for m in modules])
        assert values.std(correction=0).item() == pytest.approx(std, rel=0.15, abs=1e-12), key
        assert values.abs().max() < 6 * std + 1e-12, key


@pytest.mark.parametrize('host_init', [None, SPOIL], ids=['default', 'spoil'])
@pytest.mark.parametrize('upsampler, stds', INITS.values(), ids=INITS)
@pytest.mark.parametrize('slot', SLOTS)
def test_initial_weights(slot, upsampler, stds, host_init):
    """The host's initialisation does not last over the paper's."""
    if host_init and slot == 'FCNMaskHead':
        pytest.skip("mmdet's FCNMaskHead takes no init_cfg")
    module = build(slot, upsampler, host_init)
    assert_initial(module, stds, SLOTS[slot][3])
    initialize(module, SPOIL)  # which it would have been by that
    assert all((m.get_parameter(key) == 7).all() for m in upsamplers_of(module) for key in stds)


@pytest.mark.parametrize('slot', SLOTS)
def test_own_init_cfg_has_the_last_word(slot):
    """A user's ``init_cfg`` of the upsampler comes after the paper's."""
    module = build(slot, 'DySample', init_cfg=dict(type='Constant', val=3, layer='Conv2d'))
    assert all((m.offset.weight == 3).all() for m in upsamplers_of(module))


# --- guides --------------------------------------------------------------------------------------


class Guided(BaseUpsampler):
    """Keeps what it was given."""

    guided = True

    def __init__(self, in_channels, scale_factor=2, guide_channels=None):
        super().__init__(in_channels, scale_factor, guide_channels)
        self.calls = []

    def upsample(self, x, guide):
        self.calls.append((x, guide))
        return F.interpolate(x, scale_factor=2.0) + guide.mean(1, keepdim=True)


@pytest.mark.parametrize('slot', [slot for slot, row in SLOTS.items() if not row[4]])
def test_no_guide_is_an_error_at_build(slot):
    with pytest.raises(ValueError, match='Guided needs a guide, and this slot has none.*DySample'):
        build(slot, Guided)


@pytest.fixture
def outputs():
    """``outputs(modules)``: the list that what they return is appended to."""
    def record(modules):
        record.kept = []
        for module in modules:
            module.register_forward_hook(lambda module, args, out: record.kept.append(out))
        return record.kept
    return record


@pytest.mark.parametrize('slot', ['FPN', 'FPN-retina', 'FPN-p6'])
@pytest.mark.parametrize('size', [(64, 96), (37, 53)], ids=['even', 'odd'])
def test_fpn_guides(slot, size, outputs):
    """Upsampler i is guided by lateral i; where x2 overshoots, the lateral is replicated."""
    module = build(slot, Guided)
    laterals = outputs(module.lateral_convs)
    run(module, inputs_of(slot, size))
    assert len(laterals) == len(module.upsample_modules) + 1
    assert module.upsample_modules[-1].calls[0][0] is laterals[-1]
    for upsampler, lateral in zip(module.upsample_modules, laterals):
        (x, guide), = upsampler.calls
        assert_guide(guide, lateral, x)


def test_fpn_guides_of_extra_levels(outputs):
    """P6's lateral is made from the backbone's last map, P7's from P6's lateral."""
    cfg = dict(FPN, num_outs=6, top_down_extra_levels=True, upsampler=dict(type=Guided))
    pytest.importorskip('mmdet')
    module = ROOT.build(cfg)
    laterals, maps = outputs(module.lateral_convs), inputs_of('FPN', (64, 96))
    run(module, maps)
    assert torch.equal(laterals[4], module.lateral_convs[4](maps[3]))
    assert torch.equal(laterals[5], module.lateral_convs[5](laterals[4]))
    assert [m.calls[0][1].shape[2] for m in module.upsample_modules] == [64, 32, 16, 8, 4]


@pytest.mark.parametrize('size', [(32, 48), (37, 53)], ids=['even', 'odd'])
def test_segformer_guides(size, outputs):
    """Upsamplers 0, 1, 2 lift the 1/32 map, 3, 4 the 1/16 map, 5 the 1/8 map, guided by the
    embedded map of the level they reach."""
    module = build('SegformerHead', Guided)
    embedded = outputs(module.convs)
    run(module, inputs_of('SegformerHead', size))
    for index, (start, level) in enumerate([(3, 2), (3, 1), (3, 0), (2, 1), (2, 0), (1, 0)]):
        (x, guide), = module.upsample_modules[index].calls
        assert_guide(guide, embedded[level], x)
        if level == start - 1:
            assert x is embedded[start]


def assert_guide(guide, expected, x):
    h, w = expected.shape[2:]
    padded = F.pad(expected, (0, 2 * x.shape[3] - w, 0, 2 * x.shape[2] - h), mode='replicate')
    assert torch.equal(guide, padded)


# --- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize('upsampler, error, message', [
    (dict(type='DySample', group=4), TypeError, "DySample does not take .'group'.; its keys are "
                                                '.*groups'),
    (dict(type='DySampel'), ValueError, "'DySampel' is not an upsampler.*registered: .*DySample"),
    (dict(mode='nearest', type='nearest'), ValueError, "'nearest' is not an upsampler"),
    (dict(type='DySample', groups=5), ValueError, 'in_channels=32, groups=5'),
    (dict(type='DySample', in_channels=64), ValueError, 'in_channels=64 contradicts the slot'),
    (dict(mode='nearst'), ValueError, "mode='nearst'"),
], ids=str)
@pytest.mark.parametrize('slot', SLOTS)
def test_mistakes_in_the_upsampler(slot, upsampler, error, message):
    """The error reaches the user of a config in words."""
    with pytest.raises(error, match=message):
        build(slot, upsampler)


@pytest.mark.parametrize('slot', SLOTS)
def test_mistaken_slot_key(slot):
    """A slot takes its host's keys and nothing else."""
    host, cfg = SLOTS[slot][:2]
    pytest.importorskip(host)
    with pytest.raises(TypeError, match='upsampl_cfg'):
        ROOT.build(dict(cfg, upsampl_cfg=dict(type='DySample')))

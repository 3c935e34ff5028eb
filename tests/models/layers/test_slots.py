"""What every slot promises for every upsampler.

To register an upsampler is to have it tested here, in each slot that can serve it; a new slot is a
row of ``SLOTS``.
"""
import copy
import pickle
import re

import pytest
import torch
import torch.nn.functional as F
from mmengine.model import initialize
from mmengine.registry import MODELS as ROOT
from slot_cases import DOWN, SLOTS, UP
from slot_cases.doubles import Enhancing, Guided
from torch.utils.checkpoint import checkpoint

import mmups.models
from mmups.models import restoration, seg
from mmups.models.layers import SLOT_OF, UpsamplingSlot, whole_factor
from mmups.models.upsamplers import BaseUpsampler, Interpolate, registered_upsamplers

UPSAMPLERS = sorted(registered_upsamplers().items())
PAIRS = [(slot, name) for slot, case in SLOTS.items() for name, cls in UPSAMPLERS
         if (case.guided or not cls.guided) and name not in case.unfit and not cls.image_guided]
#: Every upsampler in the slots of the papers' models; in the others one of each kind: moving
#: points, guided windows, guided with batch norms, a large kernel.
TYPICAL = {'DySample', 'FADE', 'IndexNet', 'LCTC'}
SOME_PAIRS = [(slot, name) for slot, name in PAIRS
              if name in TYPICAL or slot in ('FPN', 'FPN-p6', 'FCNMaskHead', 'SegformerHead')]
HOSTED = [slot for slot, case in SLOTS.items() if case.parity]
ODD = [pair for pair in SOME_PAIRS if SLOTS[pair[0]].odd_size]


def upsamplers_of(module):
    """Without the interpolations at the sites of other keys, if there is anything else."""
    found = [m for m in module.modules() if isinstance(m, BaseUpsampler)]
    return [m for m in found if not isinstance(m, Interpolate)] or found


def backward(outs):
    sum(out.float().square().sum() for out in outs).backward()


# --- the slot and its host -----------------------------------------------------------------------


def both_load(ours, host):
    """State dicts with the same keys load both ways; parameters drawn anew."""
    assert list(ours.state_dict()) == list(host.state_dict())
    for source, target in ((ours, host), (host, ours)):
        for parameter in source.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        target.load_state_dict(source.state_dict())


@pytest.mark.parametrize('rounding', [UP, DOWN])
@pytest.mark.parametrize('odd', [False, True], ids=['even', 'odd'])
@pytest.mark.parametrize('explicit', [False, True], ids=['default', 'upsampler'])
@pytest.mark.parametrize('slot, option', [
    (slot, option) for slot in HOSTED for option in ['plain', *SLOTS[slot].options]])
def test_parity(slot, option, explicit, odd, rounding):
    """Without an upsampler, and with the host's interpolation as one: keys and numbers are the
    host's."""
    case = SLOTS[slot]
    if odd and not (case.odd_size and case.host_odd):
        pytest.skip('the host needs even sizes')
    if rounding == DOWN and not odd:
        pytest.skip('even sizes have nothing to round')
    if explicit and case.same_as_host is None:
        pytest.skip("the host's own upsampling is learned")
    kwargs = case.options.get(option, {})
    host = case.build_host(**kwargs)
    ours = case.build(case.same_as_host if explicit else None, **kwargs)
    both_load(ours, host)
    maps = case.maps(case.odd_size if odd else case.size, rounding)
    outs, expected = case.run(ours, maps), case.run(host, maps)
    assert len(outs) == len(expected) > 0
    for out, reference in zip(outs, expected):
        assert torch.equal(out, reference)


@pytest.mark.parametrize('slot', HOSTED)
def test_stock_checkpoint_loads(slot):
    """A stock checkpoint lacks the upsamplers' weights and nothing else, and the way back only
    has them too many. What a host has learned in the upsampler's place goes with it."""
    case = SLOTS[slot]
    ours, host = case.build('DySample'), case.build_host()
    replaced = set(host.state_dict()) - set(ours.state_dict())
    assert not replaced or case.same_as_host is None
    missing, unexpected = ours.load_state_dict(host.state_dict(), strict=False)
    assert missing and all(re.search(r'(^|\.)upsample_modules\.', key) for key in missing)
    assert set(unexpected) == replaced
    missing, unexpected = host.load_state_dict(ours.state_dict(), strict=False)
    assert set(missing) == replaced
    assert all(re.search(r'(^|\.)upsample_modules\.', key) for key in unexpected)


def test_every_slot_has_a_case():
    names = {case.cfg['type'].removeprefix('mmups.') for case in SLOTS.values()}
    names |= set(seg.FILES['plain_heads'].split())  # tests/models/seg/test_decode_heads.py
    names |= {'NAFNetLocal'}  # tests/models/restoration/test_nafnet.py
    own = {name for name in restoration.__all__
           if issubclass(getattr(restoration, name), UpsamplingSlot)}
    assert names == own.union(*mmups.models.SLOTS.values())


@pytest.mark.parametrize('slot', SLOTS)
def test_steps(slot):
    """What a slot says of itself, with or without an upsampler, is what it builds."""
    case = SLOTS[slot]
    module = case.build('DySample')
    part = next(m for m in module.modules() if isinstance(m, UpsamplingSlot))
    steps = [step for step in part.steps() if step.key == case.key]
    built = [(m.in_channels, m.scale_factor, m.guide_channels) for m in upsamplers_of(module)]
    assert sorted((s.out_channels or s.channels, whole_factor(s.factor), s.guide_channels)
                  for s in steps) == sorted(built) if case.guided else len(built) == len(steps)
    assert any(step.guide_channels for step in steps) == case.guided
    assert bool(part.guide) >= case.guided
    plain = next(m for m in case.build().modules() if isinstance(m, UpsamplingSlot))
    assert [(s.channels, s.guide_channels, s.key) for s in plain.steps()] == [
        (s.channels, s.guide_channels, s.key) for s in part.steps()]


@pytest.mark.parametrize('slot', SLOTS)
def test_slot_registers_itself(slot):
    """The swap tool finds it under the host's class."""
    case = SLOTS[slot]
    case.need_host()
    slot = SLOT_OF[ROOT.get(case.host)]
    assert slot is ROOT.get(case.cfg['type'])
    assert case.key in slot.site_keys()


# --- every upsampler in every slot ---------------------------------------------------------------


@pytest.mark.parametrize('slot, name', PAIRS)
def test_every_parameter_learns(slot, name):
    """One step reaches every parameter, so that DDP needs no ``find_unused_parameters``."""
    case = SLOTS[slot]
    module = case.build(name)
    count = case.count + (case.others if name == 'Interpolate' else 0)
    assert [type(m).__name__ for m in upsamplers_of(module)] == [name] * count
    outs = case.run(module, case.maps())
    backward(outs)
    assert all(out.isfinite().all() for out in outs)
    assert [key for key, p in module.named_parameters() if p.grad is None] == []
    assert all(p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize('slot, name', ODD)
@pytest.mark.parametrize('rounding', [UP, DOWN])
def test_odd_sizes(slot, name, rounding):
    """Backbones that round up or down."""
    case = SLOTS[slot]
    module = case.build(name)
    maps = case.maps(case.odd_size, rounding)
    out = case.run(module, maps)[0]
    if case.finest is not None:
        assert out.shape[2:] == case.finest(maps)
    backward([out])
    assert out.isfinite().all()


@pytest.mark.parametrize('slot, name', SOME_PAIRS)
def test_autocast(slot, name):
    """bfloat16 autocast trains, and gives about what float32 gives."""
    case = SLOTS[slot]
    if case.bfloat16_error is None:
        pytest.skip('an operator of the host has no bfloat16')
    module, maps = case.build(name), case.maps()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        backward(case.run(module, maps))
    module.eval()  # normalising a batch of two pooled values leaves their sign alone
    expected = case.run(module, maps)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        outs = case.run(module, maps)
    for out, reference in zip(outs, expected):
        assert out.shape == reference.shape
        error = (out.float() - reference).norm() / reference.norm()
        assert error < case.bfloat16_error
    assert all(p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize('slot, name', SOME_PAIRS)
def test_channels_last(slot, name):
    """The memory format changes speed, not numbers."""
    case = SLOTS[slot]
    module, maps = case.build(name), case.maps()
    module.eval()  # some hosts' eval() returns nothing
    expected = case.run(module, maps)
    module = module.to(memory_format=torch.channels_last)
    outs = case.run(module, [x.contiguous(memory_format=torch.channels_last) for x in maps])
    for out, reference in zip(outs, expected):
        atol = 1e-4 * max(1, reference.abs().max().item())  # untrained networks may magnify
        torch.testing.assert_close(out, reference, rtol=1e-4, atol=atol)


@pytest.mark.parametrize('slot, name', SOME_PAIRS)
def test_deepcopy(slot, name):
    """A copy (EMA) computes the same and shares no parameter."""
    case = SLOTS[slot]
    module, maps = case.build(name), case.maps()
    module.eval()
    twin = copy.deepcopy(module)
    assert all(map(torch.equal, case.run(twin, maps), case.run(module, maps)))
    expected = [out.clone() for out in case.run(twin, maps)]
    for parameter in module.parameters():
        parameter.data.add_(1)
    assert all(map(torch.equal, case.run(twin, maps), expected))


@pytest.mark.parametrize('upsampler', [None, 'DySample'])
@pytest.mark.parametrize('slot', SLOTS)
def test_pickle(slot, upsampler):
    """For processes that are spawned."""
    case = SLOTS[slot]
    module, maps = case.build(upsampler), case.maps()
    module.eval()
    twin = pickle.loads(pickle.dumps(module))
    assert type(twin) is type(module) and list(twin.state_dict()) == list(module.state_dict())
    torch.manual_seed(2)
    outs = case.run(twin, maps)
    torch.manual_seed(2)
    assert all(map(torch.equal, outs, case.run(module, maps)))


@pytest.mark.parametrize('slot, name', SOME_PAIRS)
@pytest.mark.parametrize('reentrant', [False, True])
def test_activation_checkpointing(slot, name, reentrant):
    """Recomputing the whole slot gives the same gradients."""
    case, grads = SLOTS[slot], []
    for recompute in (False, True):
        module, maps = case.build(name), [x.requires_grad_() for x in case.maps()]
        if recompute:
            outs = checkpoint(lambda *maps: tuple(case.run(module, maps)), *maps,  # noqa: B023
                              use_reentrant=reentrant)
        else:
            outs = case.run(module, maps)
        backward(outs)
        grads.append([p.grad for p in (*module.parameters(), *maps)])
    for grad, expected in zip(*grads):
        if grad is None or expected is None:  # a map that the slot does not use
            assert grad is expected
        else:
            torch.testing.assert_close(grad, expected)


@pytest.mark.slow
@pytest.mark.parametrize('slot', SLOTS)
def test_compile(slot):
    """Traced by torch.compile, the slot computes the same."""
    case = SLOTS[slot]
    module, maps = case.build('DySample'), case.maps()
    module.eval()
    expected = case.run(module, maps)
    torch._dynamo.reset()
    graph = torch.compile(module, backend='aot_eager')
    for out, reference in zip(case.run(graph, maps), expected):
        torch.testing.assert_close(out, reference, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('name', [n for n, cls in UPSAMPLERS if not cls.guided])
def test_no_rois(name):
    """An image without objects: forward and backward, and DDP's gradients are there."""
    case = SLOTS['FCNMaskHead']
    module = case.build(name)
    out, = case.run(module, [torch.randn(0, 8, 14, 14)])
    assert out.shape == (0, 3, 28, 28)
    backward([out])
    assert [p.grad.any().item() for p in module.parameters()] == [False] * len(
        list(module.parameters()))


@pytest.mark.parametrize('kernels', [(7, 3), (31, 3), *(
    pytest.param(kernels, marks=pytest.mark.slow)
    for kernels in [(7, None), (11, None), (11, 3), (15, 5)])], ids=str)
@pytest.mark.parametrize('slot', SLOTS)
def test_large_kernels(slot, kernels):
    """LCTC's kernels, larger than most of the maps."""
    case = SLOTS[slot]
    module = case.build(dict(type='LCTC', kernel_size=kernels[0], small_kernel_size=kernels[1]))
    reference = case.build('Interpolate')
    maps = case.maps()
    outs = case.run(module, maps)
    assert [out.shape for out in outs] == [out.shape for out in case.run(reference, maps)]
    backward(outs)
    assert [m.large.kernel_size for m in upsamplers_of(module)] == (
        [(kernels[0], ) * 2] * case.count)
    assert all(p.grad.isfinite().all() for p in module.parameters())


# --- initialisation ------------------------------------------------------------------------------

# Upsampler -> the standard deviation with which each of its parameters starts (as a function of the
# module). PyTorch's default is uniform within 1/sqrt(fan_in), that of the output if transposed.
INITS = {
    'DySample': (dict(type='DySample', dyscope=True),
                 {'offset.weight': 0.001, 'offset.bias': 0, 'scope.weight': 0, 'scope.bias': 0}),
    'DySample-S': (dict(type='DySample', style='pl', groups=8),
                   {'offset.weight': 0.001, 'offset.bias': 0}),
    'Deconv': (dict(type='Deconv'), {'weight': lambda m: (3 * 9 * m.out_channels)**-0.5}),
    'PixelShuffle': (dict(type='PixelShuffle'),
                     {'0.weight': lambda m: (3 * 9 * m.in_channels)**-0.5}),
    'LCTC': (dict(type='LCTC', kernel_size=7),
             {'large.weight': 3**-0.5 / 7, 'small.weight': 3**-0.5 / 3}),
    'FreqFusion': (dict(type='FreqFusion'),
                   {'content_encoder.weight': 0.001, 'content_encoder2.weight': 0.001,
                    'dysampler.offset.weight': (2 / (9 * (72 + 32)))**0.5}),
}
#: An initialisation of the host that would spoil whatever it reached last.
SPOIL = dict(type='Constant', val=7, bias=7, layer=['Conv2d', 'ConvTranspose2d', 'Deconv'])


def assert_initial(model, stds, count):
    modules = upsamplers_of(model)
    assert len(modules) == count
    for key, std in stds.items():
        units = [std(m) if callable(std) else std for m in modules]
        values = torch.cat([m.get_parameter(key).flatten() / (unit or 1)
                            for m, unit in zip(modules, units)])
        spread = float(units[0] > 0)
        assert values.std(correction=0).item() == pytest.approx(spread, rel=0.15, abs=1e-9), key
        assert values.abs().max() < 6 * spread + 1e-12, key


@pytest.mark.parametrize('host_init', [None, SPOIL], ids=['default', 'spoil'])
@pytest.mark.parametrize('upsampler, stds', INITS.values(), ids=INITS)
@pytest.mark.parametrize('slot', SLOTS)
def test_initial_weights(slot, upsampler, stds, host_init):
    """The host's initialisation does not last over the paper's."""
    case = SLOTS[slot]
    if (slot, upsampler['type']) not in PAIRS:
        pytest.skip('not for this slot')
    if host_init and not case.takes_init_cfg:
        pytest.skip(f'{case.host} takes no init_cfg')
    module = case.build(upsampler, **(dict(init_cfg=host_init) if host_init else {}))
    assert_initial(module, stds, case.count)
    initialize(module, SPOIL)  # which it would have been by that
    assert all((m.get_parameter(key) == 7).all() for m in upsamplers_of(module) for key in stds)


@pytest.mark.parametrize('slot', SLOTS)
def test_own_init_cfg_has_the_last_word(slot):
    """A user's ``init_cfg`` of the upsampler comes after the paper's."""
    init_cfg = dict(type='Constant', val=3, layer='Conv2d')
    module = SLOTS[slot].build(dict(type='DySample', init_cfg=init_cfg))
    assert all((m.offset.weight == 3).all() for m in upsamplers_of(module))


# --- guides --------------------------------------------------------------------------------------


@pytest.mark.parametrize('slot', [slot for slot, case in SLOTS.items() if not case.guided])
def test_no_guide_is_an_error_at_build(slot):
    with pytest.raises(ValueError, match='Guided needs a guide, and this slot has none.*DySample'):
        SLOTS[slot].build(Guided)


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
    case = SLOTS[slot]
    module = case.build(Guided)
    laterals = outputs(module.lateral_convs)
    case.run(module, case.maps(size))
    assert len(laterals) == len(module.upsample_modules) + 1
    assert module.upsample_modules[-1].calls[0][0] is laterals[-1]
    for upsampler, lateral in zip(module.upsample_modules, laterals):
        (x, guide), = upsampler.calls
        assert_guide(guide, lateral, x)


def test_fpn_guides_of_extra_levels(outputs):
    """P6's lateral is made from the backbone's last map, P7's from P6's lateral."""
    case = SLOTS['FPN-p6']
    module = case.build(Guided, num_outs=6)
    laterals, maps = outputs(module.lateral_convs), case.maps((64, 96))
    case.run(module, maps)
    assert torch.equal(laterals[4], module.lateral_convs[4](maps[3]))
    assert torch.equal(laterals[5], module.lateral_convs[5](laterals[4]))
    assert [m.calls[0][1].shape[2] for m in module.upsample_modules] == [64, 32, 16, 8, 4]


@pytest.mark.parametrize('size', [(32, 48), (37, 53)], ids=['even', 'odd'])
def test_segformer_guides(size, outputs):
    """Upsamplers 0, 1, 2 lift the 1/32 map, 3, 4 the 1/16 map, 5 the 1/8 map, guided by the
    embedded map of the level they reach."""
    case = SLOTS['SegformerHead']
    module = case.build(Guided)
    embedded = outputs(module.convs)
    case.run(module, case.maps(size))
    for index, (start, level) in enumerate([(3, 2), (3, 1), (3, 0), (2, 1), (2, 0), (1, 0)]):
        (x, guide), = module.upsample_modules[index].calls
        assert_guide(guide, embedded[level], x)
        if level == start - 1:
            assert x is embedded[start]


#: Those that take an upsampled map and its guide apart: side by side, or by layers of their own.
FUSING = {'CSPNeXtPAFPN', 'DenseDepthHead', 'DepthwiseSeparableASPPHead', 'FCNHead',
          'FusedSemanticHead', 'HRFPN', 'JPU', 'LRASPPHead', 'LightHamHead', 'RTMDetInsHead',
          'RTMDetInsSepBNHead', 'Restormer',
          'SCNetSemanticHead', 'SegformerHead', 'UNet', 'UNet-deconv', 'UNetHead',
          'UPerHead-fusion', 'YOLOV3Neck', 'YOLOXPAFPN'}


@pytest.mark.parametrize('slot', [slot for slot, case in SLOTS.items() if case.guided])
def test_who_takes_the_enhanced_guide(slot):
    """And takes it in the place of the guide, which nobody else does."""
    case, outs = SLOTS[slot], []
    for upsampler in (Guided, dict(type=Enhancing), dict(type=Enhancing, factor=3)):
        module = case.build(upsampler)
        module.eval()
        outs.append(case.run(module, case.maps()))
    plain, same, other = outs
    assert all(map(torch.equal, plain, same))
    assert any(not torch.equal(a, b) for a, b in zip(plain, other)) == (slot in FUSING)


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
    (dict(type='DySample', groups=5), ValueError, r'in_channels=\d+, groups=5'),
    (dict(type='DySample', in_channels=48), ValueError, 'in_channels=48 contradicts the slot'),
    (dict(mode='nearst'), ValueError, "mode='nearst'"),
], ids=str)
@pytest.mark.parametrize('slot', SLOTS)
def test_mistakes_in_the_upsampler(slot, upsampler, error, message):
    """The error reaches the user of a config in words."""
    with pytest.raises(error, match=message):
        SLOTS[slot].build(upsampler)


@pytest.mark.parametrize('slot', SLOTS)
def test_mistaken_slot_key(slot):
    """A slot takes its host's keys and nothing else."""
    with pytest.raises(TypeError, match='upsampl_cfg'):
        SLOTS[slot].build(upsampl_cfg=dict(type='DySample'))

"""``direct=True``: every map comes to the finest one in one step, in the heads where maps climb."""
import pytest
import torch
from slot_cases import DOWN, SLOTS, UP
from slot_cases.doubles import Guided

from mmups.models.upsamplers import BaseUpsampler, Interpolate

CLIMBING = {'SegformerHead': [8, 4, 2], 'UPerHead-fusion': [8, 4, 2], 'FCNHead': [8, 4, 2],
            'LightHamHead': [4, 2], 'FPNHead': [2, 4, 8]}
OTHERS = ['DPTHead', 'DepthwiseSeparableASPPHead', 'FCNHead-logits', 'LRASPPHead', 'SETRUPHead']


def upsamplers_of(module):
    found = [m for m in module.modules() if isinstance(m, BaseUpsampler)]
    return [m for m in found if not isinstance(m, Interpolate)] or found


@pytest.mark.parametrize('rounding', [UP, DOWN])
@pytest.mark.parametrize('size', [(32, 48), (37, 53)], ids=str)
@pytest.mark.parametrize('name', ['ReSFU', 'DySample', 'CARAFE'])
@pytest.mark.parametrize('slot', CLIMBING)
def test_learns(slot, name, size, rounding):
    """One module per coarser map, whatever the sizes; every parameter has a gradient."""
    case = SLOTS[slot]
    module = case.build(name, direct=True)
    assert [m.scale_factor for m in upsamplers_of(module)] == CLIMBING[slot]
    maps = case.maps(size, rounding)
    out = case.run(module, maps)[0]
    assert out.shape[2:] == case.finest(maps)
    out.square().sum().backward()
    assert [key for key, p in module.named_parameters() if p.grad is None] == []
    assert all(p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize('slot', CLIMBING)
def test_guides(slot):
    """The finest map for all, the one that the last rung of each map has otherwise."""
    case = SLOTS[slot]
    module, stepwise = case.build(Guided, direct=True), case.build(Guided)
    stepwise.load_state_dict(module.state_dict(), strict=False)
    for head in (module, stepwise):
        head.eval()
        case.run(head, case.maps())
    guides = [m.guides[0] for m in upsamplers_of(module)]
    finest = [m.guides[0] for m in upsamplers_of(stepwise)
              if m.guides[0].shape == guides[0].shape]
    assert len(guides) == len(finest) == len(CLIMBING[slot])
    for guide, expected in zip(guides, finest):
        torch.testing.assert_close(guide, expected)


@pytest.mark.parametrize('slot', [slot for slot in CLIMBING if slot != 'FPNHead'])
def test_plain_interpolation_does_so_anyway(slot):
    case = SLOTS[slot]
    direct, stepwise = case.build('Interpolate', direct=True), case.build('Interpolate')
    stepwise.load_state_dict(direct.state_dict())
    for head in (direct, stepwise):
        head.eval()
    maps = case.maps((37, 53))
    assert all(map(torch.equal, case.run(direct, maps), case.run(stepwise, maps)))


def test_convolutions_come_first():
    """In FPNHead: those of a map all at its size, one step behind them; the sum by hand."""
    case = SLOTS['FPNHead']
    head = case.build('Interpolate', direct=True).eval()
    maps = case.maps()
    total = 0
    for x, convs, factor in zip(maps, head.scale_heads, (1, 2, 4, 8)):
        for conv in convs:
            x = conv(x)
        total = total + torch.nn.functional.interpolate(x, scale_factor=factor, mode='bilinear')
    torch.testing.assert_close(case.run(head, maps)[0], head.cls_seg(total))


def test_skipped_strides_have_a_guide():
    """Which the steps of x2 on the way have not."""
    head = SLOTS['FPNHead'].build('ReSFU', direct=True, in_channels=[32, 32], in_index=[0, 2],
                                  feature_strides=[4, 16])
    assert [m.scale_factor for m in head.upsample_modules] == [4]


@pytest.mark.parametrize('slot', CLIMBING)
def test_without_an_upsampler_it_is_refused(slot):
    key = SLOTS[slot].key
    with pytest.raises(ValueError, match=f'direct=True .* configure {key}'):
        SLOTS[slot].build(direct=True)


@pytest.mark.parametrize('slot', OTHERS)
def test_where_nothing_climbs_it_is_refused(slot):
    with pytest.raises(ValueError, match='direct=True .* there is none'):
        SLOTS[slot].build('DySample', direct=True)


def test_a_method_of_another_scale_is_refused():
    with pytest.raises(ValueError, match='scale_factor=2 only, got scale_factor=8'):
        SLOTS['SegformerHead'].build('IndexNet', direct=True)

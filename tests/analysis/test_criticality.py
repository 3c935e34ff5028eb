"""Resets of upsampling steps, and likeness of predictions counted by hand."""
import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmups.analysis import recording, upsampling_steps
from mmups.analysis.criticality import agreement, cosine, in_place, resets_of
from mmups.models import FADE, LCTC, DySample, FreqFusion, IndexNet, Interpolate


class Neck(nn.Module):

    def __init__(self, *ups):
        super().__init__()
        self.upsample_modules = nn.ModuleList(ups)

    def forward(self, x, guide=None):
        for up in self.upsample_modules:
            x = up(x, guide=guide)
        return x


def trained(*ups):
    model = nn.ModuleDict(dict(neck=Neck(*ups), other=DySample(8))).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    return model


def test_steps_are_found_below_upsample_modules():
    model = trained(LCTC(8), DySample(8))
    assert list(upsampling_steps(model)) == ['neck.upsample_modules.0', 'neck.upsample_modules.1']
    with pytest.raises(ValueError, match='Linear has no upsampling step.*tools/swap.py'):
        upsampling_steps(nn.Linear(2, 2))


def test_recording_sees_inputs_and_outputs_and_stops():
    model, calls = trained(DySample(8), Interpolate(8)), []
    x = torch.randn(1, 8, 3, 4)
    with recording(model, lambda name, call: calls.append((name, call))):
        out = model['neck'](x)
    model['neck'](x)
    assert [name for name, _ in calls] == ['neck.upsample_modules.0', 'neck.upsample_modules.1']
    assert calls[0][1].x is x and calls[0][1].guide is None
    assert calls[1][1].x is calls[0][1].out and calls[1][1].out is out


def test_recording_of_a_step_that_returns_its_guide():
    """The map is recorded, without what comes beside it."""
    model, calls = trained(FreqFusion(8, guide_channels=8)), []
    x, guide = torch.randn(1, 8, 3, 4), torch.randn(1, 8, 6, 8)
    with recording(model, lambda name, call: calls.append(call)):
        out, enhanced = model['neck'].upsample_modules[0].fuse(x, guide)
    (call, ) = calls
    assert call.x is x and call.guide is guide and call.out is out
    assert not torch.equal(enhanced, guide)


def test_kinds_of_resets():
    model = trained(LCTC(8), LCTC(8, small_kernel_size=None), DySample(8), Interpolate(8))
    kinds = [(reset.step[-1], reset.kind) for reset in resets_of(model)]
    assert kinds == [('0', 'fresh'), ('0', 'fresh large'), ('0', 'fresh small'), ('0', 'bilinear'),
                     ('1', 'fresh'), ('1', 'bilinear'), ('2', 'fresh'), ('2', 'bilinear'),
                     ('3', 'bilinear')]


def test_what_takes_the_place():
    """Fresh weights are those of a new module; a path changes that path; bilinear is PyTorch's."""
    model, x = trained(LCTC(8, init='bilinear')), torch.randn(1, 8, 5, 6)
    step = model['neck'].upsample_modules[0]
    before, out = copy.deepcopy(model.state_dict()), model['neck'](x)
    resets = {reset.kind: reset for reset in resets_of(model)}
    for key, value in LCTC(8, init='bilinear').state_dict().items():
        assert torch.equal(resets['fresh'].module.state_dict()[key], value), key
    large = resets['fresh large'].module
    assert torch.equal(large.small.weight, step.small.weight)
    assert torch.equal(large.large.weight, resets['fresh'].module.large.weight)
    with in_place(model, resets['bilinear']):
        expected = F.interpolate(x, scale_factor=2, mode='bilinear')
        torch.testing.assert_close(model['neck'](x), expected)
    with pytest.raises(KeyError), in_place(model, resets['fresh']):
        assert not torch.equal(model['neck'](x), out)
        raise KeyError
    assert torch.equal(model['neck'](x), out)
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_fresh_weights_follow_the_seed_and_leave_the_generator():
    model = trained(DySample(8), DySample(8))
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    one, again, other = (resets_of(model, seed) for seed in (0, 0, 1))
    assert torch.rand(1) == expected
    weights = [[reset.module.offset.weight for reset in found if reset.kind == 'fresh']
               for found in (one, again, other)]
    assert torch.equal(weights[0][0], weights[1][0])
    assert not torch.equal(weights[0][0], weights[2][0])
    assert not torch.equal(weights[0][0], weights[0][1])
    assert weights[0][0].std().item() == pytest.approx(0.001, rel=0.2)


def test_guided_steps_and_batch_norms():
    """Bilinear interpolation takes a guide's size; learned statistics are forgotten."""
    model = trained(FADE(8, guide_channels=8), IndexNet(8, guide_channels=8))
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    for norm in norms:
        norm.running_mean.fill_(3)
    resets = resets_of(model)
    assert [reset.kind for reset in resets] == ['fresh', 'bilinear'] * 2
    fresh = [m for m in resets[2].module.modules() if isinstance(m, nn.BatchNorm2d)]
    assert not any(m.running_mean.any() for m in fresh) and not any(m.training for m in fresh)
    with in_place(model, resets[1]):
        up = model['neck'].upsample_modules[0]
        assert up(torch.randn(1, 8, 3, 4), torch.randn(1, 8, 5, 8)).shape == (1, 8, 5, 8)


def test_likeness():
    assert agreement(torch.tensor([[1, 2], [3, 4]]), torch.tensor([[1, 2], [3, 5]])) == 0.75
    logits = torch.randn(3, 4, 5)
    assert cosine(logits, logits + 7) == pytest.approx(1)  # the same probabilities
    sure = torch.tensor([[[50.]], [[0.]]])
    assert cosine(sure, sure.flip(0)) == pytest.approx(0, abs=1e-9)
    even = torch.zeros(2, 1, 1)
    assert cosine(sure, even) == pytest.approx(math.sqrt(0.5))
    assert cosine(torch.full((1, 1, 1), -50.), even[:1]) == pytest.approx(math.sqrt(0.5))

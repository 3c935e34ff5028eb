"""The cases of everything registered: who registers an upsampler has its contract tested.

A test with the argument ``case`` runs on every registered class, with its default arguments and
with those in VARIANTS; one with ``plain_case`` with the defaults alone. A class that cannot live
with 16 channels gets a row in CHANNELS.
"""
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from mmups.models import build_upsampler, registered_upsamplers
from mmups.models.upsamplers import BaseUpsampler

#: GroupNorm of 32 groups; LDAAQU norms an eighth of the channels, of which there should be some.
CHANNELS = {'A2U': 32, 'LDAAQU': 32, 'SAPA': 32}
#: Loops over taps: most ways to record them take up to a minute each and run with the slow tests.
HEAVY = {'A2U', 'CARAFE', 'DLU', 'FADE', 'FADELite', 'LDAAQU', 'ReSFU', 'SAPA', 'SAPADeform'}
#: Several such loops each: of the ways to record them one runs with the default tests.
HEAVIEST = {'FreqFusion', 'NAF'}
#: Weights in front of a layer that starts at zero: from the second step on they have a gradient.
LATE = {'LDAAQU': {'conv_offset.0.weight'}}
#: Coarse pixels that a recorded graph needs: half of the fine map must be more than one pixel,
#: which torch.export takes for something else.
LEAST = {'ReSFU': 2}
#: Wide convolutions on top of one another: weights of 0.3 would magnify the rounding of float32.
DEEP = {'FreqFusion', 'NAF'}
#: Arguments in all of its cases: what is frozen by default has no gradients to be tested.
ALWAYS = {'NAF': dict(frozen=False)}
VARIANTS = {
    'DySample': [dict(dyscope=True), dict(style='pl', groups=8),
                 dict(style='pl', groups=8, dyscope=True), dict(static=True)],
    'Interpolate': [dict(mode='nearest'), dict(mode='nearest-exact'), dict(mode='bicubic'),
                    dict(mode='area'), dict(align_corners=True)],
    'LCTC': [dict(kernel_size=7, small_kernel_size=None), dict(groups=1), dict(init='bilinear')],
    'ReSFU': [dict(embedding_dim=8)],
    'LDAAQU': [dict(reduction_factor=2, heads=4)],
    'Deconv': [dict(kernel_size=4)],
    'CARAFE': [dict(up_group=2, up_kernel=3)],
    'DLU': [dict(up_kernel=3, compressed_channels=8)],
    'FADE': [dict(gating=True)],
    'FADELite': [dict(gating=True)],
    'FreqFusion': [dict(similarity='only', hamming=False, groups=8),
                   dict(norm=False, offset_init='small', compressed_channels=20)],
    'IndexNet': [dict(mode='m2o', use_nonlinear=False, use_context=False), dict(mode='o2o')],
    'SAPA': [dict(variant='inner'), dict(variant='gated')],
    'SAPADeform': [dict(high_offset=False)],
}


@dataclass(frozen=True)
class Case:
    """One upsampler with arguments, in a slot that has a guide of as many channels."""

    name: str
    args: tuple = ()

    @property
    def cls(self) -> type:
        return registered_upsamplers()[self.name]

    @property
    def channels(self) -> int:
        return CHANNELS.get(self.name, 16)

    @property
    def least(self) -> int:
        return LEAST.get(self.name, 1)

    @property
    def late(self) -> set:
        return LATE.get(self.name, set())

    @property
    def std(self) -> float:
        """Of random weights with which every term matters, and rounding does not."""
        return 0.1 if self.name in DEEP else 0.3

    def build(self, scale_factor: int = 2, channels: int = 0, **extra) -> BaseUpsampler:
        """Skips where the method says that it does not do this scale."""
        channels = channels or self.channels
        cfg = dict(self.args, type=self.name, **extra)
        try:
            return build_upsampler(cfg, channels, channels, scale_factor)
        except ValueError as error:
            if scale_factor == 2 or 'scale_factor' not in str(error):
                raise
            return pytest.skip(str(error))

    def inputs(self, n: int = 2, h: int = 5, w: int = 6, scale_factor: int = 2,
               **kwargs) -> tuple[Tensor, ...]:
        """x, and the guide of exactly ``scale_factor`` times its size for who needs one."""
        x = torch.randn(n, self.channels, h, w, **kwargs)
        if not self.cls.guided:
            return (x, )
        return x, torch.randn(n, self.channels, h * scale_factor, w * scale_factor, **kwargs)

    def __str__(self) -> str:
        return '-'.join([self.name, *(f'{key}={value}' for key, value in self.args)])


def cases(variants):
    return [Case(name, tuple({**ALWAYS.get(name, {}), **args}.items()))
            for name in registered_upsamplers() for args in [{}, *variants.get(name, [])]]


CASES, PLAIN_CASES = cases(VARIANTS), cases({})


def pytest_generate_tests(metafunc):
    if 'case' in metafunc.fixturenames:
        metafunc.parametrize('case', CASES, ids=str)
    if 'plain_case' in metafunc.fixturenames:
        metafunc.parametrize('plain_case', PLAIN_CASES, ids=str)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        params = item.callspec.params if hasattr(item, 'callspec') else {}
        case = params.get('case') or params.get('plain_case')
        if not isinstance(case, Case):
            continue
        recorder = params.get('recorder')
        if recorder and (case not in PLAIN_CASES or params.get('s') == 3
                         or recorder in ('compile', 'onnx-18') and case.name in HEAVY
                         or recorder != 'onnx-traced-16' and case.name in HEAVIEST):
            item.add_marker('slow')


@pytest.fixture
def randomise():
    """Give every parameter a value that matters: initial weights are often zero or tiny."""

    def fill(module: nn.Module, std: float = 0.3) -> nn.Module:
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=std)
        return module

    return fill


@pytest.fixture
def equal_with_gradients():
    """Hold an output to that of a naive loop, and all its gradients too."""

    def check(got: Tensor, expected: Tensor, variables: dict, atol: float, gradients: float
              ) -> None:
        torch.testing.assert_close(got, expected, rtol=0, atol=atol)
        upstream = torch.randn_like(got)
        both = (torch.autograd.grad(out, list(variables.values()), upstream)
                for out in (got, expected))
        for name, ours, theirs in zip(variables, *both):
            torch.testing.assert_close(
                ours, theirs, rtol=gradients, atol=gradients,
                msg=lambda text, name=name: f'gradient of {name}: {text}')

    return check


@pytest.fixture
def scatter():
    """Transposed convolution as its definition: every coarse pixel stamps the kernel."""

    def transposed_convolution(x, weight, bias, s, padding, groups=1):
        n, c, h, w = x.shape
        k = weight.shape[-1]
        blocks = weight.reshape(groups, c // groups, -1, k, k)
        out = {(row, column): bias.expand(n, -1) for row in range(s * h) for column in range(s * w)}
        for i in range(h):
            for j in range(w):
                pixel = x[:, :, i, j].reshape(n, groups, -1)
                stamp = torch.einsum('ngi,gioab->abngo', pixel, blocks).reshape(k, k, n, -1)
                for a in range(k):
                    for b in range(k):
                        target = s * i + a - padding, s * j + b - padding
                        if target in out:
                            out[target] = out[target] + stamp[a, b]
        return torch.stack(list(out.values()), dim=-1).reshape(n, -1, s * h, s * w)

    return transposed_convolution

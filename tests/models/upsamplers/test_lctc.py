"""LCTC against the definition of transposed convolution, and its two additions."""
import pytest
import torch
import torch.nn.functional as F

from mmups.models import LCTC

pytestmark = pytest.mark.usefixtures('every_backend')

GROUPS = dict(depthwise=None, grouped=2, dense=1)


def lctc_by_loop(up, x, scatter):
    groups = up.large.groups
    out = 0
    for path in [up.large] if up.small is None else [up.large, up.small]:
        padding = (path.weight.shape[-1] - 1) // 2
        out = out + scatter(x, path.weight, path.bias, up.scale_factor, padding, groups)
    return out


@pytest.mark.parametrize('groups', GROUPS.values(), ids=GROUPS)
@pytest.mark.parametrize(('s', 'kernel', 'small'), [
    (2, 3, None), (2, 7, 3), (2, 11, 3), (2, 9, 9), (3, 7, 1), (4, 11, 5), (1, 5, 3)])
def test_equals_definition_with_gradients(groups, s, kernel, small, scatter):
    up = LCTC(4, s, kernel_size=kernel, small_kernel_size=small, groups=groups).double()
    x = torch.randn(2, 4, 3, 4, dtype=torch.float64, requires_grad=True)
    got, expected = up(x), lctc_by_loop(up, x, scatter)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)
    upstream = torch.randn_like(got)
    variables = [x, *up.parameters()]
    for ours, theirs in zip(torch.autograd.grad(got, variables, upstream),
                            torch.autograd.grad(expected, variables, upstream)):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-11)


@pytest.mark.parametrize('groups', GROUPS.values(), ids=GROUPS)
@pytest.mark.parametrize('kernel', range(3, 32, 2))
@pytest.mark.parametrize('s', [2, 3])
def test_fused_equals_unfused(groups, kernel, s):
    x = torch.randn(2, 4, 5, 6, dtype=torch.float64)
    for small in {1, 3, 7, kernel - 2, kernel}:
        if small > kernel:
            continue
        args = dict(kernel_size=kernel, groups=groups)
        up = LCTC(4, s, small_kernel_size=small, **args).double()
        expected = up(x)
        fused = up.fuse()
        assert fused is up
        assert up.small is None
        assert (up(x) - expected).abs().max() <= 1e-10
        plain = LCTC(4, s, small_kernel_size=None, **args).double()
        plain.load_state_dict(up.state_dict(), strict=True)
        assert torch.equal(plain(x), up(x))
        once = up(x)
        assert torch.equal(up.fuse()(x), once)  # nothing is left to fold


def test_fused_module_trains_and_initialises():
    up = LCTC(4).fuse()
    assert sorted(name for name, _ in up.named_parameters()) == ['large.bias', 'large.weight']
    up(torch.randn(1, 4, 3, 3)).sum().backward()
    assert all(p.requires_grad and p.grad is not None for p in up.parameters())
    up.init_weights()


@pytest.mark.parametrize('groups', GROUPS.values(), ids=GROUPS)
@pytest.mark.parametrize(('s', 'kernels'), [
    (1, (3, 5)), (2, (5, 7, 11, 31)), (3, (7, 9, 31)), (4, (11, 13, 31)), (5, (13, ))])
def test_bilinear_start_is_bilinear_away_from_the_border(groups, s, kernels):
    x = torch.randn(2, 4, 6, 7, dtype=torch.float64)
    expected = F.interpolate(x, scale_factor=s, mode='bilinear', align_corners=False)
    inside = (..., slice(s, -s), slice(s, -s))
    for kernel in kernels:
        up = LCTC(4, s, kernel_size=kernel, groups=groups, init='bilinear').double()
        torch.testing.assert_close(up(x)[inside], expected[inside], rtol=0, atol=1e-6)
        assert not up.small.weight.any()


@pytest.mark.parametrize('s', range(1, 12))
def test_too_small_kernel_names_the_smallest(s):
    """The smallest that works is found by trying."""
    def build(kernel):
        return LCTC(2, s, kernel_size=kernel, init='bilinear')

    refused = {}
    for kernel in range(3, 32, 2):
        try:
            build(kernel)
        except ValueError as error:
            refused[kernel] = str(error)
    smallest = min(set(range(3, 32, 2)) - set(refused))
    assert list(refused) == list(range(3, smallest, 2))
    for kernel, message in refused.items():
        assert message.endswith(f'scale_factor={s} needs kernel_size {smallest} or larger, '
                                f'got {kernel}')


@pytest.mark.parametrize(('kernel', 'small', 'groups', 'numel'), [
    (7, None, None, 12800), (7, 3, None, 15360), (11, None, None, 31232), (11, 3, None, 33792),
    (31, 3, None, 248832), (7, 3, 1, 256 * 256 * 58 + 512), (11, 3, 1, 256 * 256 * 130 + 512)])
def test_parameter_counts(kernel, small, groups, numel):
    up = LCTC(256, kernel_size=kernel, small_kernel_size=small, groups=groups)
    assert sum(p.numel() for p in up.parameters()) == numel


def test_default_arguments_and_keys():
    up = LCTC(8)
    assert {key: tuple(value.shape) for key, value in up.state_dict().items()} == {
        'large.weight': (8, 1, 11, 11), 'large.bias': (8, ),
        'small.weight': (8, 1, 3, 3), 'small.bias': (8, )}


def test_default_initialisation_is_pytorchs():
    """Uniform within 1/sqrt(fan in), where a depthwise kernel has k*k inputs."""
    weight = LCTC(64).large.weight
    bound = 1 / 11
    assert 0.99 * bound < weight.abs().max() <= bound
    assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.03)


@pytest.mark.parametrize(('args', 'message'), [
    *((dict(kernel_size=value), f'odd integer from 3 to 31, got kernel_size={value!r}')
      for value in (4, 1, 33, '7', 7.0)),
    *((dict(small_kernel_size=value),
       f'odd integer from 1 to 11, got small_kernel_size={value!r}') for value in (2, 13, 0, 3.0)),
    (dict(groups=3), 'in_channels=16, groups=3'), (dict(groups=0), 'groups=0'),
    (dict(init='xavier'), "init='xavier'"),
])
def test_impossible_arguments_are_refused(args, message):
    with pytest.raises(ValueError, match=message):
        LCTC(16, **args)

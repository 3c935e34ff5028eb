"""Reassembly against a loop over output pixels."""
import sys

import ops_oracles
import pytest
import torch

from mmups.ops import reassemble, use_backend
from mmups.ops.backends import mmcv


@pytest.mark.parametrize('kernel_size, groups, scale', [
    (3, 1, 2), (5, 2, 2), (1, 1, 2), (3, 4, 3), (5, 1, 1), (3, 2, 4)])
def test_equals_naive_loop(kernel_size, groups, scale):
    x = torch.randn(2, 4, 2, 3, dtype=torch.float64, requires_grad=True)
    kernels = torch.randn(2, groups * (kernel_size * scale)**2, 2, 3, dtype=torch.float64,
                          requires_grad=True)
    out = reassemble(x, kernels, kernel_size, groups, scale)
    expected = ops_oracles.reassemble(x, kernels, kernel_size, groups, scale)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)
    upstream = torch.randn_like(out)
    for got, want in zip(torch.autograd.grad(out, (x, kernels), upstream),
                         torch.autograd.grad(expected, (x, kernels), upstream)):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-12)


@pytest.mark.parametrize('kernel_size, groups, scale', [
    (3, 1, 2), (5, 2, 2), (1, 1, 2), (3, 4, 3), (5, 1, 1), (3, 2, 4)])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_bags_equal_naive_loop(kernel_size, groups, scale, dtype, monkeypatch):
    """Where no gradient is wanted, and nowhere else."""
    x = torch.randn(2, 4, 2, 3, dtype=torch.float64)
    kernels = torch.randn(2, groups * (kernel_size * scale)**2, 2, 3, dtype=torch.float64)
    args = kernel_size, groups, scale
    expected = ops_oracles.reassemble(x, kernels, *args)
    calls = []
    bag = torch.nn.functional.embedding_bag
    monkeypatch.setattr(torch.nn.functional, 'embedding_bag',
                        lambda *args, **options: calls.append(1) or bag(*args, **options))
    with use_backend('embedding_bag'):
        reassemble(x, kernels, *args)
        assert not calls
        with torch.no_grad():
            out = reassemble(x.to(dtype), kernels.to(dtype), *args)
            assert calls and out.is_contiguous()
            assert reassemble(x[:0], kernels[:0], *args).shape == (0, 4, 2 * scale, 3 * scale)
    torch.testing.assert_close(out, expected.to(dtype))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('groups', [1, 4])
def test_cuda_equals_cpu(groups):
    """Whichever kernel is used on a GPU, mmcv's or ours: the same numbers and gradients."""
    x, kernels = torch.randn(2, 8, 9, 7), torch.randn(2, groups * 100, 9, 7)
    results = []
    for device in ('cpu', 'cuda'):
        inputs = [t.to(device).requires_grad_() for t in (x, kernels)]
        out = reassemble(*inputs, 5, groups)
        results.append([out, *torch.autograd.grad(out.square().sum(), inputs)])
    for got, want in zip(results[1], results[0]):
        torch.testing.assert_close(got.cpu(), want, rtol=1e-4, atol=1e-4)


def test_half_precision_sums_in_float32():
    x = torch.randn(1, 4, 8, 8)
    kernels = torch.randn(1, 100, 8, 8)
    for dtype in (torch.float16, torch.bfloat16):
        rounded = x.to(dtype), kernels.to(dtype)
        out = reassemble(*rounded, 5)
        exact = reassemble(*(t.double() for t in rounded), 5)
        assert out.dtype == dtype
        torch.testing.assert_close(out.double(), exact, rtol=torch.finfo(dtype).eps, atol=1e-6)


def test_no_copy_of_the_windows():
    """What is kept for the backward pass: each map once, and not K*K copies of one."""
    x = torch.randn(1, 64, 32, 32, requires_grad=True)
    kernels = torch.randn(1, 100, 32, 32, requires_grad=True)
    sizes = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = reassemble(x, kernels, 5)
    assert x.nbytes + kernels.nbytes <= sum(sizes.values()) < 2 * out.nbytes


def test_mmcvs_operator_is_left_alone_under_transforms(monkeypatch):
    """It has no rules for torch.func; the reference is made of PyTorch's operators."""
    calls = []

    def operator(x, kernels, kernel_size, groups, scale_factor):
        calls.append(kernels.shape)
        return torch.zeros(*x.shape[:2], *kernels.shape[2:])

    monkeypatch.setattr(mmcv, '_carafe', lambda: operator)
    x, kernels = torch.randn(1, 4, 3, 5), torch.randn(1, 100, 3, 5)
    expected = reassemble(x, kernels, 5)
    monkeypatch.setattr(torch.Tensor, 'is_cuda', True, raising=False)
    with use_backend('mmcv'):
        assert not reassemble(x, kernels, 5).any()
        assert calls == [(1, 25, 6, 10)]
        out = torch.func.vmap(lambda *maps: reassemble(*maps, 5))(x[None], kernels[None])
        torch.testing.assert_close(out[0], expected)
        torch.func.grad(lambda maps: reassemble(maps, kernels, 5).sum())(x)
        assert len(calls) == 1


@pytest.mark.parametrize('error', [ModuleNotFoundError, ImportError, AssertionError, ValueError])
def test_a_broken_mmcv_is_missing(error, monkeypatch):
    """Whatever it raises, where its extension is looked for or later: PyTorch computes the same."""
    def broken(*args):
        raise error('broken')
    monkeypatch.setattr(mmcv, '_carafe', mmcv._carafe.__wrapped__)
    with monkeypatch.context() as patch:
        patch.setattr(mmcv, 'find_spec', broken)
        assert f'{error.__name__}: broken; install mmcv' in mmcv.missing()
    monkeypatch.setattr(mmcv, 'find_spec', lambda name: 'there')
    monkeypatch.setitem(sys.modules, 'mmcv.ops', None)
    assert 'install mmcv' in mmcv.missing()
    monkeypatch.setattr(mmcv, 'find_spec', lambda name: None)
    assert 'without its compiled operators' in mmcv.missing()

"""Peaks of memory against counts by hand."""
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmups.analysis import peak_memory
from mmups.analysis.memory import free_memory

CPU = torch.device('cpu')
UNIT = 4 * 1000  # bytes of 1,000 floats


def floats(count):
    return torch.empty(count * 1000)


class Steps(nn.Module):
    """Holds 1, 3, 2, 5 and, when it returns, 3 units."""

    def forward(self):
        a = floats(1)
        b = floats(2)
        del a
        c = floats(3)
        del b
        return c


def test_peak_of_a_module():
    assert peak_memory(Steps(), CPU) == 5 * UNIT


def test_what_was_there_before_does_not_count():
    x = floats(50)
    assert peak_memory(lambda: torch.exp(x), CPU) == 50 * UNIT
    assert peak_memory(lambda: x.exp_(), CPU) == 0


def test_what_is_kept_for_the_backward_pass_counts():
    """exp keeps its result, for a gradient of the same size; relu's gradient needs no more."""
    x, gradient = floats(10).requires_grad_(), floats(10)

    def run():
        y = torch.exp(torch.exp(x))
        return torch.autograd.grad(y, x, gradient)
    assert peak_memory(run, CPU) == pytest.approx(4 * 10 * UNIT, abs=2 * 10 * UNIT / 100)


def test_scratch_within_an_operator_counts():
    """A convolution in double precision unfolds its input: 9 values for each."""
    x, weight = torch.rand(1, 8, 32, 32).double(), torch.rand(1, 8, 3, 3).double()
    output = 8 * 30 * 30
    with torch.no_grad():
        peak = peak_memory(lambda: F.conv2d(x, weight), CPU)
    assert peak >= output + 9 * 8 * output


def test_an_error_is_passed_on():
    def fail():
        raise RuntimeError('of the function')
    with pytest.raises(RuntimeError, match='of the function'):
        peak_memory(fail, CPU)
    assert peak_memory(Steps(), CPU) == 5 * UNIT


def test_free_memory():
    free = free_memory(CPU)
    assert free is None or 0 < free < 2**50


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_peak_on_a_gpu():
    """Its allocator gives out multiples of 512 bytes."""
    def steps():
        a = torch.empty(1024 * 100, device='cuda')
        b = torch.empty(1024 * 200, device='cuda')
        del a
        c = torch.empty(1024 * 300, device='cuda')
        del b
        return c
    assert peak_memory(steps, torch.device('cuda')) == 5 * 4 * 1024 * 100

"""ops.sample_dynamic against a loop over the output pixels."""
import ops_oracles
import pytest
import torch

from mmups.ops import bilinear_positions, sample_dynamic


@pytest.mark.parametrize('s', [1, 2, 3])
@pytest.mark.parametrize('groups', [1, 2])
def test_equals_loop_forward_and_backward(s, groups):
    """Offsets of several pixels: many points lie beyond the border, on each side."""
    x = torch.randn(2, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    offset = (2 * torch.randn(2, 2 * groups * s * s, 3, 4, dtype=torch.float64)).requires_grad_()
    out = sample_dynamic(x, offset, s, groups)
    expected = ops_oracles.sample_dynamic(x, offset, s, groups)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)
    upstream = torch.randn_like(out)
    for got, want in zip(torch.autograd.grad(out, (x, offset), upstream),
                         torch.autograd.grad(expected, (x, offset), upstream)):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-11)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_costs_one_rounding(dtype):
    """Positions are float32: on 1024 columns only the output's own rounding is left."""
    x = torch.randn(1, 2, 3, 1024).to(dtype)
    offset = torch.randn(1, 8, 3, 1024).to(dtype)
    out = sample_dynamic(x, offset)
    exact = sample_dynamic(x.double(), offset.double())
    assert out.dtype == dtype
    # Half a step of the format, plus float32's error in a position times the steepest slope.
    slope = (x.double().amax() - x.double().amin()).item()
    tolerance = exact.abs() * torch.finfo(dtype).eps / 2 + 4 * 1024 * 2**-24 * slope
    assert ((out.double() - exact).abs() <= tolerance).all()


@pytest.mark.parametrize('s', [1, 2, 3])
@pytest.mark.parametrize('groups', [1, 4])
def test_bilinear_positions(s, groups):
    x = torch.randn(2, 4, 3, 5, dtype=torch.float64)
    offset = bilinear_positions(s, groups).double().expand(2, -1, 3, 5)
    expected = torch.nn.functional.interpolate(x, scale_factor=s, mode='bilinear')
    torch.testing.assert_close(sample_dynamic(x, offset, s, groups), expected, rtol=0, atol=1e-6)

"""ops.fit_size against NumPy indexing with clamped indices."""
import numpy as np
import pytest
import torch

from mmups.ops import fit_size

TARGETS = [(4, 5), (3, 5), (4, 3), (2, 2), (5, 5), (4, 7), (6, 8), (3, 6), (5, 4), (1, 1)]


def clamped(x, size):
    rows = np.minimum(np.arange(size[0]), x.shape[-2] - 1)
    columns = np.minimum(np.arange(size[1]), x.shape[-1] - 1)
    return x[:, :, rows[:, None], columns[None, :]]


@pytest.mark.parametrize('size', TARGETS, ids=str)
@pytest.mark.parametrize('n', [2, 0])
@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_equals_clamped_indexing(size, n, dtype):
    x = torch.randn(n, 3, 4, 5).to(dtype)
    out = fit_size(x, size)
    assert out.dtype == dtype
    np.testing.assert_array_equal(out.double().numpy(), clamped(x.double().numpy(), size))


def test_fitting_map_is_returned_as_it_is():
    x = torch.randn(1, 2, 4, 5)
    assert fit_size(x, x.shape[2:]) is x


@pytest.mark.parametrize('size', TARGETS, ids=str)
def test_gradient_adds_up_where_pixels_repeat(size):
    x = torch.randn(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    fit_size(x, size).sum().backward()
    rows = np.bincount(np.minimum(np.arange(size[0]), 3), minlength=4)
    columns = np.bincount(np.minimum(np.arange(size[1]), 4), minlength=5)
    np.testing.assert_array_equal(x.grad[0, 0].numpy(), np.outer(rows, columns))


@pytest.mark.parametrize('example', TARGETS, ids=str)
def test_one_recorded_graph_serves_all_sizes(example):
    """The example must not decide for good whether the graph crops, replicates or does nothing."""

    class Fit(torch.nn.Module):

        def forward(self, x, like):
            return fit_size(x, like.shape[-2:])

    dims = torch.export.Dim
    shapes = ({2: dims('h'), 3: dims('w')}, {2: dims('H'), 3: dims('W')})
    inputs = torch.randn(1, 2, 4, 5), torch.randn(1, 1, *example)
    if 1 in example:  # torch.export takes a size of one for a constant
        graphs = [torch.jit.trace(Fit(), inputs)]
    else:
        graphs = [torch.jit.trace(Fit(), inputs),
                  torch.export.export(Fit(), inputs, dynamic_shapes=shapes).module()]
    for graph in graphs:
        for h, w, size in [(4, 5, (4, 5)), (3, 7, (4, 6)), (6, 6, (5, 4)), (2, 2, (3, 2))]:
            x = torch.randn(1, 2, h, w)
            out = graph(x, torch.empty(1, 1, *size))
            np.testing.assert_array_equal(out.numpy(), clamped(x.numpy(), size))

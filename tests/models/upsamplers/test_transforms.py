"""Every upsampler under ``torch.func``: maps over batches, ensembles, derivatives.

What PyTorch 2.13 itself cannot do is skipped with its own words.
"""
import pytest
import torch
from torch.func import functional_call, grad, jacrev, jvp, stack_module_state, vmap

#: Words of PyTorch where an operator of its own has no rule.
NO_RULE = ('NYI: querying is_contiguous inside of vmap', 'forward AD with grid_sampler_2d')


def or_skip(call):
    try:
        return call()
    except (RuntimeError, NotImplementedError) as error:
        if any(words in str(error) for words in NO_RULE):
            pytest.skip(str(error)[:120])
        raise


def batches(case, count=3, **kwargs):
    return tuple(torch.stack(maps) for maps in zip(*(case.inputs(**kwargs) for _ in range(count))))


@pytest.mark.filterwarnings('ignore:There is a performance drop')
@pytest.mark.parametrize('size', [None, (9, 13)], ids=str)
@pytest.mark.parametrize('layout', ['first', 'last', 'strided'])
def test_vmap_equals_a_loop(case, layout, size, randomise):
    up = randomise(case.build(), std=0.2).double().eval()
    stacks = batches(case, dtype=torch.float64)
    expected = torch.stack([up(*maps, size=size) for maps in zip(*stacks)])
    dim = -1 if layout == 'last' else 0
    if layout == 'last':
        stacks = tuple(maps.movedim(0, -1).contiguous() for maps in stacks)
    elif layout == 'strided':
        stacks = tuple(torch.cat((maps, maps), dim=-1)[..., :maps.shape[-1]] for maps in stacks)
    got = vmap(lambda *maps: up(*maps, size=size), in_dims=dim)(*stacks)
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.filterwarnings('ignore:There is a performance drop')
def test_vmap_of_channels_last_maps(case, randomise):
    up = randomise(case.build(), std=0.2).double().eval()
    stacks = batches(case, dtype=torch.float64)
    expected = torch.stack([up(*maps) for maps in zip(*stacks)])
    last = tuple(maps.movedim(2, -1).contiguous().movedim(-1, 2) for maps in stacks)
    got = or_skip(lambda: vmap(up)(*last))  # PyTorch's group norm asks for the layout
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.filterwarnings('ignore:There is a performance drop')
def test_vmap_over_one_of_the_inputs(case, randomise):
    """The same map with several guides, or the other way round; an empty batch in each."""
    up = randomise(case.build(), std=0.2).double().eval()
    x, *guides = batches(case, n=1, dtype=torch.float64)
    for dims in ([(0, None), (None, 0)] if guides else [(0, )]):
        stacks = tuple(maps if dim == 0 else maps[0] for maps, dim in zip((x, *guides), dims))
        expected = torch.stack([
            up(*(maps[i] if dim == 0 else maps for maps, dim in zip(stacks, dims)))
            for i in range(3)])
        torch.testing.assert_close(vmap(up, in_dims=dims)(*stacks), expected, rtol=1e-9,
                                   atol=1e-9)
    nothing = tuple(maps[:, :0] for maps in (x, *guides))
    assert vmap(up)(*nothing).shape == (3, 0, case.channels, 10, 12)


@pytest.mark.filterwarnings('ignore:There is a performance drop')
def test_an_ensemble_equals_its_members(case, randomise):
    """Outputs and gradients of several sets of weights at once (torch.func's model ensembling)."""
    members = [randomise(case.build(), std=0.1).double().eval() for _ in range(2)]
    if not list(members[0].parameters()):
        pytest.skip('has no parameters')
    inputs = case.inputs(dtype=torch.float64)
    parameters, buffers = stack_module_state(members)

    def call(parameters, buffers):
        return functional_call(members[0], (parameters, buffers), inputs)

    def loss(parameters, buffers):
        out = call(parameters, buffers)
        return (out * torch.linspace(-1, 1, out.numel()).reshape(out.shape)).sum()

    outs, grads = vmap(call)(parameters, buffers), vmap(grad(loss))(parameters, buffers)
    for i, member in enumerate(members):
        out = member(*inputs)
        torch.testing.assert_close(outs[i], out, rtol=1e-9, atol=1e-9)
        (out * torch.linspace(-1, 1, out.numel()).reshape(out.shape)).sum().backward()
        for name, parameter in member.named_parameters():
            torch.testing.assert_close(grads[name][i], parameter.grad, rtol=1e-8, atol=1e-8)


def test_jacobian_equals_autograds(case, randomise):
    up = randomise(case.build(), std=0.2).double().eval()
    x, *guide = case.inputs(1, 2, 2, dtype=torch.float64)

    def total(maps):  # a row per fine pixel and channel would take long
        return up(maps, *guide).sum(dim=1)

    expected = torch.autograd.functional.jacobian(total, x)
    torch.testing.assert_close(jacrev(total)(x), expected, rtol=1e-9, atol=1e-9)


def test_directional_derivative_equals_a_difference(case, randomise):
    up = randomise(case.build(), std=0.2).double().eval()
    inputs = case.inputs(1, 3, 4, dtype=torch.float64)
    directions = tuple(torch.randn_like(maps) for maps in inputs)
    _, got = or_skip(lambda: jvp(up, inputs, directions))
    ahead, behind = (up(*(maps + step * d for maps, d in zip(inputs, directions)))
                     for step in (1e-6, -1e-6))
    torch.testing.assert_close(got, (ahead - behind) / 2e-6, rtol=1e-5, atol=1e-6)

"""Modules that are built without memory (meta device) and get it later."""
import copy
import pickle

import pytest
import torch

from mmups.models import DySample


def late(case):
    """A module of the case as loaders of large models make it, but for its weights."""
    with torch.device('meta'):
        up = case.build()
    assert all(t.is_meta for t in (*up.parameters(), *up.buffers()))
    up = up.to_empty(device='cpu')
    with torch.no_grad():
        for tensor in (*up.parameters(), *up.buffers()):
            tensor.fill_(7)  # what was in the memory
    return up


def test_init_weights_fills_a_module_built_on_meta(case):
    """All that a normally built one has: the same draws, the same buffers."""
    up = late(case)
    usual = case.build()
    for module in (up, usual):
        torch.manual_seed(1)
        module.init_weights()
    assert up.state_dict().keys() == usual.state_dict().keys()
    for name, value in usual.state_dict().items():
        torch.testing.assert_close(up.state_dict()[name], value, rtol=0, atol=0, msg=name)
    inputs = case.inputs()
    assert torch.equal(up.eval()(*inputs), usual.eval()(*inputs))


@pytest.mark.parametrize('duplicate', [copy.deepcopy, lambda up: pickle.loads(pickle.dumps(up))],
                         ids=['deepcopy', 'pickle'])
@pytest.mark.parametrize('assign', [False, True])
def test_a_checkpoint_fills_a_module_built_on_meta(case, assign, duplicate, randomise):
    usual = randomise(case.build()).eval()
    with torch.device('meta'):
        up = case.build().eval()
    if not assign:
        up = up.to_empty(device='cpu')
    up.load_state_dict(usual.state_dict(), assign=assign)
    inputs = case.inputs()
    assert torch.equal(duplicate(up)(*inputs), usual(*inputs))


@pytest.mark.parametrize('strict', [True, False])
@pytest.mark.parametrize('args', [dict(), dict(style='pl', groups=8, dyscope=True)], ids=str)
def test_a_checkpoint_without_positions(args, strict, randomise):
    """They are no weights: whoever kept only the parameters gets them back."""
    usual = randomise(DySample(16, 3 if not args else 2, **args))
    positions = usual.init_pos.clone()
    torch.nn.init.constant_(usual.init_pos, 7)
    state = {name: value for name, value in usual.state_dict().items() if name != 'init_pos'}
    report = usual.load_state_dict(state, strict=strict)
    assert not report.missing_keys
    assert torch.equal(usual.init_pos, positions)


def test_a_checkpoint_of_another_model_leaves_the_positions_missing():
    """So that a report of missing weights counts all of them."""
    up = DySample(16)
    report = up.load_state_dict({}, strict=False)
    assert sorted(report.missing_keys) == ['init_pos', 'offset.bias', 'offset.weight']


def test_bilinear_positions():
    """Of x2: a quarter of a coarse pixel to each side; x before y, rows before columns."""
    up = DySample(8, groups=2).double().half()
    torch.nn.init.constant_(up.init_pos, 7)
    up.init_weights()
    x, y = [-0.25, 0.25, -0.25, 0.25], [-0.25, -0.25, 0.25, 0.25]
    assert up.init_pos.flatten().tolist() == x * 2 + y * 2
    assert up.init_pos.dtype == torch.float16

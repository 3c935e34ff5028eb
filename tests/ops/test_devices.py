"""Operators make what they need on the device of their maps; ``meta`` is one, without a GPU."""
import pytest
import torch

from mmups import ops

N, C, H, W = 2, 8, 3, 4


def maps(channels, scale=1):
    return torch.empty(N, channels, scale * H, scale * W, device='meta')


CALLS = {
    'aligned_points': lambda: ops.aligned_points(maps(36, 2), 3),
    'attend_neighbours': lambda: ops.attend_neighbours(maps(9, 2), maps(C)),
    'clamped_attention': lambda: ops.clamped_attention(
        maps(C, 2), maps(C), maps(C), 3, 2),
    'crop_spectrum': lambda: ops.crop_spectrum(maps(C, 2)),
    'deform_attend': lambda: ops.deform_attend(
        torch.empty(N, 2, 3, 2 * H, 2 * W, device='meta'), maps(C), maps(12, 2)),
    'deform_query_key': lambda: ops.deform_query_key(maps(C, 2), maps(C), maps(12, 2), 2),
    'depthwise_transposed': lambda: ops.depthwise_transposed(
        maps(C), torch.empty(C, 1, 7, 7, device='meta'), torch.empty(C, device='meta')),
    'bilinear_positions': lambda: ops.bilinear_positions(2).to('meta'),  # always made on the CPU
    'fit_size': lambda: ops.fit_size(maps(C), (2 * H, 2 * W)),
    'guided_filter': lambda: ops.guided_filter(maps(C), maps(C)),
    'neighbour_similarity': lambda: ops.neighbour_similarity(maps(C), 2),
    'pixel_shuffle': lambda: ops.pixel_shuffle(maps(C), 2),
    'pixel_unshuffle': lambda: ops.pixel_unshuffle(maps(C, 2), 2),
    'query_key': lambda: ops.query_key(maps(C, 2), maps(C), 3),
    'reassemble': lambda: ops.reassemble(maps(C), maps(100), 5),
    'sample_dynamic': lambda: ops.sample_dynamic(maps(C), maps(8)),
    'softmax': lambda: ops.softmax(maps(C), 1),
    'window_softmax': lambda: ops.window_softmax(maps(100), 25, 2),
    'windows_of': lambda: ops.windows_of(maps(100), 5),
    'zero_pad_matrix': lambda: ops.zero_pad_matrix(H, device=torch.device('meta')),
    'zero_pad_spectrum': lambda: ops.zero_pad_spectrum(maps(C)),
}


def test_every_operator_is_called():
    assert CALLS.keys() == set(ops.__all__) - {'is_recording', 'current_backend', 'use_backend'}


@pytest.mark.parametrize('name', CALLS)
def test_device(name):
    assert CALLS[name]().device.type == 'meta'

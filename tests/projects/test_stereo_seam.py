"""LCTC of mmups in the place of the upsampling of STTR-light."""
import pytest
import torch
from torch import nn

from mmups.models import LCTC


class TransitionUp(nn.Module):
    """Upsampling of STTR-light's tokenizer with a large and a small kernel, as described: depthwise
    transposed convolutions of stride 2 without output padding, padded by (k - 3) / 2, cropped about
    the centre to the size of the skip."""

    def __init__(self, channels, kernel_size, small_kernel_size):
        super().__init__()

        def path(k):
            return nn.ConvTranspose2d(channels, channels, k, stride=2, padding=(k - 3) // 2,
                                      groups=channels)
        self.convTrans = path(kernel_size)
        self.parallel_kernel = path(small_kernel_size) if small_kernel_size else None

    def whole(self, x):
        out = self.convTrans(x)
        return out if self.parallel_kernel is None else out + self.parallel_kernel(x)

    def forward(self, x, skip):
        out = self.whole(x)
        top, left = ((n - m) // 2 for n, m in zip(out.shape[-2:], skip.shape[-2:]))
        return out[..., top:top + skip.shape[-2], left:left + skip.shape[-1]]


@pytest.fixture(params=[(11, 3), (7, 3), (31, 3), (7, None)], ids='k{0[0]}-{0[1]}'.format)
def pair(request):
    """Both, in float64, with the same weights under their own names."""
    theirs = TransitionUp(8, *request.param).double()
    ours = LCTC(8, kernel_size=request.param[0], small_kernel_size=request.param[1]).double()
    names = {'convTrans': 'large', 'parallel_kernel': 'small'}
    state = {f'{names[name]}.{kind}': value for name, kind, value in
             ((*key.split('.'), value) for key, value in theirs.state_dict().items())}
    ours.load_state_dict(state)
    return theirs, ours


@pytest.mark.parametrize('size', [(6, 8), (5, 7), (6, 9), (1, 1)], ids='{0[0]}x{0[1]}'.format)
def test_the_slice_is_lctc(pair, size):
    """They make 2 h + 1 rows; all but the first are ours."""
    theirs, ours = pair
    x = torch.randn(2, 8, *size, dtype=torch.float64)
    whole = theirs.whole(x)
    assert whole.shape[-2:] == tuple(2 * n + 1 for n in size)
    torch.testing.assert_close(ours(x), whole[..., 1:, 1:])


def test_their_crop_shifts_even_sizes_by_a_pixel_and_odd_ones_not(pair):
    """An even skip is one pixel smaller than 2 h + 1: the half that the crop takes off the top is
    rounded to 0, and what it keeps lies a pixel lower than ours. An odd one is two smaller."""
    theirs, ours = pair
    x = torch.randn(2, 8, 6, 7, dtype=torch.float64)
    for rows, shift_down in ((12, 1), (11, 0)):
        for columns, shift_right in ((14, 1), (13, 0)):
            skip = torch.zeros(2, 4, rows, columns)
            cropped = theirs(x, skip)
            assert cropped.shape[-2:] == skip.shape[-2:]
            fitted = ours(x, size=(rows, columns))
            torch.testing.assert_close(cropped[..., shift_down:, shift_right:],
                                       fitted[..., :rows - shift_down, :columns - shift_right])

"""Shift consistency: whether a model says the same of a picture that is moved a little.

Source: the mean segmentation consistency ("mASSC") of Rojas-Gomez et al., "Learnable Polyphase
Sampling for Shift Invariant and Equivariant Convolutional Networks", NeurIPS 2022,
arXiv:2210.08001, circular and linear; shifts by parts of a pixel as in Michaeli et al., "Alias-Free
Convnets: Fractional Shift Invariance via Polynomial Activations", CVPR 2023, arXiv:2303.08085. No
code was taken.
Deviations: of binary heads (one logit) the sign is compared; the two predictions are compared where
the picture has been moved to, so that only one of them is resampled.

Shifts are (dy, dx) in pixels of the image, down and to the right where positive.
"""
from collections.abc import Callable, Sequence
from typing import Optional

import torch
from torch import Tensor

Shift = tuple[float, float]
MODES = ('circular', 'linear', 'subpixel')


def shift_consistency(logits_of: Callable[[Tensor], Tensor], image: Tensor,
                      shifts: Sequence[Shift], mode: str = 'circular') -> Tensor:
    """Share of pixels whose label moves with the picture, over images and shifts; 1 is best.

    Args:
        logits_of: Takes images (N, C, H, W), returns logits (N, K, H, W).
        image: (N, C, H, W), floating point.
        shifts: Each (dy, dx); integers but for ``'subpixel'``.
        mode: ``'circular'``: what leaves the picture enters on the other side. ``'linear'``: black
            enters, and only what is in both pictures is compared. ``'subpixel'``: circular, by a
            phase in the Fourier domain, of picture and logits; for integers it is circular.

    Returns:
        A scalar tensor in 0 .. 1, float64.

    Raises:
        ValueError: No shift, an unknown ``mode``, a shift that leaves nothing to compare or is not
            an integer where it has to be, or logits of another size than the image.
    """
    return shift_agreements(logits_of, image, shifts, mode).mean()


@torch.no_grad()
def shift_agreements(logits_of: Callable[[Tensor], Tensor], image: Tensor,
                     shifts: Sequence[Shift], mode: str = 'circular') -> Tensor:
    """What :func:`shift_consistency` is the mean of, for its variance.

    Args:
        logits_of: As there, as are all others.
        image: (N, C, H, W).
        shifts: S of them.
        mode: One of :data:`MODES`.

    Returns:
        Agreement of every shift and image, (S, N), float64.

    Raises:
        ValueError: As there.
    """
    if mode not in MODES:
        raise ValueError(f'mode must be one of {MODES}, got {mode!r}')
    if not shifts:
        raise ValueError('shifts is empty; give at least one (dy, dx)')
    logits = _logits(logits_of, image)
    rows = []
    for shift in shifts:
        moved = _labels(_logits(logits_of, shift_image(image, shift, mode)))
        same = (_labels(shift_image(logits, shift, mode)) == moved).double()  # (N, H, W)
        if mode == 'linear':
            same = same[(..., *map(_overlap, shift))]
        rows.append(same.mean(dim=(-2, -1)))
    return torch.stack(rows)


def shift_image(image: Tensor, shift: Shift, mode: str = 'circular') -> Tensor:
    """Move pictures or maps.

    Args:
        image: (..., H, W).
        shift: (dy, dx); for ``'subpixel'`` any numbers, else integers.
        mode: As in :func:`shift_consistency`.

    Returns:
        The same shape. By parts of a pixel a sharp edge rings, and so leaves [0, 1].

    Raises:
        ValueError: As in :func:`shift_consistency`.
    """
    whole = [round(step) for step in shift]
    if mode == 'subpixel' and whole != list(shift):
        return _phase_shift(image, shift)
    if whole != list(shift):
        raise ValueError(f"mode {mode!r} shifts by whole pixels, got {tuple(shift)}; "
                         "mode='subpixel' shifts by parts of one")
    moved = image.roll(whole, dims=(-2, -1))
    if mode == 'linear':
        if any(abs(step) >= size for step, size in zip(whole, image.shape[-2:])):
            raise ValueError(f'a shift by {tuple(shift)} leaves nothing of an image of '
                             f'{tuple(image.shape[-2:])} pixels')
        kept = torch.zeros_like(moved)
        there = (..., *map(_overlap, shift))
        kept[there] = moved[there]
        return kept
    return moved


@torch.no_grad()
def equivariance_error(upsample: Callable[..., Tensor], x: Tensor, shift: Shift,
                       guide: Optional[Tensor] = None, margin: int = 0) -> float:
    """How far an upsampler is from commuting with a shift, ||U(S x) - S U(x)|| / ||U(x)||.

    0 for integer shifts is what every convolution has, up to the border; 0 for half a pixel what
    band-limited interpolation has and replication has not. Shifts are circular, by integers as they
    are and else by a phase, so that an ``x`` with much at the highest frequencies says little.

    Args:
        upsample: Takes x, or x and the guide, returns (N, C, H', W'), a multiple of the size of x.
        x: (N, C, h, w).
        shift: (dy, dx) in pixels of ``x``; the output, and the guide, shift by as many times more
            as they are larger.
        guide: (N, G, H, W), for upsamplers that need one.
        margin: Pixels of ``x`` on each side that are left out of both norms, because upsamplers pad
            with something else than the other side.

    Raises:
        ValueError: ``margin`` leaves nothing.
    """

    def moved(tensor: Tensor) -> Tensor:
        steps = (step * size / small
                 for step, size, small in zip(shift, tensor.shape[-2:], x.shape[-2:]))
        return shift_image(tensor, tuple(steps), 'subpixel')

    inputs = [x] if guide is None else [x, guide]
    output = upsample(*inputs)
    edges = [margin * size // small for size, small in zip(output.shape[-2:], x.shape[-2:])]
    inner = (..., *(slice(edge, size - edge) for edge, size in zip(edges, output.shape[-2:])))
    if margin < 0 or output[inner].numel() == 0:
        raise ValueError(f'margin must leave something of {tuple(x.shape[-2:])} pixels, got '
                         f'{margin}')
    difference = upsample(*map(moved, inputs)) - moved(output)
    return (difference[inner].norm() / output[inner].norm()).item()


def _overlap(step: float) -> slice:
    """Where along one side both the moved and the unmoved picture are."""
    return slice(int(step), None) if step >= 0 else slice(None, int(step))


def _phase_shift(image: Tensor, shift: Shift) -> Tensor:
    """Move by a phase in the Fourier domain, in float32 at least; the real part is taken, which
    treats the Nyquist frequency as half of each sign."""
    exact = image if image.dtype == torch.float64 else image.float()
    spectrum = torch.fft.fft2(exact)
    for dim, step in zip((-2, -1), shift):
        frequency = torch.fft.fftfreq(image.shape[dim], device=image.device, dtype=exact.dtype)
        phase = torch.exp(-2j * torch.pi * step * frequency)
        spectrum = spectrum * (phase[:, None] if dim == -2 else phase)
    return torch.fft.ifft2(spectrum).real.to(image.dtype)


def _logits(logits_of: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """Logits of the image's size."""
    logits = logits_of(image)
    if logits.dim() != 4 or logits.shape[-2:] != image.shape[-2:]:
        raise ValueError(f'logits_of must return (N, K, H, W) with the size of the image, got '
                         f'{tuple(logits.shape)} for {tuple(image.shape)}')
    return logits


def _labels(logits: Tensor) -> Tensor:
    """Predicted labels (N, H, W)."""
    return logits.argmax(dim=1) if logits.shape[1] > 1 else logits[:, 0] > 0

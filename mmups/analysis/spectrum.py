"""Spectra of maps, and what upsampling leaves in them.

Upsampling by s is zero insertion and a convolution. Zero insertion leaves s*s - 1 replicas of the
spectrum, centred at the multiples of N/s on a grid of N frequencies; the convolution has to remove
them. What it does not remove is seen as a grid in the output. The numbers here say how much.

Spectra are centred (``fftshift``): frequency 0 is at index N // 2 of both axes.
"""
import math
from collections.abc import Callable
from typing import Optional

import torch
from torch import Tensor


def power_spectrum(maps: Tensor, window: bool = False) -> Tensor:
    """2-D power of maps without their means, averaged over samples and channels.

    Args:
        maps: (N, C, H, W), not empty.
        window: Fade the maps out towards their borders (Hann). The transform takes a map as
            periodic: without a window the jump between opposite borders is a cross through the
            spectrum, on which the replicas of an upsampled map lie, too. The price is that every
            frequency leaks into its neighbours.

    Returns:
        Tensor of shape (H, W), float64, centred; its mean is the variance of the maps, with a
        window that of their middle.

    >>> power_spectrum(torch.rand(2, 3, 8, 6)).shape
    torch.Size([8, 6])
    """
    maps = maps.detach().double()
    maps = maps - maps.mean((-2, -1), keepdim=True)
    if window:
        rows, columns = (_hann(n).to(maps) for n in maps.shape[-2:])
        maps = maps * rows[:, None] * columns
    spectrum = torch.fft.fft2(maps, norm='ortho')
    return torch.fft.fftshift(spectrum.abs().square().mean((0, 1)))


def radial_profile(power: Tensor) -> Tensor:
    """Mean power over rings of frequencies.

    Args:
        power: (H, W), centred.

    Returns:
        Tensor of shape (n // 2 + 1, ), n the smaller side: entry r is the mean over frequencies
        whose radius, in n-ths of a cycle per pixel and rounded down, is r; entry 0 is that of the
        means. What lies further out, in the corners, is left out.

    >>> radial_profile(torch.ones(8, 6))
    tensor([1., 1., 1., 1.])
    """
    n = min(power.shape)
    radius = (_distances(power) * n + 1e-9).long().flatten()
    sums, counts = (torch.zeros(n, dtype=power.dtype, device=power.device).index_add(
        0, radius.clamp(max=n - 1), values) for values in (power.flatten(),
                                                           torch.ones_like(power).flatten()))
    return sums[:n // 2 + 1] / counts[:n // 2 + 1]


def out_of_band_ratio(power: Tensor, scale_factor: float = 2) -> float:
    """Share of the energy beyond the frequencies that the coarse map could hold.

    Args:
        power: (H, W), centred, of a map that was upsampled.
        scale_factor: s; frequencies above 1/(2s) cycles per pixel in either axis are outside.

    Returns:
        In [0, 1]; 0 for a zero-padded spectrum, 1 - 1/s^2 for white noise; NaN without energy.
    """
    rows, columns = (frequency.abs() * 2 * scale_factor > 1 + 1e-9 for frequency in _axes(power))
    power = _without_mean(power)
    total = power.sum()
    return (power[rows[:, None] | columns].sum() / total).item()


def grid_peak_ratio(power: Tensor, scale_factor: int = 2) -> float:
    """How far the power at the centres of the replicas stands out of its surroundings.

    Mean power in 3x3 frequencies at each multiple of N/s but 0, over the median of the 7x7 around
    it without them; the mean over all of these places.

    Args:
        power: (H, W), centred; both at least 8 times ``scale_factor`` / 2.
        scale_factor: s; of a stack of steps their product.

    Returns:
        About 1 where nothing stands out (up to 1.4, the mean over the median of exponential
        noise, where the power is that of a single map).

    Raises:
        ValueError: The spectrum is so small that surroundings overlap.
    """
    s = scale_factor
    if min(power.shape) < 4 * s or s < 2:
        raise ValueError(f'a spectrum needs {4 * s} frequencies and s >= 2 for its grid of '
                         f'scale_factor={s}, got {tuple(power.shape)}')
    h, w = power.shape
    window = torch.arange(-3, 4)
    centre = (window.abs() <= 1)[:, None] & (window.abs() <= 1)
    ratios = []
    for a in range(s):
        for b in range(s):
            if (a, b) != (0, 0):
                rows = (h // 2 + round(a * h / s) + window) % h
                columns = (w // 2 + round(b * w / s) + window) % w
                around = power[rows[:, None], columns]
                ratios.append(around[centre].mean() / around[~centre].median())
    return torch.stack(ratios).mean().item()


@torch.no_grad()
def dc_checkerboard_index(upsample: Callable[[Tensor], Tensor], channels: int,
                          size: int = 48) -> float:
    """How uneven a constant map comes out, away from its border.

    Args:
        upsample: From (1, C, size, size) to a finer map, such as an upsampler; a guided one as
            ``lambda x: up(x, guide)``.
        channels: C.
        size: Of the constant map. A third of it on each side is left out; LCTC's largest kernel
            reaches 8 pixels.

    Returns:
        Standard deviation over the inner pixels over the absolute mean, as roots of the means of
        squares over channels; 0 exactly if the taps of all s*s output phases have the same sum.
    """
    out = upsample(torch.ones(1, channels, size, size)).double()[0]
    rows, columns = (slice(n // 3, n - n // 3) for n in out.shape[-2:])
    inner = out[:, rows, columns].flatten(1)
    return math.sqrt((inner.var(1, correction=0).mean() / inner.mean(1).square().mean()).item())


@torch.no_grad()
def impulse_response(upsample: Callable[[Tensor], Tensor], channels: int, size: int = 33) -> Tensor:
    """What an upsampler makes of one pixel: its kernels, of all output phases at once.

    Args:
        upsample: As in :func:`dc_checkerboard_index`; for a content-aware method the result is its
            answer to this one map.
        channels: C; all of them get the impulse.
        size: Of the map; the impulse is in its middle.

    Returns:
        Tensor of shape (C, s*size, s*size), the answer to zeros taken off.
    """
    x = torch.zeros(1, channels, size, size)
    zero = upsample(x)
    x[..., size // 2, size // 2] = 1
    return (upsample(x) - zero)[0]


def stop_band_share(kernels: Tensor, scale_factor: int = 2, dims: Optional[int] = None) -> Tensor:
    """Share of a kernel's energy at frequencies where replicas are: |w| > pi/s in any axis.

    The integral of |H(w)|^2 over the outside of the pass band by that over all frequencies, in
    closed form: no grid of frequencies is involved.

    Args:
        kernels: (k, ) or (..., k, k), taps on the fine grid.
        scale_factor: s.
        dims: 1 or 2 last axes are those of a kernel; default: 1 for (k, ), else 2.

    Returns:
        Tensor of the leading axes. 0 for the ideal low-pass; for white taps on average 1 - 1/s in
        one and 1 - 1/s^2 in two dimensions. A separable kernel has 1 - (1 - a)(1 - b) of its
        factors' a and b. NaN for a kernel of zeros.

    >>> stop_band_share(torch.tensor([1., 1.])).item()  # nearest neighbours
    0.1816901...
    """
    dims = dims or min(kernels.dim(), 2)
    kernels = kernels.detach().double()
    taps = torch.arange(kernels.shape[-1], dtype=torch.float64, device=kernels.device)
    # Energy within |w| < pi/s: the integral of exp(iw(m - n)) over it, for every pair of taps.
    band = torch.sinc((taps[:, None] - taps) / scale_factor) / scale_factor
    passed = kernels @ band
    if dims == 2:
        passed = band @ passed
    axes = tuple(range(-dims, 0))
    return 1 - (kernels * passed).sum(axes) / kernels.square().sum(axes)


class MeanPower:
    """The power spectrum of many maps of one size, with a window.

    Attributes:
        power: (H, W), centred; None before the first map.
        count: Maps (channels of samples) in it.
        skipped: Maps of another size than the first one, which are not.
    """

    def __init__(self):
        self.power: Optional[Tensor] = None
        self.count = self.skipped = 0

    def add(self, maps: Tensor) -> None:
        """Add maps (N, C, H, W)."""
        count = maps.shape[0] * maps.shape[1]
        if not maps.numel():
            return
        power = power_spectrum(maps, window=True).cpu()
        if self.power is None:
            self.power = torch.zeros_like(power)
        if power.shape != self.power.shape:
            self.skipped += count
            return
        self.count += count
        self.power += (power - self.power) * (count / self.count)


def _hann(n: int) -> Tensor:
    """Without zeros at its ends, and of mean square 1."""
    window = torch.hann_window(n + 2, periodic=False, dtype=torch.float64)[1:-1]
    return window / window.square().mean().sqrt()


def _axes(power: Tensor) -> tuple[Tensor, Tensor]:
    """Frequencies of rows and columns, in cycles per pixel, centred."""
    h, w = (torch.fft.fftshift(torch.fft.fftfreq(n, dtype=torch.float64, device=power.device))
            for n in power.shape)
    return h, w


def _distances(power: Tensor) -> Tensor:
    rows, columns = _axes(power)
    return torch.hypot(rows[:, None], columns)


def _without_mean(power: Tensor) -> Tensor:
    power = power.clone()
    power[power.shape[0] // 2, power.shape[1] // 2] = 0
    return power

"""Peak signal-to-noise ratio and structural similarity of images.

SSIM: Wang, Bovik, Sheikh and Simoncelli, "Image Quality Assessment: From Error Visibility to
Structural Similarity" (IEEE Transactions on Image Processing 13(4), 2004,
https://doi.org/10.1109/TIP.2003.819861), with the window and the constants of the paper. No code
was read; tests compare with scikit-image. Deviations from the paper: none known; of colours, which
it has none, the mean over the channels is taken.
"""
import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW, SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03


def round_to_8_bit(images: Tensor) -> Tensor:
    """Images of [0, 1] as a file of 8 bits has them: clamped, in steps of 1/255, float64."""
    return (images.double().clamp(0, 1) * 255).round() / 255


def psnr(images: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB.

    Args:
        images: (..., C, H, W) of [0, 1].
        truth: The same.

    Returns:
        (...) float64, a value per image; infinite where they are equal.

    Raises:
        ValueError: They differ in shape, are no floats, or are empty.
    """
    images, truth = _pair(images, truth)
    return -10 * (images - truth).square().mean(dim=(-3, -2, -1)).log10()


def ssim(images: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity, the mean over channels and over all windows that lie in the image.

    Args:
        images: (..., C, H, W) of [0, 1], of 11 pixels or more a side.
        truth: The same.

    Returns:
        (...) float64, a value of [-1, 1] per image.

    Raises:
        ValueError: As in :func:`psnr`, or the images are smaller.
    """
    images, truth = _pair(images, truth)
    if min(images.shape[-2:]) < WINDOW:
        raise ValueError(f'SSIM has windows of {WINDOW} x {WINDOW} pixels, got images of '
                         f'{images.shape[-2]} x {images.shape[-1]}')
    planes = torch.stack([images, truth, images * images, truth * truth, images * truth])
    x, y, xx, yy, xy = _windows(planes)
    c1, c2 = K1**2, K2**2
    similarity = ((2 * x * y + c1) * (2 * (xy - x * y) + c2)
                  / ((x * x + y * y + c1) * (xx - x * x + yy - y * y + c2)))
    return similarity.mean(dim=(-3, -2, -1))


def _pair(images: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float64."""
    if images.shape != truth.shape or images.dim() < 3 or images.numel() == 0:
        raise ValueError('images and truth must have one shape (..., C, H, W), got '
                         f'{tuple(images.shape)} and {tuple(truth.shape)}')
    if not (images.is_floating_point() and truth.is_floating_point()):
        raise ValueError('images and truth must be floats of [0, 1], got '
                         f'{images.dtype} and {truth.dtype}; divide 8-bit images by 255')
    return images.double(), truth.double()


def _windows(planes: Tensor) -> Tensor:
    """Gaussian means (..., H - 10, W - 10) of planes (..., H, W)."""
    offsets = torch.arange(WINDOW, dtype=planes.dtype, device=planes.device) - WINDOW // 2
    gauss = (-offsets.square() / (2 * SIGMA**2)).exp()
    gauss = gauss / gauss.sum()
    flat = planes.reshape(-1, 1, *planes.shape[-2:])
    flat = F.conv2d(F.conv2d(flat, gauss.view(1, 1, -1, 1)), gauss.view(1, 1, 1, -1))
    return flat.reshape(*planes.shape[:-2], *flat.shape[-2:])

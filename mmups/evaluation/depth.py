"""Errors of depth maps, as the papers of monocular depth estimation report them.

Source: Eigen, Puhrsch and Fergus, "Depth Map Prediction from a Single Image using a Multi-Scale
Deep Network" (arXiv:1406.2283), for the measures and the crop; their names, the factor of silog and
the strict limits are those of the Monocular-Depth-Estimation-Toolbox (Apache-2.0; a description
was followed, none of its code was read).
Deviations: Eigen et al. define silog as a squared error with half of the mean taken away; the
toolbox, as KITTI's benchmark, takes the root with all of it, times 100. mmseg's DepthMetric has
half, and no 100: its silog is another number.

Depths are distances along the optical axis in metres.
"""
from collections.abc import Sequence
from typing import Optional

import torch
from torch import Tensor

#: Rows and columns of a picture of NYU Depth V2, 480x640, that are evaluated: top, bottom, left,
#: right.
EIGEN_CROP = (45, 471, 41, 601)
#: Names of the errors, in the order of :func:`depth_errors`.
ERRORS = ('a1', 'a2', 'a3', 'abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'log10', 'silog')


def valid_depth(truth: Tensor, min_depth: float, max_depth: float,
                crop: Optional[Sequence[int]] = None) -> Tensor:
    """Where a true depth counts.

    Args:
        truth: (..., H, W) in metres; 0 and less, NaN and infinity mean "unknown".
        min_depth: Depths have to be greater, in metres.
        max_depth: And less than this.
        crop: Top, bottom, left and right of what counts, in pixels; None: all of it.

    Returns:
        Mask of the same shape, bool.

    Raises:
        ValueError: The crop is not inside the map.
    """
    valid = truth.isfinite() & (truth > max(min_depth, 0)) & (truth < max_depth)
    if crop is None:
        return valid
    (top, bottom, left, right), (height, width) = crop, truth.shape[-2:]
    if not (0 <= top < bottom <= height and 0 <= left < right <= width):
        raise ValueError(f'the crop of rows {top} to {bottom} and columns {left} to {right} is not '
                         f'inside a depth map of {height} x {width} pixels: give one that is, or '
                         'None')
    inside = torch.zeros_like(valid)
    inside[..., top:bottom, left:right] = True
    return valid & inside


def depth_errors(prediction: Tensor, truth: Tensor) -> Tensor:
    """The nine numbers of :data:`ERRORS` over pixels, computed in float64.

    With p predicted and t true, and g = ln p - ln t: ``a1``, ``a2``, ``a3`` are the shares of
    pixels, 0 to 1, where max(p / t, t / p) is below 1.25, 1.25^2, 1.25^3. All others are better
    when smaller: ``abs_rel`` is mean |p - t| / t, without a unit; ``sq_rel`` mean (p - t)^2 / t, in
    metres; ``rmse`` the root of mean (p - t)^2, in metres; ``rmse_log`` that of mean g^2;
    ``log10`` mean |log10 p - log10 t|; ``silog`` 100 times the standard deviation of g, which does
    not change with the scale of p.

    Args:
        prediction: (P, ), positive and finite, in metres.
        truth: (P, ), likewise.

    Returns:
        (9, ), float64; NaN where P is 0.

    Raises:
        ValueError: The shapes differ, or a value is not positive and finite.
    """
    if prediction.shape != truth.shape or truth.dim() != 1:
        raise ValueError(f'prediction and truth must be two lists of as many depths, got shapes '
                         f'{tuple(prediction.shape)} and {tuple(truth.shape)}')
    p, t = prediction.double(), truth.double()
    for name, depths in (('predicted', p), ('true', t)):
        if wrong := (~(depths.isfinite() & (depths > 0))).sum().item():
            raise ValueError(f'{wrong} of {len(depths)} {name} depths are not positive and finite')
    ratio = torch.maximum(p / t, t / p)
    error, g = p - t, p.log() - t.log()
    return torch.stack([
        *((ratio < 1.25**power).double().mean() for power in (1, 2, 3)),
        (error.abs() / t).mean(), (error.square() / t).mean(), error.square().mean().sqrt(),
        g.square().mean().sqrt(), (p.log10() - t.log10()).abs().mean(),
        100 * (g - g.mean()).square().mean().sqrt()])

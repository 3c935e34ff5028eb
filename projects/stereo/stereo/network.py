"""A small network of correlation, with a slot for upsamplers of mmups.

Layers of its own; what it borrows are two ideas. The features of both views go down to 1/16 and
come back to 1/4 beside the maps of the way down, with 64 channels at both steps, as in the
tokenizer of STTR (Li et al., "Revisiting Stereo Depth Estimation From a Sequence-to-Sequence
Perspective with Transformers", ICCV 2021, arXiv:2011.02910), where LCTC was tried
(arXiv:2311.17524). Matching is a correlation along rows with a soft-argmax (Kendall et al.,
"End-to-End Learning of Geometry and Context for Deep Stereo Regression", ICCV 2017,
arXiv:1703.04309). No code was read.
Deviations: of STTR nothing else is here, neither its attention nor its optimal transport nor its
layers of the tokenizer; correlation takes the place of Kendall's volume of concatenated features,
and convolutions over rows and columns that of his over disparities, too.
"""
from typing import Optional, Union

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel, BaseModule, ModuleList
from torch import Tensor, nn

from mmups.models import build_upsampler

from .registry import MODELS

#: Pixels of the image per pixel of the map in which views are matched.
STRIDE = 4


def conv(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU. An output pixel lies on every ``stride``-th input pixel,
    from the first on."""
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False),
                         nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))


class Tokenizer(BaseModule):
    """Features of one view at 1/4 of its size.

    Args:
        upsampler: Of both steps, 1/16 to 1/8 and 1/8 to 1/4; the map of the way down that has the
            finer size is the guide. As :func:`mmups.models.build_upsampler` takes it.
        channels: Of the upsampled maps and of the output.
    """

    def __init__(self, upsampler: dict, channels: int = 64):
        super().__init__()
        widths = (64, 128, 128)  # at 1/4, 1/8, 1/16
        self.stem = conv(3, 32, stride=2)
        self.down = ModuleList([
            nn.Sequential(conv(fine, coarse, stride=2), conv(coarse, coarse))
            for fine, coarse in zip((32, *widths), widths)])
        self.lateral = nn.Conv2d(widths[-1], channels, 1)
        # From coarse to fine, beside the maps at 1/8 and at 1/4. ModuleList of mmengine, so that
        # init_weights() of the whole model reaches the upsamplers.
        skips = widths[-2::-1]
        self.upsample_modules = ModuleList([
            build_upsampler(upsampler, channels, guide_channels=skip) for skip in skips])
        self.merge = ModuleList([conv(channels + skip, channels) for skip in skips])

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, channels, ceil(H / 4), ceil(W / 4))."""
        x, skips = self.stem(image), []
        for down in self.down:
            x = down(x)
            skips.append(x)
        x = self.lateral(skips.pop())
        for upsample, merge in zip(self.upsample_modules, self.merge):
            # fuse: the map in the guide's size, and the guide, which some methods sharpen
            x = merge(torch.cat(upsample.fuse(x, skips.pop()), 1))
        return x


@MODELS.register_module()
class CorrelationNet(BaseModel):
    """Disparity of the left view.

    Args:
        upsampler: Of the tokenizer, ``dict(type='LCTC')``.
        max_disparity: Greatest disparity that can be found, in pixels, a multiple of 4.
        channels: Of the tokenizer.
        data_preprocessor: As of BaseModel.
        init_cfg: As of BaseModel.

    Raises:
        ValueError: ``max_disparity`` is no such number, or the upsampler cannot be built.
    """

    def __init__(self, upsampler: dict, max_disparity: int = 64, channels: int = 64,
                 data_preprocessor: Optional[dict] = None,
                 init_cfg: Union[dict, list, None] = None):
        super().__init__(data_preprocessor, init_cfg)
        if max_disparity < STRIDE or max_disparity % STRIDE:
            raise ValueError(f'max_disparity must be a positive multiple of {STRIDE}, got '
                             f'{max_disparity}')
        self.candidates = max_disparity // STRIDE + 1
        self.tokenizer = Tokenizer(upsampler, channels)
        # Normalised, so that a pixel fits itself better than others from the first step on
        self.descriptor = nn.Sequential(nn.Conv2d(channels, channels, 1, bias=False),
                                        nn.BatchNorm2d(channels))
        self.refine = nn.Sequential(
            conv(channels + self.candidates, channels), conv(channels, channels),
            nn.Conv2d(channels, self.candidates, 3, padding=1))

    def forward(self, inputs: Tensor, data_samples: Optional[dict] = None, mode: str = 'tensor'
                ) -> Union[Tensor, dict, list]:
        """Find, predict or learn disparities.

        Args:
            inputs: (N, 6, H, W) in [0, 1]: the left view and the right one, RGB.
            data_samples: ``disparity`` (N, H, W), ``valid`` and ``occluded`` (N, H, W) bool.
            mode: ``'tensor'``, ``'predict'`` or ``'loss'``.

        Returns:
            Disparities (N, H, W) in pixels; or, for each pair, a dict of them, ``prediction``,
            beside what ``data_samples`` has; or the loss, smooth L1 over valid pixels.

        Raises:
            ValueError: ``inputs`` are not two views, or an unknown ``mode``.
        """
        if inputs.dim() != 4 or inputs.shape[1] != 6:
            raise ValueError('two views are expected as one tensor (N, 6, H, W), got '
                             f'{tuple(inputs.shape)}')
        disparity = self._disparity(inputs)
        if mode == 'tensor':
            return disparity
        if mode == 'loss':
            valid = data_samples['valid']
            loss = F.smooth_l1_loss(disparity, data_samples['disparity'], reduction='none')
            return dict(loss=(loss * valid).sum() / valid.sum().clamp_min(1))
        if mode == 'predict':
            samples = {**(data_samples or {}), 'prediction': disparity}
            return [dict(zip(samples, maps)) for maps in zip(*samples.values())]
        raise ValueError(f"mode must be 'tensor', 'predict' or 'loss', got {mode!r}")

    def _disparity(self, inputs: Tensor) -> Tensor:
        views = torch.cat([inputs[:, :3], inputs[:, 3:]])  # both through the same weights
        features = self.tokenizer((views - 0.5) / 0.25)
        volume = self.correlation(*self.descriptor(features).chunk(2))
        left, _ = features.chunk(2)
        scores = volume + self.refine(torch.cat([left, volume], 1))
        steps = torch.arange(self.candidates, device=scores.device, dtype=scores.dtype)
        found = torch.einsum('ndhw,d->nhw', scores.softmax(1), STRIDE * steps)
        return full_size(found, inputs.shape[-2:])

    def correlation(self, left: Tensor, right: Tensor) -> Tensor:
        """How well each pixel of the left map fits those of the right one that lie 0, 1, ... pixels
        before it.

        Args:
            left, right: (N, C, h, w).

        Returns:
            (N, max_disparity / 4 + 1, h, w), the dot product over sqrt(C); 0 where there is no such
            pixel.
        """
        width = right.shape[-1]
        right = F.pad(right, (self.candidates - 1, 0))
        scores = [(left * right[..., start:start + width]).sum(1)
                  for start in range(self.candidates - 1, -1, -1)]
        return torch.stack(scores, 1) / left.shape[1]**0.5


def full_size(small: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring disparities from 1/4 of the size back: pixel i lies on pixel 4 i, as where they were
    found; what is beyond the last one is like it.

    Args:
        small: (N, ceil(H / 4), ceil(W / 4)).
        size: H and W.

    Returns:
        (N, H, W).
    """
    covered = [STRIDE * (n - 1) + 1 for n in small.shape[-2:]]
    full = F.interpolate(small[:, None], covered, mode='bilinear', align_corners=True)
    below, right = (n - m for n, m in zip(size, covered))
    return F.pad(full, (0, right, 0, below), mode='replicate')[:, 0]

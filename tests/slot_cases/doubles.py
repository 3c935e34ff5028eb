"""Upsamplers that tell what a slot gave them."""
from mmups.models.upsamplers import BaseUpsampler


class Guided(BaseUpsampler):
    """Nearest; keeps what it was given.

    Attributes:
        calls: The maps and their guides themselves.
        guides: Copies of the guides, which a layer of the host may change in place.
    """

    guided = True

    def __init__(self, in_channels, scale_factor=2, guide_channels=None):
        super().__init__(in_channels, scale_factor, guide_channels)
        self.calls, self.guides = [], []

    def upsample(self, x, guide):
        self.calls.append((x, guide))
        self.guides.append(guide.clone())
        return x.repeat_interleave(self.scale_factor, 2).repeat_interleave(self.scale_factor, 3)


class IncludesGuide(Guided):
    """Returns the sum that a slot would otherwise make, where the channels allow it."""

    includes_guide = True

    def upsample(self, x, guide):
        out = super().upsample(x, guide)
        return guide + out if guide.shape == out.shape else out


class Enhancing(Guided):
    """What comes back beside the map is the guide times ``factor``."""

    enhances_guide = True

    def __init__(self, in_channels, scale_factor=2, guide_channels=None, factor=1):
        super().__init__(in_channels, scale_factor, guide_channels)
        self.factor = factor

    def upsample_and_enhance(self, x, guide):
        return self.upsample(x, guide), self.factor * guide

"""The upsamplers' initial weights in hosts that overwrite everything beneath them."""
from mmups.models.upsamplers import BaseUpsampler


class UpsamplersLast:
    """Mixin before a host whose ``init_weights`` draws all weights anew, its children's too."""

    def init_weights(self) -> None:
        super().init_weights()
        for module in self.modules():
            if isinstance(module, BaseUpsampler):
                module.init_weights()

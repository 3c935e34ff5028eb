"""Group normalisation where PyTorch's fails."""
import torch
from torch import Tensor, nn


class GroupNorm(nn.GroupNorm):
    """PyTorch's, for every map.

    A single value per channel, which PyTorch refuses, is normalised to zero. In training on a CPU
    a channels_last map is made contiguous: PyTorch's backward pass over channels_last (2.13) ends
    the process where the map itself needs no gradient, as behind a frozen backbone.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        if x.device.type == 'cpu' and torch.is_grad_enabled():
            x = x.contiguous()
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

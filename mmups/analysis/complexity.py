"""Parameters and multiply-adds of upsamplers, counted operator by operator."""
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from mmengine.analysis import FlopAnalyzer
from mmengine.analysis.jit_handles import elementwise_flop_counter
from torch import nn

from mmups.models.upsamplers import build_upsampler

from .paper_tables import PaperSite

# mmengine counts convolutions, norms, interpolation (4 per bilinear sample) and grid sampling (the
# same). The products that our operators are made of it would count as zero.
PRODUCTS = {name: elementwise_flop_counter(0, 1)
            for name in ('aten::addcmul', 'aten::mul', 'aten::lerp')}


@dataclass(frozen=True)
class Cost:
    """What upsamplers add to a model.

    Attributes:
        parameters: All parameters.
        weights: Those of more than one dimension: without biases and norms, as the papers count.
        macs: Multiply-adds of one forward pass of one image.
    """
    parameters: int = 0
    weights: int = 0
    macs: int = 0

    def __add__(self, other: 'Cost') -> 'Cost':
        return Cost(self.parameters + other.parameters, self.weights + other.weights,
                    self.macs + other.macs)


def count_macs(module: nn.Module, inputs: tuple) -> int:
    """Multiply-adds of ``module(*inputs)``; a product without an addition counts as one."""
    return macs_by_module(module, inputs)['']


@torch.no_grad()
def macs_by_module(module: nn.Module, inputs: tuple) -> dict[str, int]:
    """The same for each of its modules, by name, with what they call."""
    analyzer = FlopAnalyzer(module.eval(), inputs).set_op_handle(**PRODUCTS)
    analyzer.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return {name: int(macs) for name, macs in analyzer.by_module().items()}


def added_cost(upsampler: dict, sites: Iterable[PaperSite]) -> Cost:
    """What an upsampler costs in the sites of a model.

    Args:
        upsampler: The method and its arguments, as in a config.
        sites: Where it is used, once each, at x2.
    """
    sites = list(sites)
    costs = {site: _cost(upsampler, site) for site in set(sites)}
    return sum((costs[site] for site in sites), Cost())


def _cost(upsampler: dict, site: PaperSite) -> Cost:
    module = build_upsampler(upsampler, site.in_channels, site.guide_channels)
    x = torch.zeros(1, site.in_channels, *site.size)
    guide = torch.zeros(1, site.guide_channels, *(2 * n for n in site.size))
    sizes = [parameter.numel() for parameter in module.parameters()]
    weights = [parameter.numel() for parameter in module.parameters() if parameter.dim() > 1]
    return Cost(sum(sizes), sum(weights),
                count_macs(module, (x, guide) if module.guided else (x, )))

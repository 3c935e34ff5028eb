"""mmseg's heads that upsample nothing themselves.

Each class gains what :class:`UpsamplingHead` has for all: its inputs' steps with
``input_transform='resize_concat'``, and ``logits_upsampler``.
"""
from mmseg.models import decode_heads as hosts

from mmups.models.layers import register_slot

from .head import UpsamplingHead


def plain(host: type, host_draws_all: bool = False) -> type:
    """The slot in a head.

    Args:
        host: mmseg's class.
        host_draws_all: As in :class:`UpsamplingSlot`.
    """
    body = dict(__module__=__name__, __doc__=f"mmseg's {host.__name__}.",
                host_draws_all=host_draws_all)
    return register_slot(host)(type(host)(host.__name__, (UpsamplingHead, host), body))


ANNHead = plain(hosts.ANNHead)
APCHead = plain(hosts.APCHead)
ASPPHead = plain(hosts.ASPPHead)
CCHead = plain(hosts.CCHead)
DAHead = plain(hosts.DAHead)
DDRHead = plain(hosts.DDRHead, host_draws_all=True)
DMHead = plain(hosts.DMHead)
DNLHead = plain(hosts.DNLHead)
DepthwiseSeparableFCNHead = plain(hosts.DepthwiseSeparableFCNHead)
EMAHead = plain(hosts.EMAHead)
EncHead = plain(hosts.EncHead)
FCNHead = plain(hosts.FCNHead)
GCHead = plain(hosts.GCHead)
ISAHead = plain(hosts.ISAHead)
NLHead = plain(hosts.NLHead)
OCRHead = plain(hosts.OCRHead)
PIDHead = plain(hosts.PIDHead, host_draws_all=True)
PSAHead = plain(hosts.PSAHead)
PSPHead = plain(hosts.PSPHead)
STDCHead = plain(hosts.STDCHead)

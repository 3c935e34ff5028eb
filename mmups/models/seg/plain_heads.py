"""mmseg's heads that upsample nothing themselves.

Each class gains what :class:`UpsamplingHead` has for all: its inputs' steps with
``input_transform='resize_concat'``, and ``logits_upsampler``.
"""
from typing import Any

from mmseg.models import decode_heads as hosts

from .head import UpsamplingHead


def plain(host: type, **attributes: Any) -> type:
    doc = (f"mmseg's {host.__name__}; with ``input_transform='resize_concat'`` its inputs come to "
           'the finest one.')
    return UpsamplingHead.of(host, __name__, doc, guide='the next finer input', **attributes)


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

"""mmseg's heads that upsample nothing themselves.

Each class gains what :class:`UpsamplingHead` has for all: its inputs' steps with
``input_transform='resize_concat'``, and ``logits_upsampler``.
"""
from mmseg.models import decode_heads

from mmups.models.layers import UpsamplersLast, register_slot

from .head import UpsamplingHead

NAMES = ('ANNHead', 'APCHead', 'ASPPHead', 'CCHead', 'DAHead', 'DDRHead', 'DMHead', 'DNLHead',
         'DepthwiseSeparableFCNHead', 'EMAHead', 'EncHead', 'FCNHead', 'GCHead', 'ISAHead',
         'NLHead', 'OCRHead', 'PIDHead', 'PSAHead', 'PSPHead', 'STDCHead')


for _name in NAMES:
    _host = getattr(decode_heads, _name)
    # These two draw every convolution beneath them anew, whatever its owner.
    _mixins = (UpsamplersLast, ) if _name in ('DDRHead', 'PIDHead') else ()
    _body = dict(__module__=__name__, __doc__=f"mmseg's {_name} behind an :class:`UpsamplingHead`.")
    globals()[_name] = register_slot(_host, optional=('logits_upsampler', ))(
        type(_host)(_name, (*_mixins, UpsamplingHead, _host), _body))

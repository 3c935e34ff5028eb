"""Upsamplers, and slots for them in the hosts, which load when a slot is asked for; and networks of
mmups's own."""
from . import det, seg
from .layers import Intercept, WithImage  # noqa: F401
from .restoration import *  # noqa: F401,F403
from .upsamplers import *  # noqa: F401,F403

#: Host -> names of the slots in its classes.
SLOTS = {host: sorted(' '.join(room.FILES.values()).split())
         for host, room in (('mmdet', det), ('mmseg', seg))}

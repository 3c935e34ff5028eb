"""Adversarial attacks on dense predictors: a threat model, a loop, one small file per attack."""
from .apgd import APGD
from .attack import Attack
from .cospgd import CosPGD
from .fgsm import FGSM
from .pgd import PGD
from .segpgd import SegPGD
from .threat import ThreatModel

#: Name, as in a config or on a command line -> class.
ATTACKS = {'fgsm': FGSM, 'pgd': PGD, 'segpgd': SegPGD, 'cospgd': CosPGD, 'apgd': APGD}

__all__ = ['APGD', 'ATTACKS', 'Attack', 'CosPGD', 'FGSM', 'PGD', 'SegPGD', 'ThreatModel']

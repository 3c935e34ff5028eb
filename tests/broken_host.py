"""What works beside a host that is installed and cannot be imported, and what the rest says.

Run by test_package.py in a fresh interpreter, after something of the host was broken: ``python
broken_host.py HOST REGISTRY...``, where the registries are those that need what was broken. Prints
the error that the host's types give.
"""
import sys

import mmengine.registry as root
from mmengine.config import Config

from mmups import list_sites, swap_upsampler

PARTS = {
    'mmdet': ('FPN', dict(in_channels=[8, 16], out_channels=8, num_outs=2)),
    'mmseg': ('SegformerHead', dict(in_channels=[8, 16], in_index=[0, 1], channels=8,
                                    num_classes=2)),
}
#: Registry, type and arguments: something of each host in every registry.
TYPES = {
    'mmdet': [('MODELS', *PARTS['mmdet']),
              ('DATASETS', 'DigitScenesDetDataset', dict(lazy_init=True)),
              ('TRANSFORMS', 'LoadPanopticAnnotations', {})],
    'mmseg': [('MODELS', *PARTS['mmseg']),
              ('DATASETS', 'DigitScenesSegDataset', dict(lazy_init=True))],
}
SENTENCE = ' extends {}, which is installed and cannot be imported ('


def check_types(broken, registries):
    """Build every type; return the errors of those that cannot be built."""
    errors = []
    for host, types in TYPES.items():
        for registry, name, args in types:
            try:
                built = getattr(root, registry).build(dict(args, type=f'mmups.{name}'))
            except ImportError as error:
                assert host == broken and registry in registries, (registry, name, error)
                assert str(error).startswith(f'mmups.{name}' + SENTENCE.format(host)), error
                errors.append(error)
            else:
                assert type(built).__name__ == name
                assert host != broken or registry not in registries, (registry, name)
    assert root.METRICS.get('mmups.PanopticMetric').__name__ == 'PanopticMetric'
    assert type(root.MODELS.build(dict(type='mmups.DySample', in_channels=8)))
    return errors


def check_swap(broken):
    """The other host's site is listed and swapped; the broken one's classes have a reason."""
    other, = PARTS.keys() - {broken}
    (name, args), (other_name, other_args) = PARTS[broken], PARTS[other]
    cfg = Config(dict(default_scope=other, model=dict(
        type='Model', a=dict(other_args, type=other_name),
        b=dict(args, type=f'{broken}.{name}'), c=dict(args, type=f'mmups.{name}'))))
    reasons = {site.path: site.reason for site in list_sites(cfg) if not site.optional}
    assert list(reasons) == ['a', 'b', 'c'] and reasons['a'] is None, reasons
    assert all(SENTENCE.format(broken) in reasons[path] for path in 'bc'), reasons
    swapped = swap_upsampler(cfg, dict(type='DySample')).model
    assert swapped.a.type == f'mmups.{other_name}' and swapped.b == cfg.model.b
    cfg = Config(dict(default_scope=broken, model=dict(type='Model', a=dict(args, type=name))))
    try:
        list_sites(cfg)
    except ImportError as error:
        assert SENTENCE.format(broken) in str(error)
    else:
        raise AssertionError('listed')


def main():
    broken, *registries = sys.argv[1:]
    errors = check_types(broken, registries)
    assert len(errors) == len(registries)
    again = check_types(broken, registries)  # nothing of it is left half registered
    assert list(map(str, again)) == list(map(str, errors))
    check_swap(broken)
    causes = {repr(error.__cause__) for error in errors}
    print(*causes, str(errors[0]).partition('imported ')[2], sep='|')


if __name__ == '__main__':
    main()

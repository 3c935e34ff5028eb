"""What is wrong with a comparison, all of it at once, before anything is trained."""
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional, Union

from mmengine.config import Config

from mmups.swap import choose, list_sites

from ..checkpoint import check_weights
from ..cli import message_of
from ..pairing import build_model
from ..robustness.plan import planned_attacks
from ..variant import Variant
from .plan import Comparison

#: Parts of a config that are needed to test, and those that are needed to train, too.
TO_TEST = ('test_dataloader', 'test_evaluator', 'test_cfg')
TO_TRAIN = ('train_dataloader', 'train_cfg', 'optim_wrapper')


class Problems(ValueError):
    """Several mistakes, one a line."""

    def __init__(self, problems: Sequence[str]):
        head = f'{len(problems)} problems, and nothing was started:' if len(problems) > 1 else ''
        super().__init__('\n- '.join([head, *problems]) if head else problems[0])


def checked(folder: Path, config: str, cfg: Config, names: Sequence[str], seeds: Sequence[int],
            sites: Union[str, Sequence[str]] = 'default', robustness: Optional[dict] = None,
            checkpoints: Optional[dict[str, str]] = None, data: bool = True,
            others: Sequence[str] = (), variants: Sequence[tuple[str, str, dict]] = ()
            ) -> Comparison:
    """The comparison that arguments stand for.

    Args:
        folder: Where it is, or will be.
        config: As the user calls it.
        cfg: What it holds.
        names: Of upsamplers, presets or types, or ``'stock'``; the first is the baseline.
        seeds: Not negative.
        sites: As of :func:`mmups.swap.swap_upsampler`; 'default' and 'all' are those that fit
            methods of any kind.
        robustness: ``attacks``, ``eps``, ``steps`` and ``images`` (the first so many test images;
            None: all); None: none.
        checkpoints: Name -> trained weights; None: to be trained.
        data: Whether the data have to be there.
        others: Problems that are known already.
        variants: More of them: a name of one's own, the upsampler's, and what is overridden in the
            config beside it.

    Raises:
        Problems: With everything that is wrong.
    """
    entrants = [*((name, name, {}) for name in names), *variants]
    problems = [*others, *_repeated('--upsamplers', [name for name, *_ in entrants]),
                *_repeated('--seeds', seeds)]
    problems += [f'--variant: {name!r} is a folder, too: letters, digits and -_.+'
                 for name, *_ in variants if not re.fullmatch(r'\w[\w.+-]*', name)]
    problems += [f'--seeds: {seed} is no seed: 0 .. {2**32 - 1}' for seed in seeds
                 if not 0 <= seed < 2**32]
    found, paths = {}, []
    for name, upsampler, settings in entrants:
        try:
            found[name] = Variant.named(upsampler, settings)
        except ValueError as error:
            problems.append(f'--upsamplers: {error}')
    try:
        paths = [site.path for site in choose(list_sites(cfg), sites)]
    except (ImportError, TypeError, ValueError) as error:
        problems.append(f'--sites: {message_of(error)}')
    fitting = []
    for name, variant in found.items():
        faults = list(_unfit(cfg, name, variant, paths))
        problems += faults
        fitting += [] if faults else [name]
    problems += _attacks(**robustness) if robustness is not None else []
    problems += [f'{config} has no {key}, which every run needs' for key in
                 (*TO_TEST, *(() if checkpoints else TO_TRAIN)) if cfg.get(key) is None]
    if data:
        problems += _missing_data(cfg, ('test_dataloader', 'test_evaluator') if checkpoints else (
            'train_dataloader', 'val_dataloader', 'val_evaluator', 'test_dataloader',
            'test_evaluator'))
    comparison = Comparison(
        folder, config, cfg, {name: variant.upsampler for name, variant in found.items()},
        list(dict.fromkeys(seeds)), paths, robustness, checkpoints,
        {name: variant.settings for name, variant in found.items() if variant.settings})
    if checkpoints is not None:
        problems += _misfits(comparison, fitting)
    if not problems and (there := comparison.there()) is not None:
        try:
            comparison.refuse_another(there)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise Problems(problems)
    return comparison


def _repeated(option: str, values: Sequence) -> list[str]:
    return [f'{option}: {value} is given {count} times' for value, count in Counter(values).items()
            if count > 1]


def _unfit(cfg: Config, name: str, variant: Variant, paths: list[str]) -> Iterator[str]:
    """Why an upsampler cannot be put into the sites."""
    if variant.upsampler is None:
        return
    try:
        reasons = {site.path: site.reason
                   for site in list_sites(variant.set_in(cfg), variant.upsampler)}
    except (TypeError, ValueError) as error:
        yield f'{name}: {message_of(error)}'
        return
    for path in paths:
        if path not in reasons:
            yield f'{name} has no site {path} left with its settings; change these, or --sites'
        elif reasons[path] is not None:
            yield (f'{name} does not fit site {path}: {reasons[path]}; leave it out, or name with '
                   '--sites those that all of them fit')


def _attacks(attacks: Sequence[str], eps: Sequence[float], steps: Sequence[int],
             images: Optional[int] = None) -> list[str]:
    problems = []
    if images is not None and images < 1:
        problems.append(f'--images must be 1 or more, got {images}')
    for name in attacks:
        try:
            list(planned_attacks([name], eps, steps, 'linf', None, False, False))
        except ValueError as error:
            problems.append(f'--robustness: {error}')
    return list(dict.fromkeys(problems))


def _missing_data(cfg: Config, parts: Sequence[str]) -> list[str]:
    """Files and folders of data sets that are not there."""
    missing = [str(path) for part in parts for path in _paths(cfg.get(part))
               if '://' not in str(path) and not path.exists()]
    return [f'{path} is not there, and the config takes data from it'
            for path in dict.fromkeys(missing)]


def _paths(node: Any) -> Iterator[Path]:
    """What data sets and metrics say that they read."""
    if isinstance(node, dict):
        if node.get('backend_args'):  # of another file system
            return
        root = Path(node.get('data_root') or '')
        yield root
        prefix = node.get('data_prefix')
        names = [node.get('ann_file'), node.get('seg_prefix'),
                 *(prefix.values() if isinstance(prefix, dict) else [])]
        if root.exists():  # else all that is below it is missing, too
            yield from (root / name for name in names if isinstance(name, str) and name)
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from _paths(value)


def _misfits(comparison: Comparison, fitting: Sequence[str]) -> Iterator[str]:
    """What is wrong with checkpoints."""
    given = comparison.checkpoints
    if len(comparison.seeds) > 1:
        yield f'--checkpoints are of one seed, and there are {len(comparison.seeds)} --seeds'
    for name in sorted(set(given) - set(comparison.upsamplers)):
        yield f'--checkpoints: {name} is none of the --upsamplers'
    for name in comparison.upsamplers:
        if name not in given:
            yield f'--checkpoints: there is none of {name}'
        elif name in fitting:
            run = comparison.run(name, comparison.seeds[0])
            try:
                check_weights(build_model(comparison.config_of(run)), given[name])
            except (OSError, ValueError) as error:
                yield f'--checkpoints: {name}: {message_of(error)}'

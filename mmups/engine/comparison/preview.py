"""What a comparison would do, in words."""
from collections.abc import Iterator

from mmengine.config import Config

from mmups.swap import choose, list_sites

from ..robustness.plan import planned_attacks
from .campaign import duration, state_of
from .ledger import finished
from .measures import added, names_of
from .plan import Comparison


def preview(comparison: Comparison, jobs: int, where: str) -> Iterator[str]:
    """Lines of a plan.

    Args:
        comparison: Settled in its folder, or not yet.
        jobs: Runs at a time.
        where: They take place.
    """
    yield f'{comparison.config}: {comparison.cfg.model.type}'
    for head, text in _facts(comparison):
        yield f'{head + ":":12}{text}'
    yield f'{"runs:":12}{len(comparison.runs)}, {jobs} at a time, {where}'
    done = finished(comparison.folder)
    for run in comparison.runs:
        yield f'{"":12}{str(run):36}{"done" if run.key in done else "to do"}'
    state = state_of(comparison, jobs)
    if state.done < state.total:
        time = 'nothing is measured yet' if state.left is None else (
            f'about {duration(state.left)} for {state.total - state.done} runs, judged by '
            f'{state.done} that are done')
        yield f'{"time:":12}{time}'


def _facts(comparison: Comparison) -> Iterator[tuple[str, str]]:
    cfg = comparison.cfg
    for site in choose(list_sites(cfg), comparison.sites):
        steps = '; '.join(map(str, site.steps)) or 'steps are not known'
        yield 'site', f'{site.path}, {site.host} to {site.slot} ({steps})'
    yield 'upsamplers', f'{", ".join(comparison.upsamplers)}; differences are to the first'
    for name, settings in comparison.settings.items():
        yield 'with', f'{name}: {", ".join(f"{key}={value}" for key, value in settings.items())}'
    yield 'seeds', ', '.join(map(str, comparison.seeds))
    if comparison.checkpoints:
        yield 'weights', ', '.join(f'{name} of {path}' for name, path in
                                   comparison.checkpoints.items())
    else:
        yield 'training', _schedule(cfg)
    extra = added(cfg.test_evaluator)
    yield 'metrics', ', '.join(names_of(cfg.test_evaluator)) + (
        f'; added: {", ".join(extra)}' if extra else '')
    if comparison.robustness:
        about = comparison.robustness
        entries = planned_attacks(about['attacks'], about['eps'], about['steps'], 'linf', None,
                                  long=False, transfer=False)
        images = f' on {about["images"]} images' if about.get('images') else ''
        yield 'attacks', '; '.join(entry.key for entry in entries) + images
    yield 'costs', 'parameters, multiply-adds, time and memory beside bilinear interpolation'


def _schedule(cfg: Config) -> str:
    """How long a run trains."""
    loop, images = cfg.train_cfg, cfg.train_dataloader.get('batch_size')
    if 'max_iters' in loop:
        total = f': {loop.max_iters * images:,} images' if images else ''
        return f'{loop.max_iters:,} iterations of {images} images{total} a run'
    return f'{loop.get("max_epochs")} epochs a run, {images} images an iteration'

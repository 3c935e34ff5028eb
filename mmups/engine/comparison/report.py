"""The report of a comparison, written from what its runs left."""
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Optional

from mmups.analysis.comparison import CONFIDENCE, Comparison
from mmups.analysis.comparison_tables import (
    OPEN,
    chance,
    class_tables,
    hypotheses_table,
    main_table,
    robustness_table,
    seconds_table,
    write_csv,
)
from mmups.analysis.disagreement import choose_scenes
from mmups.analysis.document import (
    Block,
    Heading,
    Listing,
    Paragraph,
    Picture,
    to_html,
    to_markdown,
)
from mmups.analysis.hypotheses import judge
from mmups.visualization.comparison import (
    cost_scales,
    draw_attacks,
    draw_costs,
    draw_differences,
)
from mmups.visualization.disagreement import draw_disagreement

FIGURES = 'figures'
READING = (
    'A difference is that of two runs with the same seed: the same order of data and the same '
    'initial weights of all but the upsampler. The interval is the '
    f'{100 * CONFIDENCE:g} % confidence interval of its mean by the paired t test '
    '(scipy.stats.ttest_rel), which takes the differences for draws from a normal distribution.',
    'The interval speaks of seeds and of nothing else. The data, the images of the test set, the '
    'schedule and the model are the same in all runs: what others would do to the difference is '
    'not in it.',
    f'{OPEN} and, in pictures, an empty mark: the interval includes zero. This many seeds cannot '
    'tell the two apart, which is no evidence that they are equal. With two seeds an interval '
    'reaches 12.7 standard errors to each side, with three 4.3, with five 2.8.',
    'There are as many chances for an accident as there are intervals, and they are not corrected '
    'for their number. With each table it says how many of its intervals exclude zero, and how '
    'many would be expected to if no upsampler differed from another.',
    'Times and memory are ratios to the same model with bilinear interpolation, measured in turns '
    'in one run, whatever the baseline of the differences.',
    'All metrics with all digits, and the p values of the tests, are in table.csv.')


def write_report(folder: Path, hypotheses: Optional[Path] = None) -> Path:
    """Write ``report.md``, ``report.html`` (one file with everything in it), ``table.csv``,
    ``table.tex`` and ``figures/`` into a folder of ``tools/compare.py``. If that fails, a report
    that was there stays as it was.

    Args:
        folder: With ``comparison.json`` and ``runs.jsonl``; ``cost.json`` and ``predictions`` may
            be missing, and so may runs.
        hypotheses: A file as of :func:`mmups.analysis.hypotheses.judge`.

    Returns:
        ``report.html``.

    Raises:
        ValueError: No run is finished, or a file cannot be read.
    """
    folder = Path(folder)
    comparison = Comparison.read(folder)
    with tempfile.TemporaryDirectory(prefix='.report-', dir=folder) as made:
        new = Path(made)
        (new / FIGURES).mkdir()
        blocks = _blocks(comparison, folder / 'predictions', hypotheses, new)
        (new / 'report.md').write_text(to_markdown(blocks), encoding='utf-8')
        (new / 'report.html').write_text(to_html(blocks, new), encoding='utf-8')
        (new / 'table.tex').write_text(main_table(comparison).latex(), encoding='utf-8')
        write_csv(comparison, new / 'table.csv')
        shutil.rmtree(folder / FIGURES, ignore_errors=True)
        for path in sorted(new.iterdir()):
            os.replace(path, folder / path.name)
    return folder / 'report.html'


def _blocks(comparison: Comparison, predictions: Path, hypotheses: Optional[Path],
            new: Path) -> list[Block]:
    others = len(comparison.upsamplers) - 1
    blocks: list[Block] = [
        Heading(f'Upsamplers in {Path(comparison.about["config"]).stem}', level=1),
        *_about(comparison)]
    main = main_table(comparison)
    blocks += [Heading('Results'), main,
               Paragraph(chance(comparison.differences(comparison.headlines)))]
    if comparison.cost is None:
        blocks.append(Paragraph('What the upsamplers cost was not measured.'))
    if hypotheses is not None:
        blocks += [Heading('Hypotheses'),
                   hypotheses_table(comparison, judge(comparison, hypotheses))]
    if others:
        blocks += [Heading('Differences'), _picture(
            new, 'differences', draw_differences, comparison, caption=
            f'Differences to {comparison.baseline} with their intervals. Small dots are single '
            'seeds; an empty mark: the interval includes zero, or there is none.')]
    blocks += _cost(comparison, new) + _robustness(comparison, new)
    blocks += _predictions(comparison, predictions, new)
    tables = class_tables(comparison)
    if tables:
        blocks += [Heading('Classes'), *tables]
    blocks += [Heading('Time'), seconds_table(comparison), Heading('Conditions'),
               Listing(_conditions(comparison)), Heading('How to read this'), Listing(READING)]
    return blocks


def _about(comparison: Comparison) -> list[Block]:
    about = comparison.about
    robustness = about.get('robustness')
    items = [f'Config: {about["config"]}', f'Sites: {", ".join(about["sites"])}',
             f'Upsamplers: {", ".join(comparison.upsamplers)}',
             *(f'{name}: with {_text(settings)}'
               for name, settings in about.get('settings', {}).items()),
             f'Baseline: {comparison.baseline}',
             f'Seeds: {", ".join(map(str, comparison.seeds))}',
             f'Finished: {len(comparison.runs)} of '
             f'{len(comparison.runs) + len(comparison.missing)} runs']
    if comparison.missing:
        items.append('Missing: ' + ', '.join(f'{name} with seed {seed}'
                                             for name, seed in comparison.missing))
    if robustness:
        items.append('Robustness: ' + _text(robustness))
    return [Listing(items)]


def _picture(new: Path, name: str, draw, *args, caption: str) -> Picture:
    path = f'{FIGURES}/{name}.png'
    draw(*args, new / path)
    return Picture(path, caption)


def _cost(comparison: Comparison, new: Path) -> list[Block]:
    if not cost_scales(comparison):
        return []
    return [Heading('Accuracy over cost'), _picture(
        new, 'cost', draw_costs, comparison, caption=
        'Metrics over the time of inference as a ratio to bilinear interpolation, and over '
        'multiply-adds; the area is the number of parameters of the upsamplers.')]


def _robustness(comparison: Comparison, new: Path) -> list[Block]:
    blocks: list[Block] = []
    for measure in comparison.headlines:
        table = robustness_table(comparison, measure)
        if table is not None:
            name = f'attacks_{measure.metric.replace("/", "_")}'
            blocks += [_picture(new, name, draw_attacks, comparison, measure, caption=
                                f'{measure.metric} over the budget of attacks; bands: one standard '
                                'deviation over seeds. On the right the paired differences.'),
                       table]
    return [Heading('Under attack'), *blocks] if blocks else []


def _predictions(comparison: Comparison, folder: Path, new: Path) -> list[Block]:
    if not (folder / 'meta.json').is_file():
        return []
    meta = json.loads((folder / 'meta.json').read_text(encoding='utf-8'))
    scenes = choose_scenes(folder, comparison.upsamplers, meta.pop('kind'))
    if not scenes:
        return []
    return [Heading('Predictions'),
            Paragraph(f'Of the first test images those in which the upsamplers of seed '
                      f'{comparison.about["seeds"][0]} differ most from one another within a '
                      'square window: chosen to show differences, not how good a method is.'),
            *(_picture(new, f'predictions_{number}', partial(draw_disagreement, **meta), scene,
                       caption=f'Test image {scene.index} and, below, the marked window.')
              for number, scene in enumerate(scenes, start=1))]


def _conditions(comparison: Comparison) -> list[str]:
    """Of runs, each value once; of the costs."""
    found: dict = {}
    for run in comparison.runs:
        for key, value in run['conditions'].items():
            found.setdefault(key, {})[_text(value)] = None
    items = [f'{key}: {" / ".join(values)}' for key, values in found.items()]
    costs = (comparison.cost or {}).get('conditions')
    return items + ([f'Costs: {_text(costs)}'] if costs else [])


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return '; '.join(f'{key} {_text(one)}' for key, one in value.items()
                         if one not in (None, []))
    return ', '.join(map(str, value)) if isinstance(value, list) else str(value)

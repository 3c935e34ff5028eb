"""What it costs to reset upsampling steps."""
from collections.abc import Sequence
from pathlib import Path
from typing import Union

from matplotlib.figure import Figure

from mmups.analysis.robustness import headline_metrics

from .figures import save


def draw_criticality(rows: Sequence[dict], out: Union[str, Path], title: str = '') -> Path:
    """Bars of the drop of the metrics and of the agreement of predictions, one group for each step
    and one colour for each kind of reset.

    Args:
        rows: As :func:`mmups.engine.criticality.criticality` returns them.
        out: File to write; its folder is made if need be.
        title: Above the picture.

    Raises:
        ValueError: No row is of a reset.
    """
    resets = [row for row in rows if row['step'] is not None]
    if not resets:
        raise ValueError('a picture of criticality needs at least one reset, got none')
    names = headline_metrics(rows[0]['metrics'])
    parts = [(f'drop of {name} (unreset: {rows[0]["metrics"][name]:.4g})',
              [row['drop'][name] for row in resets]) for name in names]
    if resets[0]['agreement'] is not None:
        parts.append(('labels that changed, %', [100 * (1 - row['agreement']) for row in resets]))
    steps = list(dict.fromkeys(row['step'] for row in resets))
    kinds = list(dict.fromkeys(row['reset'] for row in resets))
    width = 0.8 / len(kinds)
    figure = Figure(figsize=(2.5 + 0.42 * len(steps) * len(kinds), 3 * len(parts) + 0.8),
                    layout='constrained')
    figure.suptitle(title, fontsize=9, wrap=True)
    axes = figure.subplots(len(parts), sharex=True, squeeze=False)[:, 0]
    for axis, (label, values) in zip(axes, parts):
        for index, kind in enumerate(kinds):
            chosen = [(steps.index(row['step']) + (index - (len(kinds) - 1) / 2) * width, value)
                      for row, value in zip(resets, values) if row['reset'] == kind]
            bars = axis.bar(*zip(*chosen), width, label=kind)
            axis.bar_label(bars, [f'{value:.3g}' for _, value in chosen], fontsize=7, padding=2)
        axis.axhline(0, color='black', linewidth=0.8)
        axis.margins(y=0.15)
        axis.set_ylabel(label.replace(' (', '\n('), fontsize=9)
        axis.tick_params(labelsize=8)
    axes[-1].set_xticks(range(len(steps)), [step.replace('.upsample_modules.', '\nstep ')
                                            for step in steps], fontsize=8)
    axes[0].legend(title='reset to', fontsize=8, loc='upper left', bbox_to_anchor=(1, 1))
    return save(figure, out)

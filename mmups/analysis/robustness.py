"""Numbers that sum up measurements under perturbation."""
import math
from collections.abc import Mapping, Sequence

#: Corruptions that move what is seen, while the ground truth stays: part of their drop is no fault
#: of the model. elastic_transform warps and glass_blur swaps pixels; motion_blur has a kernel with
#: one side, and zoom_blur averages enlarged copies.
MOVES_PIXELS = ('glass_blur', 'motion_blur', 'zoom_blur', 'elastic_transform')

#: What a table and a picture show of the hosts' metrics, where they are.
HEADLINES = ('mIoU', 'mBIoU', 'PQ', 'bbox_mAP', 'segm_mAP', 'boundary_mAP', 'boundary_PQ',
             'abs_rel', 'a1', 'rmse')
#: Errors, among the hosts' metrics; of every other metric more is better.
SMALLER_IS_BETTER = ('abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'log10', 'silog')


def headline_metrics(metrics: Mapping[str, float]) -> list[str]:
    """Names of the metrics worth a column: those of :data:`HEADLINES`, else all."""
    found = [name for head in HEADLINES for name in metrics if name.split('/')[-1] == head]
    return found or list(metrics)


def larger_is_better(metric: str) -> bool:
    """Whether more of a metric is better: yes, but for :data:`SMALLER_IS_BETTER`."""
    return metric.split('/')[-1] not in SMALLER_IS_BETTER


def corruption_scores(rows: Sequence[Mapping], metric: str) -> dict[str, float]:
    """mPC, rPC and the least value of a metric under corruptions (arXiv:1907.07484).

    Args:
        rows: ``kind``, ``name``, ``severity`` and ``metrics``; one has the kind 'clean'.
        metric: Its name in ``metrics``; larger is better.

    Returns:
        ``mPC``: the mean over corruptions of the means over severities; ``rPC``: mPC / clean;
        ``min at severity 3``: over corruptions, if it was measured; each also over those
        corruptions that leave pixels where they are. Empty where nothing was corrupted.
    """
    clean, = (row['metrics'][metric] for row in rows if row['kind'] == 'clean')
    values: dict[str, dict[int, float]] = {}
    for row in rows:
        if row['kind'] == 'corruption':
            values.setdefault(row['name'], {})[row['severity']] = row['metrics'][metric]
    scores = {}
    still = {name: by for name, by in values.items() if name not in MOVES_PIXELS}
    for chosen, note in ((values, ''), (still, ' without moved pixels')):
        if not chosen or (note and len(still) == len(values)):
            continue
        mean = sum(sum(by.values()) / len(by) for by in chosen.values()) / len(chosen)
        scores[f'mPC{note}'] = mean
        scores[f'rPC{note}'] = mean / clean if clean else math.nan
        third = [by[3] for by in chosen.values() if 3 in by]
        if third:
            scores[f'min at severity 3{note}'] = min(third)
    return scores

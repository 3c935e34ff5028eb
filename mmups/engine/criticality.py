"""Criticality of the upsampling steps of a trained model, measured by its config's evaluator."""
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Optional

import numpy as np
import torch
from mmengine.runner import Runner
from torch import Tensor

from mmups.analysis.criticality import agreement, cosine, in_place, resets_of

#: Instances of less confidence are not painted.
SCORE = 0.3


@torch.no_grad()
def criticality(runner: Runner, seed: int = 0, report: Callable[[Iterable], Iterable] = iter
                ) -> list[dict]:
    """Reset one upsampling step after the other and evaluate, in one pass over the test set.

    Args:
        runner: With ``load_from`` set, in one process.
        seed: Of the fresh weights.
        report: Around the batches, for a progress bar.

    Returns:
        One row for the model as it is (``step`` and ``reset`` None) and one for each reset:
        ``step``, ``reset``, ``metrics`` of the config's evaluator; ``drop`` of each, the model's
        value less this one; ``agreement``, the mean share of pixels with the model's own labels;
        ``cosine``, the mean cosine with the model's own class probabilities; None where the
        predictions have no labels or no logits.

    Raises:
        ValueError: The model has no upsampling step, or the config no evaluator.
    """
    if not runner.cfg.get('test_evaluator'):
        raise ValueError('the config has no test_evaluator, which measures what a reset costs')
    runner.load_or_resume()
    model = runner.model.eval()
    resets = resets_of(model, seed)
    device = next(model.parameters()).device
    for reset in resets:
        reset.module.to(device)
    loader = runner.build_dataloader(runner.cfg.test_dataloader)
    evaluators = [runner.build_evaluator(runner.cfg.test_evaluator) for _ in range(1 + len(resets))]
    for evaluator in evaluators:
        evaluator.dataset_meta = loader.dataset.metainfo
    likeness = [[] for _ in resets]
    for batch in report(loader):
        whole = model.test_step(batch)
        evaluators[0].process(whole, batch)
        for reset, evaluator, pairs in zip(resets, evaluators[1:], likeness):
            with in_place(model, reset):
                samples = model.test_step(batch)
            pairs += map(_likeness, whole, samples)
            evaluator.process(samples, batch)
    logging.disable(logging.INFO)  # a table for each reset
    try:
        metrics = [_numbers(evaluator.evaluate(len(loader.dataset))) for evaluator in evaluators]
    finally:
        logging.disable(logging.NOTSET)
    rows = [dict(step=None, reset=None, metrics=metrics[0])]
    for reset, values, pairs in zip(resets, metrics[1:], likeness):
        agreements, cosines = zip(*pairs)
        rows.append(dict(step=reset.step, reset=reset.kind, metrics=values,
                         drop={key: metrics[0][key] - value for key, value in values.items()
                               if key in metrics[0]},
                         agreement=_mean(agreements), cosine=_mean(cosines)))
    return rows


def label_map(sample) -> Optional[Tensor]:
    """One label for each pixel of a prediction; None where it has none.

    Semantic and panoptic maps as they are; instances painted with their class plus 1 over zeros,
    the most confident ones last, by their masks or else their boxes.
    """
    for key, field in (('pred_sem_seg', 'data'), ('pred_panoptic_seg', 'sem_seg')):
        if key in sample:
            return getattr(sample.get(key), field)[0]
    if 'pred_instances' not in sample:
        return None
    found = sample.pred_instances.cpu()
    found = found[found.scores >= SCORE]
    canvas = torch.zeros(sample.ori_shape[:2], dtype=torch.long)
    for index in found.scores.argsort().tolist():
        if 'masks' in found:
            canvas[torch.as_tensor(np.asarray(found.masks[index])).bool()] = found.labels[index] + 1
        else:
            left, top, right, bottom = found.bboxes[index].round().int().clamp(min=0).tolist()
            canvas[top:bottom, left:right] = found.labels[index] + 1
    return canvas


def _likeness(whole, sample) -> tuple[Optional[float], Optional[float]]:
    labels, logits = label_map(whole), whole.get('seg_logits')
    return (None if labels is None else agreement(labels, label_map(sample)),
            None if logits is None else cosine(logits.data, sample.seg_logits.data))


def _mean(values: Iterable[Optional[float]]) -> Optional[float]:
    values = [value for value in values if value is not None]
    return float(np.mean(values)) if values else None


def _numbers(metrics: Mapping) -> dict[str, float]:
    return {key: float(value) for key, value in metrics.items() if np.ndim(value) == 0
            and not isinstance(value, str)}

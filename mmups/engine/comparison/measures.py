"""The metrics of a comparison: the config's own, with those of boundaries and of classes."""
from typing import Any, Union

#: mmdet's metrics, and the same with boundaries under the same names.
EXTENDED = dict(CocoMetric='mmups.BoundaryCocoMetric',
                CocoPanopticMetric='mmups.BoundaryPanopticMetric',
                PanopticMetric='mmups.BoundaryPanopticMetric')
#: Arguments of CocoPanopticMetric that are about panopticapi alone.
OF_PANOPTICAPI = ('outfile_prefix', 'format_only', 'nproc', 'file_client_args')


def with_boundaries(evaluator: Union[dict, list]) -> list[dict]:
    """A config's evaluator whose metrics measure boundaries and classes, too.

    mmseg's IoUMetric gets :class:`mmups.BoundaryIoUMetric` beside it. mmdet's CocoMetric and
    CocoPanopticMetric are replaced by what extends them and names the same numbers alike (without
    panopticapi); boundary AP where there are masks.

    Args:
        evaluator: Stays as it is.
    """
    metrics = [dict(metric) for metric in _metrics(evaluator)]
    names = [_name(metric) for metric in metrics]
    if 'IoUMetric' in names and 'BoundaryIoUMetric' not in names:
        own = metrics[names.index('IoUMetric')]
        kept = {key: own[key] for key in ('ignore_index', 'collect_device') if key in own}
        metrics.append(dict(kept, type='mmups.BoundaryIoUMetric'))
    for metric in metrics:
        metric['type'] = EXTENDED.get(_name(metric), metric['type'])
        if _name(metric) == 'BoundaryCocoMetric':
            kinds = metric.get('metric', 'bbox')
            kinds = [kinds] if isinstance(kinds, str) else list(kinds)
            if 'segm' in kinds and 'boundary' not in kinds:
                kinds.append('boundary')
            metric.update(metric=kinds, classwise=True)
        elif _name(metric) == 'BoundaryPanopticMetric':
            for key in OF_PANOPTICAPI:
                metric.pop(key, None)
        elif _name(metric) == 'BoundaryIoUMetric':
            metric['classwise'] = True
    return metrics


def added(evaluator: Union[dict, list]) -> list[str]:
    """What :func:`with_boundaries` measures beyond an evaluator, in words."""
    def kinds(metrics):
        return {_name(metric): 'boundary' in metric.get('metric', ()) for metric in metrics}
    before = kinds(_metrics(evaluator))
    return [f'{name}{" (boundary AP)" if boundary else ""}'
            for name, boundary in kinds(with_boundaries(evaluator)).items()
            if before.get(name) != boundary]


def names_of(evaluator: Union[dict, list]) -> list[str]:
    """The metrics of an evaluator."""
    return [_name(metric) for metric in _metrics(evaluator)]


def _metrics(evaluator: Union[dict, list]) -> list[dict]:
    return list(evaluator) if isinstance(evaluator, (list, tuple)) else [evaluator]


def split_classes(metrics: dict[str, Any], evaluator: list[dict]
                  ) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Numbers of the whole data set, and numbers of its classes.

    Args:
        metrics: As an evaluator returns them: numbers of classes are ``IoU.CLASS`` and
            ``BIoU.CLASS`` (:class:`mmups.BoundaryIoUMetric`) and ``coco/CLASS_precision``
            (mmdet's CocoMetric, of the last of its metrics).
        evaluator: Which gave them.

    Returns:
        Name -> number; name -> class -> number.
    """
    whole, classes = {}, {}
    kinds = [kind for metric in evaluator if _name(metric) == 'BoundaryCocoMetric'
             for kind in metric['metric'] if kind in ('bbox', 'segm')]
    for key, value in metrics.items():
        kind, _, name = key.partition('.')
        if kinds and key.endswith('_precision'):
            kind, name = f'{kinds[-1]}_AP', key.rpartition('_')[0].partition('/')[2]
        if kind in ('IoU', 'BIoU') and name or kind.endswith('_AP') and name:
            classes.setdefault(kind, {})[name] = float(value)
        elif isinstance(value, (int, float)) or getattr(value, 'ndim', 1) == 0:
            whole[key] = float(value)
    return whole, classes


def _name(metric: dict) -> str:
    kind = metric['type']
    return (kind if isinstance(kind, str) else kind.__name__).rpartition('.')[-1]

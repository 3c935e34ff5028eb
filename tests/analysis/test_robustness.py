"""Scores of corruptions, counted by hand."""
import pytest

from mmups.analysis.robustness import corruption_scores, headline_metrics


def rows(**values):
    table = [dict(kind='clean', name='clean', severity=None, metrics=dict(mIoU=80))]
    for name, by in values.items():
        table += [dict(kind='corruption', name=name, severity=severity, metrics=dict(mIoU=value))
                  for severity, value in by.items()]
    return table


def test_mean_relative_and_least():
    table = rows(fog={1: 60, 3: 40}, contrast={1: 30, 3: 20}, elastic_transform={1: 10, 3: 0})
    table.append(dict(kind='attack', name='pgd', severity=None, metrics=dict(mIoU=1)))
    scores = corruption_scores(table, 'mIoU')
    assert scores == {
        'mPC': pytest.approx((50 + 25 + 5) / 3), 'rPC': pytest.approx((50 + 25 + 5) / 240),
        'min at severity 3': 0,
        'mPC without moved pixels': 37.5, 'rPC without moved pixels': pytest.approx(37.5 / 80),
        'min at severity 3 without moved pixels': 20}


def test_parts():
    assert corruption_scores(rows(), 'mIoU') == {}
    assert corruption_scores(rows(fog={5: 20}), 'mIoU') == {'mPC': 20, 'rPC': 0.25}
    assert list(corruption_scores(rows(zoom_blur={3: 8}), 'mIoU')) == [
        'mPC', 'rPC', 'min at severity 3']


def test_headlines():
    assert headline_metrics({'aAcc': 1, 'mIoU': 2}) == ['mIoU']
    assert headline_metrics({'coco/bbox_mAP_s': 0, 'coco/segm_mAP': 1, 'coco/bbox_mAP': 2}) == [
        'coco/bbox_mAP', 'coco/segm_mAP']
    assert headline_metrics({'own': 1}) == ['own']

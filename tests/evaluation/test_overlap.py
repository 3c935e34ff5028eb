"""Overlap of label maps, and the stability of predictions."""
import numpy as np
import pytest
import torch

from mmups.evaluation import accuracy, class_iou, intersect_and_union, mean_iou
from mmups.evaluation import prediction_stability as stability


def maps(seed, shape=(2, 9, 7), classes=4):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randint(0, classes, shape, generator=generator) for _ in range(2))


@pytest.mark.parametrize('seed', range(3))
def test_by_sets(seed):
    pred, target = maps(seed)
    intersect, union = intersect_and_union(pred, target, 5)
    for k in range(5):
        a, b = (set(map(tuple, (x == k).nonzero().tolist())) for x in (pred, target))
        assert (intersect[k], union[k]) == (len(a & b), len(a | b))
    ious = [i / u for i, u in zip(intersect.tolist(), union.tolist()) if u]
    assert mean_iou(intersect, union) == pytest.approx(np.mean(ious))
    assert class_iou(intersect, union)[4].isnan()
    assert accuracy(intersect, union) == pytest.approx((pred == target).double().mean().item())


def test_stability_by_hand():
    clean = torch.tensor([[0, 0, 1, 1, 2]])
    perturbed = torch.tensor([[0, 1, 1, 1, 0]])
    # class 0: 1 of 3, class 1: 2 of 3, class 2: 0 of 1, class 3 in neither
    assert stability(clean, perturbed, 4) == pytest.approx((3 / 5, (1 / 3 + 2 / 3 + 0) / 3))
    mask = torch.tensor([[True, True, True, True, False]])
    assert stability(clean, perturbed, 4, mask) == pytest.approx((3 / 4, (1 / 2 + 2 / 3) / 2))


def test_stability_is_symmetric_and_1_of_equals():
    clean, perturbed = maps(0)
    assert stability(clean, perturbed, 4) == stability(perturbed, clean, 4)
    assert stability(clean, clean.clone(), 4) == (1, 1)


def test_nothing_to_compare():
    empty = torch.zeros(0, 4, 4, dtype=torch.long)
    assert np.isnan(stability(empty, empty, 3)).all()
    labels = torch.zeros(2, 2, dtype=torch.uint8)
    assert np.isnan(stability(labels, labels, 3, torch.zeros(2, 2, dtype=torch.bool))).all()


@pytest.mark.parametrize('clean, perturbed, message', [
    (torch.zeros(2, 3).long(), torch.zeros(3, 2).long(), r'\(2, 3\), perturbed has \(3, 2\)'),
    (torch.zeros(2, 2), torch.zeros(2, 2).long(), 'clean must hold integer labels, got torch.floa'),
    (torch.zeros(2, 2).long(), torch.full((2, 2), 7), r'perturbed holds labels 7 \.\. 7'),
], ids=['shape', 'logits', 'range'])
def test_bad_input(clean, perturbed, message):
    with pytest.raises(ValueError, match=message):
        stability(clean, perturbed, 3)

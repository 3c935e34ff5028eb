"""mmups.SigLoss against a loop over pixels, and where its formula has no value."""
import math

import pytest
import torch

from mmups.models.seg import SigLoss


def by_loop(pred, target, mean_only=False):
    """sqrt(var + 0.15 mean^2) of the valid pixels' differences of logarithms, unbiased."""
    g = [math.log(p + 1e-3) - math.log(t + 1e-3)
         for p, t in zip(pred.flatten().tolist(), target.flatten().tolist())
         if t > 0 and math.isfinite(t)]
    mean = sum(g) / len(g)
    spread = sum((value - mean)**2 for value in g) / (len(g) - 1)
    return math.sqrt((0 if mean_only else spread) + 0.15 * mean**2)


@pytest.fixture
def maps():
    torch.manual_seed(0)
    pred, target = torch.rand(2, 1, 5, 7) * 9 + 0.01, torch.rand(2, 1, 5, 7) * 9 + 0.01
    for place, value in (((0, 0, 0), 0.), ((1, 0, 2), -1.), ((0, 0, 1), math.nan),
                         ((1, 0, 3), math.inf)):
        target[place] = value
    return pred.requires_grad_(), target


def test_by_loop(maps):
    pred, target = maps
    loss = SigLoss()(pred, target)
    loss.backward()
    assert loss.item() == pytest.approx(by_loop(pred, target), rel=1e-5)
    valid = (target > 0) & target.isfinite()
    assert pred.grad.isfinite().all() and (pred.grad != 0).equal(valid)
    assert SigLoss(loss_weight=10.)(pred, target).item() == pytest.approx(10 * loss.item())


def test_warm_up(maps):
    """So many calls in training, none of which a validation counts for."""
    loss = SigLoss(warm_up=2)
    assert loss.eval()(*maps).item() == pytest.approx(by_loop(*maps), rel=1e-5)
    values = [loss.train()(*maps).item() for _ in range(4)]
    assert values == pytest.approx([by_loop(*maps, mean_only=n < 2) for n in range(4)], rel=1e-5)


@pytest.mark.parametrize('valid', [0, 1])
def test_fewer_than_two_pixels(valid):
    """There is no variance; the gradients are there and finite."""
    pred, target = torch.full((1, 1, 2, 2), 2., requires_grad=True), torch.zeros(1, 1, 2, 2)
    target.view(-1)[:valid] = 1.
    loss = SigLoss()(pred, target)
    loss.backward()
    expected = math.sqrt(0.15) * math.log(2.001 / 1.001) if valid else 0
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert (pred.grad != 0).sum() == valid and pred.grad.isfinite().all()


def test_a_perfect_prediction():
    """Where the root has no gradient."""
    pred = torch.full((1, 1, 2, 2), 2., requires_grad=True)
    loss = SigLoss()(pred, torch.full((1, 1, 2, 2), 2.))
    loss.backward()
    assert loss.item() < 1e-5 and not pred.grad.any()

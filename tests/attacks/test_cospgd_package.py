"""Steps, starts and weights against the authors' functions, PyPI's ``cospgd`` 0.1.3 (MIT)."""
import pytest
import torch
import torch.nn.functional as F

from mmups.attacks import PGD, CosPGD, SegPGD, ThreatModel
from mmups.attacks.threat import Ball

theirs = pytest.importorskip('cospgd').Attack


@pytest.mark.parametrize('targeted', [False, True])
@pytest.mark.parametrize('norm', ['linf', 'l2'])
def test_step(norm, targeted):
    image, gradient = torch.rand(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
    eps, alpha = {'linf': (8, 2), 'l2': (64, 16)}[norm]
    ball = Ball(ThreatModel(norm, eps, alpha), image)
    x = ball.random(torch.Generator().manual_seed(0))
    sign = -1 if targeted else 1
    ours = ball.project(x + ball.step * ball.unit(sign * gradient))
    step = {'linf': theirs.step_inf, 'l2': theirs.step_l2}[norm]
    expected = step(x, eps / 255, gradient.clone(), image, alpha / 255, targeted)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize('targeted', [False, True])
def test_weights(targeted):
    logits, labels = torch.randn(2, 5, 8, 8), torch.randint(5, (2, 8, 8))
    loss = F.cross_entropy(logits, labels, reduction='none')
    ours = CosPGD(targeted=targeted).pixel_weights(logits, labels, 0) * loss
    expected = theirs.cospgd_scale(logits, labels, loss, num_classes=5, targeted=targeted)
    torch.testing.assert_close(ours, expected)
    for step in (0, 3, 9):
        ours = SegPGD(steps=10, targeted=targeted).pixel_weights(logits, labels, step) * loss
        expected = theirs.segpgd_scale(logits, labels, loss, step, 10, targeted)
        torch.testing.assert_close(ours.sum() / 64, expected)


@pytest.mark.parametrize('norm', ['linf', 'l2'])
def test_whole_attacks(norm):
    """Theirs, put together as their scripts do, without a random start."""
    net = torch.nn.Conv2d(3, 5, 3, padding=1)
    image, labels = torch.rand(2, 3, 8, 8), torch.randint(5, (2, 8, 8))
    eps, alpha, steps = {'linf': (8, 2, 6), 'l2': (64, 16, 6)}[norm]
    step = {'linf': theirs.step_inf, 'l2': theirs.step_l2}[norm]
    for kind in (PGD, SegPGD, CosPGD):
        x = image
        for index in range(steps):
            x = x.detach().requires_grad_()
            logits = net(x)
            loss = F.cross_entropy(logits, labels, reduction='none')
            if kind is CosPGD:
                loss = theirs.cospgd_scale(logits, labels, loss, num_classes=5)
            if kind is SegPGD:
                loss = theirs.segpgd_scale(logits, labels, loss, index, steps)
            gradient, = torch.autograd.grad(loss.mean(), x)
            x = step(x, eps / 255, gradient, image, alpha / 255, False)
        ours = kind(eps, alpha, steps, norm, random_start=False)(net, image, labels)
        torch.testing.assert_close(ours, x, rtol=0, atol=3e-6)

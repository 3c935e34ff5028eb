"""Attacks on numbers per pixel, held to formulas written out in float64."""
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmups.attacks import APGD, FGSM, PGD, CosPGD, SegPGD
from mmups.attacks.regression import ERRORS

CLASSES = [PGD, CosPGD, FGSM, APGD]
LOSSES = {'l1': lambda v, t: abs(v - t), 'l2': lambda v, t: (v - t)**2,
          'log': lambda v, t: abs(np.log(v) - np.log(t))}


@pytest.fixture
def image():
    return torch.rand(2, 3, 6, 7) * 0.6 + 0.2


@pytest.fixture
def net():
    """Three positive values per pixel."""
    conv = torch.nn.Conv2d(3, 3, 3, padding=1)
    return lambda x: F.softplus(conv(x)) + 0.1


def weighed_loss(attack, error, values, target, valid):
    """The loss of each image, pixel by pixel."""
    values, target = values.double().numpy(), target.double().numpy()
    losses = []
    for v, t, known in zip(values, target, valid[:, 0].numpy()):
        found = []
        for y, x in zip(*np.nonzero(known)):
            p, q = np.exp(v[:, y, x]), np.exp(t[:, y, x])
            weight = 1
            if isinstance(attack, CosPGD):
                weight = (p / p.sum()) @ (q / q.sum()) / (
                    np.linalg.norm(p / p.sum()) * np.linalg.norm(q / q.sum()))
            found.append(weight * LOSSES[error](v[:, y, x], t[:, y, x]).mean())
        losses.append(np.mean(found))
    return losses


@pytest.mark.parametrize('error', ERRORS)
@pytest.mark.parametrize('kind', [PGD, CosPGD])
def test_climbs_the_formula(kind, error, image, net):
    """What its rule is told to climb."""
    target, valid = torch.rand(2, 3, 6, 7) + 0.5, torch.rand(2, 1, 6, 7) < 0.7
    told = []

    class Told(kind.rule):
        def advance(self, x, gradient, gain):
            told.append((x, gain))
            return super().advance(x, gradient, gain)

    attack = type('Listening', (kind, ), dict(rule=Told))(eps=4, steps=3)
    with torch.no_grad():
        attack.attack_regression(net, image, target, error, valid)
        for x, gain in told:
            np.testing.assert_allclose(
                gain, weighed_loss(attack, error, net(x), target, valid), rtol=1e-5)
    assert len(told) == 3


@pytest.mark.parametrize('error', ERRORS)
@pytest.mark.parametrize('kind', CLASSES)
def test_raises_the_error_within_the_budget(kind, error, image, net):
    target = net(image).detach() + 0.05
    found = kind(eps=4, steps=5).attack_regression(net, image, target, error)
    assert (found - image).abs().max() <= 4 / 255 + 1e-7
    before, after = (ERRORS[error](net(x), target).mean() for x in (image, found))
    assert after > before


def test_a_target_draws(image, net):
    target = net(image).detach() + 0.2
    for kind in (PGD, CosPGD):
        found = kind(eps=4, steps=5, targeted=True).attack_regression(net, image, target)
        assert (net(found) - target).abs().mean() < (net(image) - target).abs().mean()


@pytest.mark.parametrize('kind', CLASSES)
def test_pixels_without_a_value_have_no_say(kind, image):
    """Whatever stands there; and an image without any value stays as its random start."""
    valid = torch.zeros(2, 1, 6, 7, dtype=torch.bool)
    valid[0, :, :3] = True
    target = torch.full((2, 3, 6, 7), torch.nan).where(~valid, torch.tensor(0.9))
    attack = kind(eps=8, steps=2, random_start=False)
    found = attack.attack_regression(lambda x: x, image, target, 'log', valid)
    changed = (found - image).abs().amax(1)
    assert (changed[0, :3] > 0).all()
    assert (changed[0, 3:] == 0).all() and (changed[1] == 0).all()


@pytest.mark.parametrize('targeted', [False, True])
def test_cospgd_of_one_value_is_pgd(targeted, image):
    target = torch.rand(2, 1, 6, 7)
    found = [kind(steps=3, random_start=False, targeted=targeted).attack_regression(
        lambda x: x.mean(1, keepdim=True), image, target) for kind in (PGD, CosPGD)]
    assert torch.equal(*found) and not torch.equal(found[0], image)


def test_cospgd_of_a_photograph_is_nearly_pgd():
    """A photograph and its blurred copy: all pixels count nearly the same."""
    data = pytest.importorskip('skimage.data')
    photo = torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None] / 255
    weights = CosPGD().value_weights(F.avg_pool2d(photo, 9, 1, 4), photo)
    assert weights.mean() > 0.9995 and weights.min() > 0.95


def test_segpgd_is_refused(image):
    with pytest.raises(ValueError, match='segpgd tells right pixels from wrong ones.*with pgd'):
        SegPGD().attack_regression(lambda x: x, image, image)


def test_mistakes_are_quoted(image):
    with pytest.raises(ValueError, match="no error 'mse'; errors are l1, l2, log"):
        PGD().attack_regression(lambda x: x, image, image, 'mse')
    with pytest.raises(ValueError, match=r'shape \(2, 3, 3, 4\) .* \(2, 3, 6, 7\): resize'):
        PGD().attack_regression(lambda x: x[..., ::2, ::2], image, image)

"""Attacks against formulas in NumPy and closed forms: budgets, weights, steps, what is ignored."""
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmups.attacks import APGD, ATTACKS, FGSM, PGD, CosPGD, SegPGD, ThreatModel

NAMES = sorted(ATTACKS)
BUDGETS = {'linf': 8, 'l2': 64}


@pytest.fixture
def net():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, 4, 3, padding=1))


@pytest.fixture
def image():
    """Two images with values at both borders of [0, 1]."""
    return (torch.rand(2, 3, 12, 10) * 1.2 - 0.1).clamp(0, 1)


@pytest.fixture
def target(net, image):
    """What the net predicts, but for some wrong and some ignored pixels."""
    labels = net(image).argmax(1)
    labels[:, 0] = (labels[:, 0] + 1) % 4
    labels[:, -1] = 255
    return labels


def seeded():
    return torch.Generator().manual_seed(3)


def length(difference, norm):
    flat = difference.double().flatten(1)
    return flat.abs().amax(1) if norm == 'linf' else flat.norm(dim=1)


@pytest.mark.parametrize('norm', BUDGETS)
@pytest.mark.parametrize('name', NAMES)
def test_budget_box_and_mask_hold_exactly(name, norm, net, image, target):
    mask = torch.zeros(2, 1, 12, 10, dtype=torch.bool)
    mask[..., 2:7, 3:] = True
    eps = BUDGETS[norm]
    found = ATTACKS[name](eps=eps, steps=7, norm=norm)(net, image, target, mask, seeded())
    assert found.dtype == torch.float32 and found.min() >= 0 and found.max() <= 1
    assert torch.equal(found[~mask.expand_as(found)], image[~mask.expand_as(found)])
    used = length(found - image, norm)
    assert (used <= eps / 255).all()
    assert (used > 0.7 * eps / 255).all()  # each image has its own budget, and uses it
    clean, attacked = (F.cross_entropy(net(x), target, ignore_index=255) for x in (image, found))
    assert attacked > clean


@pytest.mark.parametrize('norm', BUDGETS)
@pytest.mark.parametrize('name', NAMES)
def test_no_budget_no_change(name, norm, net, image, target):
    attack = ATTACKS[name](eps=0, steps=3, norm=norm)
    assert torch.equal(attack(net, image, target), image)
    assert torch.equal(attack.attack_loss(lambda x: net(x).sum(), image), image)


@pytest.mark.parametrize('norm', BUDGETS)
@pytest.mark.parametrize('name', NAMES)
def test_a_batch_is_its_images(name, norm, net, image, target):
    attack = ATTACKS[name](eps=BUDGETS[norm], steps=4, norm=norm, random_start=False)
    joint = attack(net, image, target)
    apart = torch.cat([attack(net, image[i:i + 1], target[i:i + 1]) for i in range(2)])
    torch.testing.assert_close(joint, apart, rtol=0, atol=2e-6)


@pytest.mark.parametrize('name', NAMES)
def test_targeted_attacks_draw_to_the_target(name, net, image):
    wish = torch.zeros(2, 12, 10, dtype=torch.long)
    found = ATTACKS[name](eps=16, steps=5, targeted=True)(net, image, wish, generator=seeded())
    assert F.cross_entropy(net(found), wish) < F.cross_entropy(net(image), wish)


@pytest.mark.parametrize('name', NAMES)
def test_ignored_pixels_have_no_say(name, net, image, target):
    """Whatever stands there: the attack is the same, and nothing is moved for their sake."""
    attack = ATTACKS[name](steps=3, random_start=False)
    ignored = target == 255
    shift = torch.randn(2, 4, 12, 10) * ignored[:, None] * 50
    found = attack(net, image, target)
    assert torch.equal(found, attack(lambda x: net(x) + shift, image, target))
    assert not torch.equal(found[..., -1, :], image[..., -1, :])  # their neighbours see them
    weights = attack.pixel_weights(net(image).detach(), target, 0)
    assert (weights[ignored] == 0).all()
    nothing = attack(net, image, torch.full_like(target, 255))
    assert torch.equal(nothing, image)


@pytest.mark.parametrize('norm', BUDGETS)
@pytest.mark.parametrize('name', NAMES)
def test_linear_loss_reaches_the_closed_form(name, norm):
    """Of w . x: eps * sign(w), and eps * w / |w|, where no value leaves [0, 1]."""
    w = torch.randn(2, 3, 6, 6)
    image = torch.full((2, 3, 6, 6), 0.5)
    eps = {'linf': 8, 'l2': 40}[norm]
    attack = ATTACKS[name](eps=eps, steps=40, norm=norm)
    found = attack.attack_loss(lambda x: (w * x).sum((1, 2, 3)), image, generator=seeded())
    best = np.sign(w.numpy()) if norm == 'linf' else w.numpy() / np.sqrt(
        (w.numpy()**2).sum((1, 2, 3), keepdims=True))
    np.testing.assert_allclose(found - image, best * eps / 255, atol=2e-5)


def test_steps_and_start_by_hand():
    """One step of PGD, and FGSM, in both norms, on a loss with a known gradient."""
    w = torch.tensor([3.0, -4.0]).view(1, 1, 1, 2)
    image = torch.full((1, 1, 1, 2), 0.5)

    def step(attack):
        return (attack.attack_loss(lambda x: (w * x).sum(), image) - image).flatten() * 255

    def is_step(found, expected):
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    is_step(step(PGD(eps=8, alpha=2, steps=1, random_start=False)), [2, -2])
    is_step(step(PGD(eps=8, steps=1, random_start=False)), [2, -2])  # a quarter
    is_step(step(PGD(eps=8, steps=3, random_start=False)), [6, -6])
    is_step(step(PGD(eps=8, alpha=2, steps=1, norm='l2', random_start=False)), [1.2, -1.6])
    is_step(step(FGSM(eps=8)), [8, -8])
    is_step(step(FGSM(eps=8, norm='l2', steps=9)), [4.8, -6.4])
    is_step(step(PGD(eps=8, alpha=2, steps=1, targeted=True, random_start=False)), [-2, 2])


@pytest.mark.parametrize('norm', BUDGETS)
def test_the_random_start(norm, net, image, target):
    """Uniform within linf, on the border of l2, and the generator's alone."""
    seen = []
    attack = PGD(eps=16, steps=1, norm=norm)
    image = image * 0.5 + 0.25
    for _ in range(2):
        attack(net, image, target, generator=seeded(),
               callback=lambda step, x, logits: seen.append(x))
    assert len(seen) == 4 and torch.equal(seen[0], seen[2])
    start = (seen[0] - image) * 255
    if norm == 'l2':
        np.testing.assert_allclose(length(start, norm), 16, rtol=1e-4)
    else:
        assert 15 < start.max() <= 16 and abs(start.mean()) < 1.5
        np.testing.assert_allclose(start.std(), 32 / 12**0.5, rtol=0.1)


def test_cospgd_weighs_by_the_cosine(net, image, target):
    logits = net(image).detach()
    p = np.exp(logits.double().numpy())
    p /= p.sum(1, keepdims=True)
    for targeted in (False, True):
        weights = CosPGD(targeted=targeted).pixel_weights(logits, target, 0)
        for n, y, x in np.ndindex(2, 12, 10):
            label = target[n, y, x]
            expected = 0 if label == 255 else p[n, label, y, x] / np.linalg.norm(p[n, :, y, x])
            if targeted and label != 255:
                expected = 1 - expected
            assert weights[n, y, x] == pytest.approx(expected, abs=1e-6)


def test_segpgd_goes_from_right_to_wrong_pixels(net, image, target):
    logits = net(image).detach()
    attack = SegPGD(steps=10)
    right = logits.argmax(1) == target
    wrong = ~right & (target != 255)
    assert right.any() and wrong.any()
    for step in range(10):
        weights = attack.pixel_weights(logits, target, step)
        np.testing.assert_allclose(weights[right], 1 - step / 20)
        np.testing.assert_allclose(weights[wrong], step / 20)
    assert (SegPGD(steps=10, targeted=True).pixel_weights(logits, target, 0)[right] == 0).all()


@pytest.mark.parametrize('name', NAMES)
def test_a_binary_head_is_its_two_classes(name, image):
    """p = (1 - s, s): the loss is BCE, the weights are those of two logits."""
    conv = nn.Conv2d(3, 1, 3, padding=1)
    labels = (torch.rand(2, 12, 10) > 0.5).long()
    labels[:, 0] = 255
    attack = ATTACKS[name](steps=3, random_start=False)

    def two(x):
        return torch.cat([-conv(x) / 2, conv(x) / 2], 1)
    torch.testing.assert_close(attack(conv, image, labels), attack(two, image, labels))
    torch.testing.assert_close(attack.pixel_weights(conv(image).detach(), labels, 1),
                               attack.pixel_weights(two(image).detach(), labels, 1))


@pytest.mark.parametrize('steps', [3, 10, 30])
@pytest.mark.parametrize('norm', BUDGETS)
def test_apgd_is_no_worse_than_pgd(norm, steps, net, image, target):
    def gain(attack):
        found = attack(net, image, target, generator=seeded())
        loss = F.cross_entropy(net(found), target, ignore_index=255, reduction='none')
        return loss.sum((1, 2))
    how = dict(eps=BUDGETS[norm], steps=steps, norm=norm)
    assert (gain(APGD(**how)) >= gain(PGD(**how)) - 1e-6).all()


def test_apgd_returns_the_best_image_it_met(image):
    """On a loss with a narrow top, where steps of full length jump over it."""
    peak = image + 0.3 * 8 / 255
    seen = []

    def loss_of(x):
        return -(x - peak).abs().sum((1, 2, 3))
    found = APGD(steps=20).attack_loss(loss_of, image, generator=seeded(),
                                       callback=lambda step, x, loss: seen.append(loss))
    assert len(seen) == 21
    torch.testing.assert_close(loss_of(found), torch.stack(seen).amax(0))
    assert (loss_of(found) > loss_of(image)).all()


def test_the_callback_sees_each_step(net, image, target):
    seen = {}
    attack = PGD(steps=4, random_start=False)
    found = attack(net, image, target, callback=lambda *args: seen.update({args[0]: args[1:]}))
    assert sorted(seen) == [0, 1, 2, 3, 4]
    assert torch.equal(seen[0][0], image) and torch.equal(seen[4][0], found)
    for steps in (1, 2, 3):  # the first steps of a longer attack
        assert torch.equal(seen[steps][0], PGD(steps=steps, random_start=False)(net, image, target))
    torch.testing.assert_close(seen[2][1], net(seen[2][0]).detach())


@pytest.mark.parametrize('name', ['cospgd', 'apgd'])
def test_float32_whatever_autocast(name, net, image, target):
    kinds = set()

    def logits_of(x):
        kinds.add(net[0](x).dtype)
        return net(x)
    attack = ATTACKS[name](steps=3, random_start=False)
    with torch.autocast('cpu', torch.bfloat16), torch.no_grad():
        found = attack(logits_of, image, target)
    assert kinds == {torch.float32} and torch.equal(found, attack(net, image, target))
    assert not found.requires_grad


@pytest.mark.parametrize('arguments, words', [
    (dict(eps=8 / 255), 'units of 0..255.*looks like one of .0, 1.: write 8'),
    (dict(eps=8, alpha=0.01), 'alpha is in units of 0..255.*write 2.55'),
    (dict(eps=-1), 'eps must be a number from 0 on, got -1'),
    (dict(eps=float('nan')), 'eps must be'),
    (dict(alpha=0), 'alpha must be a number above 0'),
    (dict(steps=0), 'steps must be an integer from 1 on, got 0'),
    (dict(steps=2.5), 'steps must be an integer'),
    (dict(norm='l1'), "no norm 'l1'.*linf"),
])
def test_impossible_budgets(arguments, words):
    with pytest.raises(ValueError, match=words):
        ThreatModel(**arguments)
    with pytest.raises(ValueError, match=words):
        CosPGD(**arguments)


def test_a_threat_model_is_frozen():
    threat = ThreatModel(eps=4)
    assert threat == ThreatModel('linf', 4, None, 20, True, False)
    with pytest.raises(AttributeError):
        threat.eps = 8


def test_impossible_images_and_labels(net, image, target):
    attack = PGD(steps=1)
    with pytest.raises(ValueError, match=r'in \[0, 1\].*divide by 255'):
        attack(net, image * 255, target)
    with pytest.raises(ValueError, match='labels go from 0 to 9.*4 classes.*ignore_index=255'):
        attack(net, image, target.masked_fill(target == 255, 9))
    with pytest.raises(ValueError, match='resize the logits'):
        attack(net, image, target[:, ::2])
    with pytest.raises(ValueError, match='no gradient reaches the image'):
        attack(lambda x: net(x.detach()).detach(), image, target)

"""What an attack sees of a model: logits as the metric's, the truth at the input's size."""
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.structures import PixelData

from mmups.attacks import ATTACKS, PGD
from mmups.engine.robustness.data import corrupted
from mmups.engine.robustness.states import frozen, losing, seeded
from mmups.engine.robustness.victims import Depth, Segmentation, attackable, content_size, victim_of

pytest.importorskip('mmseg')

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
CHANNELS = [8, 16, 32, 64]
RESNET = dict(type='ResNet', depth=18, base_channels=8, num_stages=4, out_indices=(0, 1, 2, 3),
              norm_cfg=dict(type='BN'), style='pytorch')
HEAD = dict(channels=8, num_classes=5, norm_cfg=dict(type='BN'), dropout_ratio=0.1)
PYRAMID = dict(HEAD, in_channels=CHANNELS, in_index=[0, 1, 2, 3])
FCN = dict(HEAD, type='FCNHead', in_channels=64, in_index=3, num_convs=1)


def mask2former():
    pytest.importorskip('mmdet')
    cfg = Config.fromfile('configs/mask2former/mask2former_r18_swap_1xb8-600it_digit-scenes-128x128'
                          '.py').model.decode_head
    cfg.update(in_channels=CHANNELS, num_queries=6)
    return cfg


HEADS = {
    'fcn': FCN,
    'segformer': dict(PYRAMID, type='SegformerHead'),
    'upernet': dict(PYRAMID, type='UPerHead', pool_scales=(1, 2)),
    'fpn': dict(PYRAMID, type='mmups.FPNHead', in_channels=[8] * 4, feature_strides=[4, 8, 16, 32],
                upsampler=dict(type='DySample')),
    'ham': dict(HEAD, type='LightHamHead', in_channels=CHANNELS[1:], in_index=[1, 2, 3],
                ham_channels=16, ham_kwargs=dict(MD_R=8)),
    'context': dict(HEAD, type='EncHead', in_channels=CHANNELS[1:], in_index=(1, 2, 3),
                    num_codes=4, use_se_loss=True),
    'attention': dict(HEAD, type='DAHead', in_channels=64, in_index=3, pam_channels=4),
    'binary': dict(FCN, num_classes=2, out_channels=1, threshold=0.5),
    'cascade': [FCN, dict(PYRAMID, type='PointHead', in_channels=[8], in_index=[0],
                          num_fcs=1, coarse_pred_each_layer=True, dropout_ratio=-1, norm_cfg=None)],
    'mask2former': mask2former,
}


@cache
def of_head(head):
    return segmentor(head)


def built(cfg, scope):
    with MODELS.switch_scope_and_registry(scope) as registry:
        torch.manual_seed(0)
        return registry.build(Config(cfg)._cfg_dict)


def segmentor(head, slide=False, kind='EncoderDecoder', **preprocessor):
    head = HEADS.get(head, head) if isinstance(head, str) else head
    head = head() if callable(head) else head
    cfg = dict(type=kind, backbone=RESNET, decode_head=head, train_cfg={},
               test_cfg=dict(mode='slide', crop_size=(64, 64), stride=(32, 32)) if slide else
               dict(mode='whole'),
               data_preprocessor=dict(type='SegDataPreProcessor', mean=MEAN, std=STD,
                                      bgr_to_rgb=True, **preprocessor))
    if isinstance(head, list):
        cfg.update(type='CascadeEncoderDecoder', num_stages=2)
        cfg['test_cfg'] = dict(mode='whole', subdivision_steps=1, subdivision_num_points=16,
                               scale_factor=2)
    elif head['type'] == 'mmups.FPNHead':
        cfg['neck'] = dict(type='FPN', in_channels=CHANNELS, out_channels=8, num_outs=4)
    return built(cfg, 'mmseg').eval()


def seg_batch(size=(64, 64), truth=(48, 56), classes=5, count=2):
    from mmseg.structures import SegDataSample
    samples = []
    for _ in range(count):
        labels = torch.randint(classes, (1, *truth))
        labels[:, :4] = 255
        sample = SegDataSample(gt_sem_seg=PixelData(data=labels))
        sample.set_metainfo(dict(img_shape=size, ori_shape=truth, pad_shape=size,
                                 scale_factor=(size[1] / truth[1], size[0] / truth[0])))
        samples.append(sample)
    images = [torch.randint(256, (3, *size), dtype=torch.uint8) for _ in range(count)]
    return dict(inputs=images, data_samples=samples)


def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize('head', HEADS)
def test_logits_are_what_the_metric_sees(head):
    """Their best class is the host's prediction, and no change of the image is the clean input."""
    model = segmentor(head)
    batch = seg_batch(classes=2 if head == 'binary' else 5)
    with frozen(model):
        victim = victim_of(model, batch)
        assert type(victim) is Segmentation
        logits = victim.logits_of(victim.image)
        assert logits.shape == (2, 1 if head == 'binary' else 5, 48, 56)
        best = (logits > 0).long()[:, 0] if head == 'binary' else logits.argmax(1)
        with seeded(0, torch.device('cpu')), torch.no_grad():
            clean = victim.predict(victim.image)
        with seeded(0, torch.device('cpu')), torch.no_grad():
            host = model.test_step(batch)
    for ours, theirs, own in zip(clean, host, best):
        assert torch.equal(ours.pred_sem_seg.data, theirs.pred_sem_seg.data)
        assert (own == theirs.pred_sem_seg.data[0]).float().mean() > 0.999
    if head == 'mask2former':
        np.testing.assert_allclose(logits[0].exp().detach(), host[0].seg_logits.data + 1e-6,
                                   rtol=1e-4)


@pytest.mark.parametrize('norm', ['linf', 'l2'])
@pytest.mark.parametrize('name', sorted(ATTACKS))
@pytest.mark.parametrize('head', HEADS)
def test_every_attack_on_every_head(head, name, norm):
    model = of_head(head)
    eps = {'linf': 4, 'l2': 64}[norm]
    with frozen(model):
        victim = victim_of(model, seg_batch(classes=2 if head == 'binary' else 5))
        attack = ATTACKS[name](eps=eps, steps=2, norm=norm, ignore_index=victim.ignore_index)
        found = victim.attack(attack, generator=generator())
        again = victim.attack(attack, generator=generator())
        change = (found - victim.image).flatten(1)
        used = change.abs().amax(1) if norm == 'linf' else change.norm(dim=1)
        assert ((used <= eps / 255) & (used > 0.5 * eps / 255)).all()
        assert torch.equal(found, again)
        if name not in ('fgsm', 'segpgd'):  # too long a step; at first a part of the pixels
            def loss(image):
                logits = victim.logits_of(image)
                logits = torch.cat([0 * logits, logits], 1) if head == 'binary' else logits
                return F.cross_entropy(logits, victim.target, ignore_index=255)
            with torch.no_grad():
                assert loss(found) > loss(victim.image) - 1e-3


@pytest.mark.parametrize('kwargs', [dict(test_cfg=dict(size_divisor=32)), dict(slide=True)])
def test_padding_and_slide(kwargs):
    """What the preprocessor pads is not attacked; each window has gradients."""
    model = segmentor('fcn', **kwargs)
    size = (72, 90)
    batch = seg_batch(size, truth=(36, 45), count=1 if 'slide' in kwargs else 2)
    with frozen(model):
        victim = victim_of(model, batch)
        found = victim.attack(PGD(eps=8, steps=2), generator=generator())
        change = victim.normalised(found) - victim.inputs
        assert (change[..., 72:, :] == 0).all() and (change[..., 90:] == 0).all()
        assert (change[..., :72, :90] != 0).float().mean() > 0.98
        limit = 8 / torch.tensor(STD).view(3, 1, 1)
        assert (change.abs() <= limit + 1e-5).all() and change.abs().max() > 0.99 * limit.min()
        if 'slide' not in kwargs:
            assert victim.inputs.shape[2:] == (96, 96)


def test_truths_of_several_sizes_in_one_batch():
    model = segmentor('fcn')
    batch = seg_batch(truth=(48, 56))
    batch['data_samples'][1] = seg_batch(truth=(70, 40))['data_samples'][1]
    with frozen(model):
        victim = victim_of(model, batch)
        assert victim.target.shape == (2, 70, 56)
        assert (victim.target[0, 48:] == 255).all() and (victim.target[1, :, 40:] == 255).all()
        apart = [victim_of(model, {key: value[i:i + 1] for key, value in batch.items()})
                 for i in range(2)]
        attack = PGD(steps=2, random_start=False)
        joint = victim.attack(attack)
        for i, one in enumerate(apart):
            torch.testing.assert_close(joint[i:i + 1], one.attack(attack), rtol=0, atol=1e-5)


def test_a_depth_estimator():
    from mmseg.structures import SegDataSample
    head = dict(type='FCNHead', in_channels=64, in_index=3, channels=8, num_convs=1, num_classes=2,
                out_channels=1, threshold=0.5, norm_cfg=dict(type='BN'))
    model = segmentor(head, kind='DepthEstimator')
    batch = seg_batch()
    for index, sample in enumerate(batch['data_samples']):
        truth = torch.rand(1, 48, 56) + 1
        truth[:, :10] = 0
        batch['data_samples'][index] = SegDataSample(gt_depth_map=PixelData(data=truth),
                                                     metainfo=sample.metainfo)
    with frozen(model):
        victim = victim_of(model, batch)
        assert type(victim) is Depth
        values = victim.values_of(victim.image)
        predicted = [sample.pred_depth_map.data for sample in model.test_step(batch)]
        torch.testing.assert_close(values, torch.stack(predicted))
        for name in ATTACKS:
            if name == 'segpgd':
                with pytest.raises(ValueError, match='right pixels from wrong ones'):
                    victim.check(ATTACKS[name]())
                continue
            victim.check(ATTACKS[name]())
            found = victim.values_of(victim.attack(ATTACKS[name](steps=2), generator=generator()))
            for depth, before, sample in zip(found, values, batch['data_samples']):
                truth = sample.gt_depth_map.data.log()[:, 10:]
                errors = [(one.clamp_min(1e-6).log()[:, 10:] - truth).abs().mean()
                          for one in (depth, before)]
                assert errors[0] > errors[1]


def test_states_come_back_however_it_ends():
    model = segmentor('fcn').train()
    model.backbone.eval()
    model.decode_head.conv_seg.weight.requires_grad_(False)
    before = [(module.training, ) for module in model.modules()] + [
        parameter.requires_grad for parameter in model.parameters()]
    numbers = torch.get_rng_state(), np.random.get_state()[1].copy()
    for error in (KeyboardInterrupt, ValueError):
        with pytest.raises(error), frozen(model):
            assert not any(module.training for module in model.modules())
            assert not any(parameter.requires_grad for parameter in model.parameters())
            with losing(model), seeded(3, torch.device('cpu')):
                assert model.training and model.decode_head.training
                assert not model.decode_head.dropout.training
                assert not any(module.training for module in model.backbone.modules())
                torch.rand(3), np.random.rand(3)
                raise error
        assert before == [(module.training, ) for module in model.modules()] + [
            parameter.requires_grad for parameter in model.parameters()]
    assert torch.equal(numbers[0], torch.get_rng_state())
    assert (numbers[1] == np.random.get_state()[1]).all()


def test_the_size_of_what_is_seen():
    meta = dict(img_shape=(640, 640), ori_shape=(100, 200), scale_factor=(3.2, 3.2))
    assert content_size(meta) == (320, 640)  # a transform padded the image
    assert content_size(dict(img_shape=(33, 44, 3))) == (33, 44)
    sample = seg_batch(size=(40, 30), truth=(20, 15), count=1)['data_samples']
    mask = attackable(sample, torch.zeros(1, 3, 64, 64))
    assert mask.sum() == 40 * 30 and mask[..., :40, :30].all()


def test_what_cannot_be_attacked():
    batch = seg_batch()
    model = segmentor('fcn')
    for sample in batch['data_samples']:
        del sample.gt_sem_seg
    with pytest.raises(ValueError, match='no ground truth.*LoadAnnotations'):
        victim_of(model, batch)
    with pytest.raises(ValueError, match='Conv2d gives neither per-pixel logits nor a loss'):
        victim_of(torch.nn.Conv2d(3, 3, 1), seg_batch())
    odd = torch.nn.Module()
    odd.decode_head = torch.nn.Identity()
    with pytest.raises(ValueError, match='Module has no method inference.*per-pixel logits'):
        victim_of(odd, seg_batch())
    batch = seg_batch()
    batch['inputs'] = [(image.float() - 128) / 50 for image in batch['inputs']]
    model.data_preprocessor._enable_normalize = False
    with pytest.raises(ValueError, match='from 0 to 255.*normalise there, not in the pipeline'):
        victim_of(model, batch)


@pytest.mark.parametrize('other', [dict(test_cfg=dict(size_divisor=32)), {}])
def test_an_image_made_on_another_model(other):
    """The same change of the same pixels, whatever the channel order and padding of either."""
    batch = seg_batch((48, 40))
    ours, theirs = segmentor('fcn', **other), segmentor('segformer')
    theirs.data_preprocessor.channel_conversion = False
    with frozen(ours), frozen(theirs):
        victim, source = victim_of(ours, batch), victim_of(theirs, batch)
        assert not torch.equal(source.image, victim.image[..., :48, :40])
        found = source.attack(PGD(eps=8, steps=2), generator=generator())
        given = source.transfer(found, victim)
        torch.testing.assert_close(given[..., :48, :40], found.flip(1), rtol=0, atol=1e-6)
        assert torch.equal(given[..., 48:, :], victim.image[..., 48:, :])


def test_where_a_corruption_goes():
    def load(inner):
        return dict(dataset=dict(type='Repeat', dataset=dict(pipeline=[
            dict(type='mmseg.LoadImageFromFile'), *inner])), batch_size=2)
    before = load([dict(type='Resize')])
    after = corrupted(before, 'fog', 3)
    steps = after['dataset']['dataset']['pipeline']
    assert [step['type'] for step in steps] == ['mmseg.LoadImageFromFile', 'mmups.Corrupt',
                                                'Resize']
    assert steps[1] == dict(type='mmups.Corrupt', corruption='fog', severity=3)
    assert before == load([dict(type='Resize')])
    with pytest.raises(ValueError, match='LoadImage'):
        corrupted(dict(dataset=dict(pipeline=[dict(type='Resize')])), 'fog', 3)

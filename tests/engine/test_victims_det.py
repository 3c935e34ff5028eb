"""Detectors as attacks see them: their loss, with the truth at the input's size."""
import copy

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS
from mmengine.structures import InstanceData, PixelData

from mmups.attacks import ATTACKS
from mmups.engine.cli import read_config
from mmups.engine.robustness.states import frozen
from mmups.engine.robustness.victims import Detection, victim_of

pytest.importorskip('mmdet')

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
CHANNELS = [8, 16, 32, 64]
RESNET = dict(type='ResNet', depth=18, base_channels=8, num_stages=4, out_indices=(0, 1, 2, 3),
              norm_cfg=dict(type='BN'), style='pytorch')


def generator():
    return torch.Generator().manual_seed(0)


def det_batch(size=(64, 96), original=(32, 48), count=2, boxes=2):
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    samples = []
    for index in range(count):
        masks = np.zeros((boxes, *original), np.uint8)
        masks[0, 4:20, 6:30], masks[1, 10:30, 2:12 + index] = 1, 1
        corners = torch.tensor([[6., 4, 30, 20], [2, 10, 12 + index, 30]])
        sample = DetDataSample(
            gt_instances=InstanceData(bboxes=corners, labels=torch.zeros(2, dtype=torch.long),
                                      masks=BitmapMasks(masks, *original)),
            ignored_instances=InstanceData(bboxes=torch.tensor([[0., 0, 4, 4]]),
                                           labels=torch.zeros(1, dtype=torch.long)),
            gt_sem_seg=PixelData(sem_seg=torch.ones((1, *original), dtype=torch.uint8)))
        sample.set_metainfo(dict(img_id=index, img_path='', ori_shape=original, img_shape=size,
                                 scale_factor=(size[1] / original[1], size[0] / original[0])))
        samples.append(sample)
    images = [torch.randint(256, (3, *size), dtype=torch.uint8) for _ in range(count)]
    return dict(inputs=images, data_samples=samples)


def detector(name):
    preprocessor = dict(type='DetDataPreprocessor', mean=MEAN, std=STD, bgr_to_rgb=True,
                        pad_size_divisor=64)
    if name == 'mask-rcnn':
        cfg = read_config('configs/_base_/models/mask-rcnn_r18-small_fpn.py').model
    elif name == 'mask2former':
        cfg = read_config('mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic.py').model
        cfg.update(init_cfg=None)
        cfg.panoptic_head.update(in_channels=CHANNELS, num_queries=6, num_things_classes=1,
                                 num_stuff_classes=4, feat_channels=32, out_channels=32)
        head = cfg.panoptic_head
        head.loss_cls.class_weight = [1.0] * 5 + [0.1]
        head.positional_encoding.num_feats = 16
        encoder = head.pixel_decoder.encoder
        encoder.num_layers = 1
        encoder.layer_cfg.self_attn_cfg.update(embed_dims=32, num_heads=4)
        encoder.layer_cfg.ffn_cfg.update(embed_dims=32, feedforward_channels=32)
        head.pixel_decoder.positional_encoding.num_feats = 16
        decoder = head.transformer_decoder
        decoder.num_layers = 1
        for part in ('self_attn_cfg', 'cross_attn_cfg'):
            decoder.layer_cfg[part].update(embed_dims=32, num_heads=4)
        decoder.layer_cfg.ffn_cfg.update(embed_dims=32, feedforward_channels=32)
        cfg.panoptic_fusion_head.update(num_things_classes=1, num_stuff_classes=4)
        cfg.train_cfg.num_points = 64
        cfg.test_cfg.max_per_image = 5
    else:
        kind = {'retinanet': 'retinanet/retinanet_r50_fpn_1x_coco',
                'fcos': 'fcos/fcos_r50-caffe_fpn_gn-head_1x_coco'}[name]
        cfg = read_config(f'mmdet::{kind}.py').model
        cfg.bbox_head.update(num_classes=1, in_channels=8, feat_channels=32)
        cfg.neck.update(in_channels=CHANNELS, out_channels=8)
    if name != 'mask-rcnn':
        cfg.backbone = RESNET
    cfg.data_preprocessor = preprocessor
    with MODELS.switch_scope_and_registry('mmdet') as registry:
        torch.manual_seed(0)
        return registry.build(cfg).eval()


def losses_of(victim, image):
    with torch.no_grad():
        return victim.loss_of(image)


@pytest.mark.parametrize('name', ['mask-rcnn', 'retinanet', 'fcos', 'mask2former'])
def test_detectors(name):
    model = detector(name)
    batch = det_batch()
    with frozen(model):
        victim = victim_of(model, batch, seed=1)
        assert type(victim) is Detection
        state = torch.get_rng_state()
        for kind in sorted(ATTACKS):
            attack = ATTACKS[kind](eps=8, steps=2)
            found = victim.attack(attack, generator=generator())
            if kind == 'pgd':
                assert torch.equal(found, victim.attack(attack, generator=generator()))
            assert losses_of(victim, found) > losses_of(victim, victim.image)
            change = victim.normalised(found) - victim.inputs
            assert (change[..., 96:] == 0).all() and victim.inputs.shape[2:] == (64, 128)
            each = (found - victim.image).flatten(1).abs().amax(1)
            assert ((each <= 8 / 255) & (each > 7 / 255)).all()
        assert torch.equal(state, torch.get_rng_state())
        for sample, own in zip(victim.samples, det_batch()['data_samples']):
            assert torch.equal(sample.gt_instances.bboxes, own.gt_instances.bboxes)
            assert 'pred_instances' not in sample and 'pred_panoptic_seg' not in sample
        with torch.no_grad():
            predictions = victim.predict(found)
        assert len(predictions) == 2


@pytest.mark.parametrize('original', [True, False])
def test_the_truth_at_the_input_of_a_detector(original):
    """Boxes, masks, ignored boxes and the semantic map are resized with the image, then padded."""
    batch = det_batch() if original else det_batch(original=(64, 96))
    victim = Detection(detector('retinanet'), batch, truth_is_original=original)
    factor = 2 if original else 1
    for truth, sample in zip(victim.truths, batch['data_samples']):
        was = sample.gt_instances
        assert torch.equal(truth.gt_instances.bboxes, factor * was.bboxes)
        assert torch.equal(truth.ignored_instances.bboxes,
                           factor * sample.ignored_instances.bboxes)
        masks = truth.gt_instances.masks.masks
        expected = was.masks.masks.repeat(factor, 1).repeat(factor, 2)
        assert masks.shape == (2, 64, 128) and (masks[..., 96:] == 0).all()
        assert (masks[..., :96] == expected).all()
        semantic = truth.gt_sem_seg.sem_seg
        assert (semantic[..., :96] == 1).all() and (semantic[..., 96:] == 255).all()


def test_fcos_is_in_the_mode_of_its_loss():
    """Its head scales boxes by the stride in eval mode: that loss is not the one it learnt by."""
    model, batch = detector('fcos'), det_batch()
    model.bbox_head.norm_on_bbox = True
    victim = Detection(model, batch)
    model.bbox_head.train()
    for module in model.bbox_head.modules():
        if 'Norm' in type(module).__name__:
            module.eval()
    data = copy.deepcopy(victim.truths)
    with torch.no_grad():
        expected = model.parse_losses(model(victim.inputs, data, mode='loss'))[0]
    model.eval()
    torch.testing.assert_close(losses_of(victim, victim.image), expected)
    assert not model.bbox_head.training

"""Slots inside whole models: what a host does around them must not undo them."""
from functools import partial
from importlib.util import find_spec

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS as ROOT
from torch import nn
from torch.utils.checkpoint import checkpoint

from mmups.models.upsamplers import BaseUpsampler

C = 32
DETECTOR = '''
backbone=dict(depth=18, base_channels=8, frozen_stages=-1, norm_eval=False, init_cfg=None),
neck=dict(type='mmups.FPN', in_channels=[8, 16, 32, 64], out_channels=32, upsampler=UPSAMPLER),
rpn_head=dict(in_channels=32, feat_channels=32),
roi_head=dict(
    bbox_roi_extractor=dict(out_channels=32),
    bbox_head=dict(in_channels=32, fc_out_channels=32, num_classes=3),
    mask_roi_extractor=dict(out_channels=32),
    mask_head=dict(type='mmups.FCNMaskHead', upsampler=UPSAMPLER, num_convs=1, in_channels=32,
                   conv_out_channels=32, num_classes=3)),
train_cfg=dict(rpn_proposal=dict(nms_pre=50, max_per_img=20), rcnn=dict(sampler=dict(num=16))),
'''
# Model -> (host package, stock base, overrides, slots' paths, number of upsamplers).
MODELS = {
    'mask-rcnn': ('mmdet', '_base_/models/mask-rcnn_r50_fpn.py', DETECTOR,
                  ['neck', 'roi_head.mask_head'], 4),
    'panoptic-fpn': ('mmdet', 'panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py', DETECTOR + '''
semantic_head=dict(type='mmups.PanopticFPNHead', upsampler=UPSAMPLER, in_channels=32,
                   inner_channels=32, num_things_classes=3, num_stuff_classes=3),
panoptic_fusion_head=dict(num_things_classes=3, num_stuff_classes=3),
''', ['neck', 'roi_head.mask_head', 'semantic_head'], 10),
    'segformer': ('mmseg', '_base_/models/segformer_mit-b0.py', '''
backbone=dict(embed_dims=8, num_layers=[1, 1, 1, 1], drop_path_rate=0, pretrained=None),
data_preprocessor=dict(size=(101, 131)),
decode_head=dict(type='mmups.SegformerHead', upsampler=UPSAMPLER, in_channels=[8, 16, 40, 64],
                 channels=32, num_classes=3, norm_cfg=dict(type='BN'), dropout_ratio=0),
''', ['decode_head'], 6),
}


def load(name, upsampler, extra=''):
    """Config of the small model."""
    host, base, overrides = MODELS[name][:3]
    if not find_spec(host):
        pytest.skip(f'{host} is not installed')
    overrides = (overrides + extra).replace('UPSAMPLER', repr(upsampler))
    return Config.fromstring(f"_base_ = '{host}::{base}'\nmodel = dict({overrides})", '.py').model


def build(name, upsampler, extra=''):
    torch.manual_seed(0)
    model = ROOT.build(load(name, upsampler, extra))
    model.init_weights()
    return model


def upsamplers_of(model):
    return [m for m in model.modules() if isinstance(m, BaseUpsampler)]


def batch_of(name, size):
    """Two random images with everything that the model learns from."""
    if MODELS[name][0] == 'mmdet':
        from mmdet.testing import demo_mm_inputs
        return demo_mm_inputs(2, (3, *size), num_items=[3, 2], num_classes=3, with_mask=True,
                              with_semantic=True)
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample
    generator = torch.Generator().manual_seed(0)
    return dict(
        inputs=list(torch.randint(0, 256, (2, 3, *size), generator=generator, dtype=torch.uint8)),
        data_samples=[SegDataSample(
            metainfo=dict(ori_shape=size, img_shape=size),
            gt_sem_seg=PixelData(data=torch.randint(0, 3, (1, *size), generator=generator)))
            for _ in range(2)])


def losses_of(model, batch):
    torch.manual_seed(0)
    data = model.data_preprocessor(batch, True)
    return model.parse_losses(model(**data, mode='loss'))


@pytest.mark.parametrize('upsampler, key, std', [
    (dict(type='DySample', dyscope=True), 'offset.weight', 0.001),
    (dict(type='DySample', style='pl', groups=8), 'offset.weight', 0.001),
    (dict(type='DySample', dyscope=True), 'scope.weight', 0),
    (dict(type='Deconv'), 'weight', (3 * 9 * C)**-0.5),
    (dict(type='PixelShuffle'), '0.weight', (3 * 9 * C)**-0.5),
    (dict(type='LCTC', kernel_size=7), 'large.weight', 3**-0.5 / 7),
    (dict(type='LCTC', kernel_size=7), 'small.weight', 3**-0.5 / 3)], ids=str)
@pytest.mark.parametrize('name', MODELS)
def test_initial_weights(name, upsampler, key, std):
    """The hosts' Xavier and Kaiming stop short of the upsamplers."""
    modules = upsamplers_of(build(name, upsampler))
    assert len(modules) == MODELS[name][4]
    for module in modules:
        assert module.get_parameter(key).std().item() == pytest.approx(std, rel=0.25, abs=1e-12)


PREDICTION = {'mask-rcnn': 'pred_instances', 'panoptic-fpn': 'pred_panoptic_seg',
              'segformer': 'pred_sem_seg'}


@pytest.mark.parametrize('name, size', [('mask-rcnn', (101, 131)), ('panoptic-fpn', (96, 128)),
                                        ('segformer', (101, 131))])
@pytest.mark.parametrize('upsampler', [dict(type='DySample'), dict(type='LCTC', kernel_size=31)],
                         ids=['DySample', 'LCTC'])
def test_step_on_odd_images(name, size, upsampler):
    """Unpadded images of any size: a training step that reaches everything, and a prediction."""
    model = build(name, upsampler, '' if name == 'segformer' else '''
        data_preprocessor=dict(pad_size_divisor=1)''')
    batch = batch_of(name, size)
    loss, _ = losses_of(model, batch)
    loss.backward()
    assert loss.isfinite()
    assert [key for key, p in model.named_parameters() if p.grad is None] == []
    results = model.eval().test_step(batch)
    assert len(results) == 2 and PREDICTION[name] in results[0]


@pytest.mark.parametrize('name', ['mask-rcnn', 'panoptic-fpn'])
def test_no_objects(name):
    """Images without objects: the mask head has no RoI, and its upsampler a gradient."""
    model, batch = build(name, dict(type='DySample')), batch_of(name, (96, 128))
    for sample in batch['data_samples']:
        sample.gt_instances = sample.gt_instances[:0]
        sample.gt_instances.masks = sample.gt_instances.masks[:0]
    loss, _ = losses_of(model, batch)
    loss.backward()
    assert not any(p.grad.any() for p in model.roi_head.mask_head.upsample_modules.parameters())


@pytest.mark.parametrize('name', MODELS)
def test_activation_checkpointing(name):
    """Recomputing all slots gives the same gradients.

    Without reentrance: mmengine's ``activation_checkpointing`` is reentrant, and so loses the
    gradients of every module that takes a tuple, of mmdet's own necks too.
    """
    grads = []
    for recompute in (False, True):
        model = build(name, dict(type='DySample'))
        for slot in MODELS[name][3] if recompute else []:
            module = model.get_submodule(slot)
            module.forward = partial(checkpoint, module.forward, use_reentrant=False)
        loss, _ = losses_of(model, batch_of(name, (96, 128)))
        loss.backward()
        grads.append({key: p.grad for key, p in model.named_parameters()})
    assert grads[0].keys() == grads[1].keys()
    for key, grad in grads[0].items():
        torch.testing.assert_close(grads[1][key], grad)


# --- pretrained weights --------------------------------------------------------------------------


@pytest.fixture
def donor(tmp_path):
    """``donor(name, upsampler)``: weights like no initial ones, and a checkpoint of them."""
    def make(name, upsampler):
        model = build(name, upsampler)
        for parameter in model.parameters():
            nn.init.normal_(parameter, mean=1)
        path = tmp_path / 'donor.pth'
        torch.save(dict(meta={}, state_dict=model.state_dict()), path)
        return model, str(path)
    return make


def assert_loaded(module, source):
    state = source.state_dict()
    assert module.state_dict().keys() == state.keys()
    for key, value in module.state_dict().items():
        assert torch.equal(value, state[key]), key


UPSAMPLER = dict(type='DySample', dyscope=True)


@pytest.mark.parametrize('name', MODELS)
def test_pretrained_model(name, donor):
    """``init_cfg=dict(type='Pretrained')`` of the whole model holds for its upsamplers."""
    source, path = donor(name, UPSAMPLER)
    model = build(name, UPSAMPLER, f"init_cfg=dict(type='Pretrained', checkpoint={path!r}),")
    assert_loaded(model, source)
    model.init_weights()
    assert_loaded(model, source)


@pytest.mark.parametrize('others', [[], [dict(type='Xavier', layer='Conv2d')]], ids=len)
@pytest.mark.parametrize('name, slot', [('mask-rcnn', 'neck'), ('panoptic-fpn', 'semantic_head'),
                                        ('segformer', 'decode_head')])
def test_pretrained_slot(name, slot, others, donor):
    """The same in the slot itself, also after an initialisation of everything else."""
    source, path = donor(name, UPSAMPLER)
    cfg = load(name, UPSAMPLER)
    cfg[slot].init_cfg = [dict(type='Pretrained', checkpoint=path, prefix=f'{slot}.'), *others]
    model = ROOT.build(cfg)
    model.init_weights()
    if slot == 'semantic_head':  # mmdet draws these anew, in its own head as well
        nn.init.ones_(model.semantic_head.conv_logits.weight)
        nn.init.ones_(source.semantic_head.conv_logits.weight)
        model.semantic_head.conv_logits.bias = source.semantic_head.conv_logits.bias
    assert_loaded(model.get_submodule(slot), source.get_submodule(slot))


@pytest.mark.parametrize('name, prefix', [('mask-rcnn', 'neck.upsample_modules.0'),
                                          ('segformer', 'decode_head.upsample_modules.0')])
def test_pretrained_upsampler(name, prefix, donor):
    """The same in the upsampler."""
    source, path = donor(name, UPSAMPLER)
    cfg = dict(type='Pretrained', checkpoint=path, prefix=f'{prefix}.')
    model = build(name, dict(UPSAMPLER, init_cfg=cfg))
    for module in upsamplers_of(model):
        assert_loaded(module, source.get_submodule(prefix))

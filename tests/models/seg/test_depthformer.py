"""DepthFormer: keys and counts of the toolbox, its parts against loops, whole models."""
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmups import list_sites, swap_upsampler
from mmups.models.seg import DenseDepthHead, HAHIHeteroNeck, hahi_neck
from mmups.models.seg.hahi_neck import sine_positions
from mmups.preset_files import upsampler_named

CONFIGS = Path(__file__).parents[3] / 'configs'
NYU = CONFIGS / '_base_/models/depthformer_swin-t_2xb8-38400it_nyu-416x544.py'
SMALL = next(CONFIGS.glob('depthformer/*digit-scenes*.py'))
CHANNELS = [64, 96, 192, 384, 768]


def model_of(path, **head):
    """The model of a config, without downloaded weights."""
    cfg = Config.fromfile(path).model
    cfg.backbone.init_cfg = None
    cfg.decode_head.update(head)
    torch.manual_seed(0)
    with MODELS.switch_scope_and_registry('mmseg') as registry:
        model = revert_sync_batchnorm(registry.build(cfg))
    model.init_weights()
    return model


def count(module, bias=True):
    return sum(p.numel() for p in module.parameters() if bias or p.dim() > 1)


@pytest.fixture(scope='module')
def nyu():
    return model_of(NYU).eval()


# --- keys and counts -----------------------------------------------------------------------------


def toolbox_keys():
    """State-dict keys of the toolbox's checkpoints, written out from their description."""
    def conv(name, norm=True):
        yield f'{name}.conv.weight'
        yield from ([f'{name}.bn.{key}' for key in (
            'weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked')]
            if norm else [f'{name}.conv.bias'])

    def both(*names):
        for name in names:
            yield from (f'{name}.weight', f'{name}.bias')

    yield 'backbone.conv1.weight'
    yield from both('backbone.bn1')
    yield from (f'backbone.bn1.{key}' for key in ('running_mean', 'running_var',
                                                  'num_batches_tracked'))
    yield from both('backbone.patch_embed.projection', 'backbone.patch_embed.norm')
    for stage, blocks in enumerate((2, 2, 6, 2)):
        for block in range(blocks):
            name = f'backbone.stages.{stage}.blocks.{block}'
            yield from both(*(f'{name}.{part}' for part in (
                'norm1', 'attn.w_msa.qkv', 'attn.w_msa.proj', 'norm2', 'ffn.layers.0.0',
                'ffn.layers.1')))
            yield f'{name}.attn.w_msa.relative_position_bias_table'
            yield f'{name}.attn.w_msa.relative_position_index'
        if stage < 3:
            yield f'backbone.stages.{stage}.downsample.reduction.weight'
            yield from both(f'backbone.stages.{stage}.downsample.norm')
        yield from both(f'backbone.norm{stage}')
    for i in range(5):
        yield from conv(f'neck.lateral_convs.{i}')
    for i in range(4):
        yield from conv(f'neck.trans_proj.{i}')
        yield from conv(f'neck.trans_fusion.{i}')
    yield from conv('neck.conv_proj.0')
    yield from conv('neck.conv_fusion.0')
    yield 'neck.level_embed'
    yield from both('neck.reference_points', *(
        f'neck.{attention}.{part}' for attention in ('multi_att', 'self_attn')
        for part in ('sampling_offsets', 'attention_weights', 'value_proj', 'output_proj')))
    yield from conv('decode_head.conv_list.0', norm=False)
    for i in range(1, 5):
        yield from conv(f'decode_head.conv_list.{i}.convA', norm=False)
        yield from conv(f'decode_head.conv_list.{i}.convB', norm=False)
    yield from both('decode_head.conv_depth')


def test_keys_are_the_toolboxs(nyu):
    keys = list(toolbox_keys())
    assert len(keys) == len(set(keys))
    assert set(nyu.state_dict()) == set(keys)
    state = {key: nyu.state_dict()[key] for key in keys}
    nyu.load_state_dict(state, strict=True)


def test_parameters(nyu):
    """Of Table 9 of the DySample paper, 47.6M, and of its parts."""
    assert [count(part) for part in (nyu.backbone, nyu.neck, nyu.decode_head)] == [
        27520698 + 9536, 12392834, 7688961]
    assert count(nyu.neck.self_attn) == count(nyu.neck.multi_att) == 328960
    assert count(nyu) == 47612029


@pytest.mark.parametrize('preset, added, weights', [
    ('deconv', 7051680, None), ('pixel-shuffle', 28206720, None), ('carafe', 323216, None),
    ('indexnet', 6333056, None), ('a2u', 31064, 27968), ('fade', 197220, None),
    ('sapa-base', 74240, None), ('dysample', 46208, 46080), ('dysample-plus', 92416, 92160),
    ('dysample-s', 5824, 5760), ('dysample-s-plus', 11648, 11520)])
def test_what_upsamplers_add(nyu, preset, added, weights):
    """Table 9 prints +7.1M, 28.2M, 0.3M, 6.3M, 30.0K (of A2U, which nothing gives exactly), 0.2M
    and 0.1M; and of DySample, without biases, 46.1K, 92.2K, 5.8K and 11.5K."""
    steps = nyu.decode_head.steps()
    assert [(step.channels, step.guide_channels) for step in steps] == [
        (768, 384), (384, 192), (192, 96), (96, 64)]
    with torch.device('meta'):
        modules = torch.nn.ModuleList(step.build(upsampler_named(preset)) for step in steps)
    assert count(modules) == added
    assert weights is None or count(modules, bias=False) == weights


def test_upsamplers_are_all_that_is_added(nyu):
    with torch.device('meta'):
        head = DenseDepthHead(CHANNELS, upsampler=upsampler_named('dysample'))
    assert set(head.state_dict()) - set(nyu.decode_head.state_dict()) == {
        f'upsample_modules.{i}.{key}' for i in range(4)
        for key in head.upsample_modules[i].state_dict()}
    assert count(head) == 7688961 + 46208


# --- parts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize('height, width', [(1, 1), (3, 5)])
def test_positions(height, width):
    """By the formula of DETR, value by value."""
    channels = 8
    found = sine_positions(torch.zeros(2, 3, height, width, dtype=torch.float64), channels)
    assert found.shape == (1, channels, height, width) and found.dtype == torch.float64
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                position, k = (y + 1, c) if c < channels // 2 else (x + 1, c - channels // 2)
                angle = position / 10000**(2 * (k // 2) / (channels // 2))
                expected = math.cos(angle) if k % 2 else math.sin(angle)
                assert found[0, c, y, x].item() == pytest.approx(expected, abs=1e-6)


def test_positions_are_mmdets():
    layers = pytest.importorskip('mmdet.models.layers')
    encode = layers.SinePositionalEncoding(num_feats=16)
    expected = encode(torch.zeros(1, 5, 7, dtype=torch.bool))
    torch.testing.assert_close(sine_positions(torch.zeros(1, 3, 5, 7), 32), expected)


def attended(module, query, position, value, references, sizes):
    """Deformable attention of one image by loops: (L, C), (L, C), (M, C), (L, 2)."""
    heads, levels, points = module.num_heads, module.num_levels, module.num_points
    found = torch.zeros_like(query)
    values = module.value_proj(value).unflatten(1, (heads, -1))
    starts = [sum(h * w for h, w in sizes[:i]) for i in range(levels)]
    for i, (q, (rx, ry)) in enumerate(zip(query + position, references)):
        offsets = module.sampling_offsets(q).view(heads, levels, points, 2)
        weights = module.attention_weights(q).view(heads, -1).softmax(1).view(heads, levels, points)
        out = torch.zeros(values.shape[1:], dtype=query.dtype)
        for head in range(heads):
            for level, (h, w) in enumerate(sizes):
                for point in range(points):
                    dx, dy = offsets[head, level, point]
                    # In pixels of the level, whose first centre is 0.
                    px, py = (rx * w + dx - 0.5).item(), (ry * h + dy - 0.5).item()
                    for y in (math.floor(py), math.floor(py) + 1):
                        for x in (math.floor(px), math.floor(px) + 1):
                            if 0 <= y < h and 0 <= x < w:
                                share = (1 - abs(py - y)) * (1 - abs(px - x))
                                out[head] += (weights[head, level, point] * share
                                              * values[starts[level] + y * w + x, head])
        found[i] = module.output_proj(out.flatten()) + query[i]
    return found


def test_neck_by_loops():
    """The whole neck: what attends to what, with which positions and points, and what is fused."""
    torch.manual_seed(0)
    neck = HAHIHeteroNeck([6, 4, 8], embedding_dim=8, num_heads=2, num_points=2).double().eval()
    for parameter in neck.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    maps = [torch.randn(2, c, *size, dtype=torch.float64)
            for c, size in ((6, (5, 6)), (4, (3, 3)), (8, (2, 2)))]
    with torch.no_grad():
        outs = neck(maps)
        stem, *levels = (conv(x) for conv, x in zip(neck.lateral_convs, maps))
        sizes = [x.shape[2:] for x in levels]

        def tokens(x):
            return x.flatten(1).T
        for n in range(2):
            inputs = torch.cat([tokens(proj(x)[n]) for proj, x in zip(neck.trans_proj, levels)])
            positions = torch.cat([tokens(sine_positions(x, 8)[0]) + neck.level_embed[i]
                                   for i, x in enumerate(levels)])
            centres = torch.tensor([((x + 0.5) / w, (y + 0.5) / h) for h, w in sizes
                                    for y in range(h) for x in range(w)], dtype=torch.float64)
            memory = attended(neck.self_attn, inputs, positions, inputs, centres, sizes)
            positions = tokens(sine_positions(stem, 8)[0])
            points = torch.sigmoid(neck.reference_points(positions))
            query = attended(neck.multi_att, tokens(neck.conv_proj(stem)[n]), positions, memory,
                             points, sizes)
            query = query.T.reshape(1, 8, 5, 6)
            torch.testing.assert_close(
                outs[0][n:n + 1], neck.conv_fusion(torch.cat([query, stem[n:n + 1]], 1)))
            for i, (first, last) in enumerate(((0, 9), (9, 13))):
                new = memory[first:last].T.reshape(1, 8, *sizes[i])
                torch.testing.assert_close(outs[i + 1][n:n + 1], neck.trans_fusion[i](
                    torch.cat([levels[i][n:n + 1], new], 1)))


def test_neck_in_parts(monkeypatch):
    """However few pixels attend at a time."""
    neck = HAHIHeteroNeck([6, 4], embedding_dim=8, num_heads=2, num_points=2).double().eval()
    maps = [torch.randn(2, c, *size, dtype=torch.float64) for c, size in ((6, (5, 6)), (4, (3, 3)))]
    expected = neck(maps)
    monkeypatch.setattr(hahi_neck, 'QUERIES', 7)
    torch.testing.assert_close(neck(maps), expected)


@pytest.mark.parametrize('kwargs, message', [
    (dict(in_channels=[8]), r'in_channels=\[8\]'),
    (dict(in_channels=[8, 8], embedding_dim=12), 'num_heads=8, got embedding_dim=12'),
    (dict(in_channels=[8, 8], embedding_dim=6, num_heads=2), 'multiple of 4 .* embedding_dim=6'),
])
def test_mistakes_in_the_neck(kwargs, message):
    with pytest.raises(ValueError, match=message):
        HAHIHeteroNeck(**kwargs)


def test_number_of_maps():
    neck = HAHIHeteroNeck([8, 8], embedding_dim=8)
    with pytest.raises(ValueError, match='built for 2 maps, got 1'):
        neck([torch.zeros(1, 8, 4, 4)])


@pytest.mark.parametrize('scale_up', [False, True])
def test_head_by_functions(scale_up):
    """Written out with what PyTorch has; predictions are clamped and have the image's size."""
    torch.manual_seed(0)
    head = DenseDepthHead([4, 6, 8], scale_up=scale_up, min_depth=2., max_depth=3.)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    maps = [torch.randn(2, c, *size) for c, size in ((4, (9, 12)), (6, (5, 6)), (8, (3, 3)))]
    state = head.state_dict()

    def conv(x, name, padding=1):
        return F.conv2d(x, state[f'{name}.weight'], state[f'{name}.bias'], padding=padding)

    x = conv(maps[2], 'conv_list.0.conv', 0)
    for i, skip in ((1, maps[1]), (2, maps[0])):
        x = F.interpolate(x, skip.shape[2:], mode='bilinear', align_corners=True)
        x = torch.cat([x, skip], 1)
        for part in ('convA', 'convB'):
            x = F.leaky_relu(conv(x, f'conv_list.{i}.{part}.conv'), 0.01)
    x = conv(x, 'conv_depth')
    expected = 3 * torch.sigmoid(x) if scale_up else F.relu(x) + 2.
    torch.testing.assert_close(head(maps), expected)
    metas = [dict(img_shape=(18, 24))] * 2
    predicted = head.predict(maps, metas, {})
    torch.testing.assert_close(predicted, F.interpolate(
        expected.clamp(2, 3), (18, 24), mode='bilinear', align_corners=True))
    assert predicted.min() > 2 - 1e-5 and predicted.max() < 3 + 1e-5


def test_loss_is_at_the_truths_size():
    """The prediction is brought there, the corners kept."""
    head = DenseDepthHead([4, 4])
    truth = torch.rand(2, 1, 6, 8) + 1
    samples = [SegDataSample(gt_depth_map=PixelData(data=depth)) for depth in truth]
    small = torch.rand(2, 1, 3, 4) + 1
    loss = head.loss_by_feat(small, samples)
    large = F.interpolate(small, (6, 8), mode='bilinear', align_corners=True)
    torch.testing.assert_close(loss, dict(loss_depth=head.loss_decode(large, truth)))


def test_mistaken_depths():
    with pytest.raises(ValueError, match='min_depth=0, max_depth=10'):
        DenseDepthHead([4, 4], min_depth=0, max_depth=10)


# --- whole models --------------------------------------------------------------------------------


def batch_of(size, truth=None, count=2):
    torch.manual_seed(1)
    truth = 1 + 8 * torch.rand(1, *size) if truth is None else truth
    samples = [SegDataSample(gt_depth_map=PixelData(data=truth.clone()), metainfo=dict(
        ori_shape=size, img_shape=size, pad_shape=size)) for _ in range(count)]
    images = torch.randint(0, 256, (count, 3, *size), dtype=torch.uint8)
    return dict(inputs=list(images), data_samples=samples)


@pytest.mark.parametrize('depth', [0, math.nan])
def test_a_batch_without_a_valid_pixel(depth):
    """Costs nothing, and leaves gradients that are zero and there."""
    model = model_of(SMALL)
    batch = batch_of((64, 64), torch.full((1, 64, 64), float(depth)))
    loss, values = model.parse_losses(
        model(**model.data_preprocessor(batch, True), mode='loss'))
    loss.backward()
    assert loss.item() == 0 and set(values) == {'loss', 'decode.loss_depth'}
    assert all(p.grad is not None and not p.grad.any() for p in model.parameters())


def test_padding_is_no_depth():
    """Smaller images are filled up in training, and what is filled in costs nothing."""
    model = model_of(SMALL)
    data = model.data_preprocessor(batch_of((48, 56)), True)
    assert data['inputs'].shape[2:] == (64, 64)
    padded = data['data_samples'][0].gt_depth_map.data
    assert not padded[:, 48:].any() and not padded[..., 56:].any() and padded[:, :48, :56].all()


@pytest.mark.parametrize('size', [(64, 64), (70, 93)], ids=['even', 'odd'])
def test_predicts_any_size(size):
    model = model_of(SMALL)
    model.eval()
    with torch.no_grad():
        maps = model.extract_feat(torch.randn(2, 3, *size))
        assert [x.shape[2:] for x in maps] == [
            tuple(-(-n // stride) for n in size) for stride in (2, 4, 8, 16, 32)]
        first, second = model.test_step(batch_of(size))
    for sample in (first, second):
        depth = sample.pred_depth_map.data
        assert depth.shape == (1, *size) and depth.min() >= 1e-3 and depth.max() <= 10


def test_an_image_does_not_depend_on_the_others():
    model = model_of(SMALL)
    model.eval()
    images = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        together = model(images)
        torch.testing.assert_close(together[1:2], model(images[1:2]), rtol=1e-4, atol=1e-4)


def test_swap():
    """The head is a site with four steps, which a swap finds; backbone and neck are none."""
    cfg = Config.fromfile(SMALL)
    site, = list_sites(cfg)
    assert (site.path, site.host, site.slot) == (
        'decode_head', 'mmups.DenseDepthHead', 'mmups.DenseDepthHead')
    assert [str(step) for step in site.steps] == [
        '1 x 256, x2, guide 128', '1 x 128, x2, guide 64', '1 x 64, x2, guide 32',
        '1 x 32, x2, guide 32']
    swapped = swap_upsampler(cfg, 'fade')
    assert swapped.model.decode_head.upsampler.type == 'FADE'
    assert {**swapped.model.decode_head, 'upsampler': None} == {
        **cfg.model.decode_head, 'upsampler': None}


@pytest.mark.slow
@pytest.mark.parametrize('size', [(480, 640), (416, 544)], ids=str)
def test_sizes_of_the_paper(nyu, size):
    """Of pictures in tests and in training."""
    with torch.no_grad():
        out = nyu(torch.randn(1, 3, *size))
        assert out.shape == (1, 1, size[0] // 2, size[1] // 2) and out.isfinite().all()

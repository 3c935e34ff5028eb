"""CARAFE, FADE, IndexNet, A2U and SAPA: counts, keys, and each method by its formula in float64."""
import pytest
import torch
import torch.nn.functional as F

from mmups.models import build_upsampler

pytestmark = pytest.mark.usefixtures('every_backend')

# Upsampler at 256 channels (guide too): parameters, those of more than one dimension
COUNTS = [
    (dict(type='CARAFE'), 74148, 73984),
    (dict(type='IndexNet'), 2100224, 2099200),
    (dict(type='IndexNet', use_context=False), 527360, 526336),
    (dict(type='IndexNet', use_nonlinear=False), 16384, 16384),
    (dict(type='IndexNet', use_nonlinear=False, use_context=False), 4096, 4096),
    (dict(type='IndexNet', mode='m2o', use_nonlinear=False, use_context=False), 1048576, 1048576),
    (dict(type='IndexNet', mode='m2o', use_nonlinear=False), 4194304, 4194304),
    (dict(type='IndexNet', mode='m2o', use_context=False), 1312768, 1310720),
    (dict(type='IndexNet', mode='m2o'), 4458496, 4456448),
    (dict(type='IndexNet', mode='o2o', use_nonlinear=False, use_context=False), 4096, 4096),
    (dict(type='IndexNet', mode='o2o', use_nonlinear=False), 16384, 16384),
    (dict(type='IndexNet', mode='o2o', use_context=False), 7168, 5120),
    (dict(type='IndexNet', mode='o2o'), 19456, 17408),
    (dict(type='A2U'), 10790, 9728),
    (dict(type='FADE'), 47257, 47168),
    (dict(type='FADE', gating=True), 47514, 47424),
    (dict(type='FADELite'), 13075, 13025),
    (dict(type='FADELite', gating=True), 13332, 13281),
    (dict(type='SAPA', variant='inner'), 0, 0),
    (dict(type='SAPA'), 17472, 16384),
    (dict(type='SAPA', embedding_dim=64), 33920, 32768),
    (dict(type='SAPA', variant='gated'), 25953, 24832),
    (dict(type='SAPADeform'), 139808, 139264),
]

KEYS = {
    'CARAFE': ['channel_compressor.bias', 'channel_compressor.weight', 'content_encoder.bias',
               'content_encoder.weight'],
    'A2U': ['kernel_gen.bconv_U.1.bias', 'kernel_gen.bconv_U.1.weight',
            'kernel_gen.bconv_UP.1.bias', 'kernel_gen.bconv_UP.1.weight',
            'kernel_gen.bconv_V.1.bias', 'kernel_gen.bconv_V.1.weight',
            'kernel_gen.bnu.0.bias', 'kernel_gen.bnu.0.weight',
            'kernel_gen.bnv.0.bias', 'kernel_gen.bnv.0.weight'],
    'FADE': ['ker_generator.compressor_de.weight', 'ker_generator.compressor_en.bias',
             'ker_generator.compressor_en.weight', 'ker_generator.content_encoder.bias',
             'ker_generator.content_encoder.weight'],
    'IndexNet': ['index_net.indexnet.0.weight', 'index_net.indexnet.1.bias',
                 'index_net.indexnet.1.num_batches_tracked', 'index_net.indexnet.1.running_mean',
                 'index_net.indexnet.1.running_var', 'index_net.indexnet.1.weight',
                 'index_net.indexnet.3.weight'],
    'SAPA': ['k.bias', 'k.weight', 'norm_x.bias', 'norm_x.weight', 'norm_y.bias', 'norm_y.weight',
             'q.bias', 'q.weight'],
    'SAPADeform': ['k.bias', 'k.weight', 'offset.bias', 'offset.weight', 'q.bias', 'q.weight'],
}


def build(cfg, in_channels=256, guide_channels=256, **kwargs):
    return build_upsampler(cfg, in_channels, guide_channels, **kwargs)


def double(cfg, in_channels=32, guide_channels=32, std=0.3, **kwargs):
    """An upsampler in float64 with weights large enough for every term to matter."""
    module = build(cfg, in_channels, guide_channels, **kwargs).double().eval()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=std)
    for name, buffer in module.named_buffers():
        if 'running' in name:
            torch.nn.init.uniform_(buffer, 0.5, 1.5)
    return module


def maps(in_channels=32, guide_channels=32, h=3, w=4, scale=2):
    return (torch.randn(2, in_channels, h, w, dtype=torch.float64),
            torch.randn(2, guide_channels, scale * h, scale * w, dtype=torch.float64))


def reassembled(x, weights, k, groups=1, scale=2):
    """CARAFE's operator by unfold and einsum; ``weights`` (N, groups*k*k, s*h, s*w)."""
    n, c, h, w = x.shape
    windows = F.unfold(x, k, padding=k // 2).reshape(n, groups, c // groups, k * k, h, w)
    windows = windows.repeat_interleave(scale, -1).repeat_interleave(scale, -2)
    weights = weights.reshape(n, groups, k * k, scale * h, scale * w)
    return torch.einsum('ngckhw,ngkhw->ngchw', windows, weights).reshape(n, c, scale * h, scale * w)


def nearest(x, scale=2):
    return x.repeat_interleave(scale, -1).repeat_interleave(scale, -2)


def conv1x1(x, conv):
    out = torch.einsum('nchw,dc->ndhw', x, conv.weight.flatten(1))
    return out if conv.bias is None else out + conv.bias[:, None, None]


@pytest.mark.parametrize('cfg, parameters, weights', COUNTS)
def test_counts(cfg, parameters, weights):
    sizes = [p.numel() for p in build(cfg).parameters()]
    assert sum(sizes) == parameters
    assert sum(p.numel() for p in build(cfg).parameters() if p.dim() > 1) == weights


@pytest.mark.parametrize('name', KEYS)
def test_state_dict_keys(name):
    assert sorted(build(dict(type=name)).state_dict()) == KEYS[name]


GATE = ['gate_generator.conv.bias', 'gate_generator.conv.weight']


@pytest.mark.parametrize('cfg, keys', [
    (dict(type='FADE', gating=True), [*GATE, *KEYS['FADE']]),
    (dict(type='FADELite'), KEYS['FADE']),
    (dict(type='FADELite', gating=True), [*GATE, *KEYS['FADE']]),
    (dict(type='IndexNet', mode='m2o', use_nonlinear=False, use_context=False),
     [f'index_net.indexnet{i}.weight' for i in range(1, 5)]),
    (dict(type='SAPA', variant='inner'), []),
    (dict(type='SAPA', variant='gated'),
     sorted(f'{name}.{kind}' for name in ('gate', 'k', 'norm_x', 'norm_y', 'qx', 'qy')
            for kind in ('bias', 'weight'))),
], ids=str)
def test_state_dict_keys_of_variants(cfg, keys):
    assert sorted(build(cfg).state_dict()) == keys


@pytest.mark.parametrize('groups, scale, kernel', [(1, 2, 5), (4, 2, 3), (2, 3, 5)])
def test_carafe_formula(groups, scale, kernel):
    up = double(dict(type='CARAFE', up_group=groups, up_kernel=kernel, compressed_channels=8),
                scale_factor=scale)
    x, _ = maps()
    z = F.conv2d(conv1x1(x, up.channel_compressor), up.content_encoder.weight,
                 up.content_encoder.bias, padding=1)
    z = F.pixel_shuffle(z, scale)
    logits = z.reshape(2, groups, kernel**2, *z.shape[-2:])
    weights = logits.exp() / logits.exp().sum(2, keepdim=True)
    expected = reassembled(x, weights.reshape_as(z), kernel, groups, scale)
    torch.testing.assert_close(up(x), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize('name, gating, guide_channels', [
    ('FADE', False, 16), ('FADE', True, 32), ('FADELite', False, 16), ('FADELite', True, 32)])
def test_fade_formula(name, gating, guide_channels):
    """The paper's high-to-low form: the semi-shift convolution as four strided convolutions."""
    up = double(dict(type=name, gating=gating), guide_channels=guide_channels, std=0.1)
    x, guide = maps(guide_channels=guide_channels)
    generator = up.ker_generator
    conv = generator.content_encoder
    en, de = conv1x1(guide, generator.compressor_en), conv1x1(x, generator.compressor_de)

    def encode(z, padding, stride):
        z = F.pad(z, padding)
        return F.conv2d(z, conv.weight, conv.bias, stride=stride, groups=conv.groups)

    coarse = encode(de, (1, 1, 1, 1), 1)
    logits = torch.empty(2, 25, 6, 8, dtype=torch.float64)
    for row in (0, 1):
        for column in (0, 1):  # pads that put the window on that position of the 2x2 cell
            padding = (1 - column, column, 1 - row, row)
            logits[:, :, row::2, column::2] = encode(en, padding, 2) + coarse
    expected = reassembled(x, logits.softmax(1), 5)
    if gating:
        gate = nearest(conv1x1(x, up.gate_generator.conv)).sigmoid()
        expected = gate * guide + (1 - gate) * expected
    torch.testing.assert_close(up(x, guide), expected, rtol=0, atol=1e-10)
    assert up.includes_guide == gating


@pytest.mark.parametrize('nonlinear, context', [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize('mode', ['hin', 'm2o', 'o2o'])
def test_indexnet_formula(mode, nonlinear, context):
    up = double(dict(type='IndexNet', mode=mode, use_nonlinear=nonlinear, use_context=context),
                in_channels=6, guide_channels=6)
    x, guide = maps(6, 6)
    groups = 6 if mode == 'o2o' else 1

    def logits(net):
        first = net[0] if nonlinear else net
        out = F.conv2d(guide, first.weight, stride=2, padding=1 if context else 0, groups=groups)
        if nonlinear:
            norm = net[1]
            mean, var, weight, bias = (v[:, None, None] for v in (
                norm.running_mean, norm.running_var, norm.weight, norm.bias))
            out = ((out - mean) / (var + norm.eps).sqrt() * weight + bias).clamp(0, 6)
            out = F.conv2d(out, net[3].weight, groups=groups)
        return out

    index = torch.empty(2, 1 if mode == 'hin' else 6, 6, 8, dtype=torch.float64)
    for position in range(4):
        row, column = divmod(position, 2)
        if mode == 'hin':
            part = logits(up.index_net.indexnet)[:, position:position + 1]
        else:
            part = logits(getattr(up.index_net, f'indexnet{position + 1}'))
        index[:, :, row::2, column::2] = part.sigmoid()
    torch.testing.assert_close(up(x, guide), index * nearest(x), rtol=0, atol=1e-10)


def test_a2u_formula():
    """Sample by sample, with a convolution whose kernel is the sample's own."""
    up = double(dict(type='A2U'), in_channels=5, guide_channels=64)
    x, guide = maps(5, 64)
    gen = up.kernel_gen

    def side(y, pooled_conv, norm):
        kernel = conv1x1(F.adaptive_avg_pool2d(y, 6), pooled_conv[1])  # (1, 1, 6, 6)
        encoded = F.conv2d(y.transpose(0, 1), kernel, stride=2, padding=2).transpose(0, 1)
        return F.leaky_relu(F.group_norm(encoded, 32, norm[0].weight, norm[0].bias), 0.01)

    expected = []
    for x_b, y_b in zip(x.split(1), guide.split(1)):
        a, b = side(y_b, gen.bconv_U, gen.bnu), side(y_b, gen.bconv_V, gen.bnv)
        affinity = (a * b).sum(1, keepdim=True) / 64**0.5
        logits = conv1x1(y_b.mean((2, 3), keepdim=True), gen.bconv_UP[1]) * affinity
        weights = F.pixel_shuffle(logits, 2).sigmoid().softmax(1)
        expected.append(reassembled(x_b, weights, 3))
    torch.testing.assert_close(up(x, guide), torch.cat(expected), rtol=0, atol=1e-10)


def test_a2u_skips_the_downsampling_branch():
    up = build(dict(type='A2U'))
    state = up.state_dict()
    state['kernel_gen.bconv_DP.1.weight'] = torch.zeros(36, 256, 1, 1)
    state['kernel_gen.bconv_DP.1.bias'] = torch.zeros(36)
    up.load_state_dict(state, strict=True)


@pytest.mark.parametrize('variant, guide_channels, scale', [
    ('inner', 32, 2), ('base', 64, 2), ('gated', 64, 2), ('base', 32, 3)])
def test_sapa_formula(variant, guide_channels, scale):
    up = double(dict(type='SAPA', variant=variant), guide_channels=guide_channels, std=0.2,
                scale_factor=scale)
    x, guide = maps(guide_channels=guide_channels, scale=scale)
    if variant == 'inner':
        query, key = guide, x
    else:
        norm_x = F.group_norm(x, 32, up.norm_x.weight, up.norm_x.bias)
        norm_y = F.group_norm(guide, 32, up.norm_y.weight, up.norm_y.bias)
        key = conv1x1(norm_x, up.k)
        if variant == 'base':
            query = conv1x1(norm_y, up.q)
        else:
            gate = nearest(conv1x1(norm_x, up.gate).sigmoid(), scale)
            query = gate * conv1x1(norm_y, up.qy) + (1 - gate) * conv1x1(nearest(x, scale), up.qx)
    n, d, h, w = key.shape
    keys = F.unfold(key, 5, padding=2).reshape(n, d, 25, h, w)
    keys = keys.repeat_interleave(scale, -1).repeat_interleave(scale, -2)
    weights = torch.einsum('ndhw,ndkhw->nkhw', query, keys).softmax(1)
    torch.testing.assert_close(up(x, guide), reassembled(x, weights, 5, scale=scale), rtol=0,
                               atol=1e-10)


@pytest.mark.parametrize('high_offset', [True, False])
@pytest.mark.parametrize('points, groups, scale', [(2, 1, 2), (3, 2, 2), (1, 4, 3)])
@torch.no_grad()
def test_sapa_deform_formula(points, groups, scale, high_offset):
    """Pixel by pixel: points around the coarse pixel's centre, zero outside the map, x before y;
    one softmax over the points of a group."""
    dim, (h, w) = 2, (3, 2)
    up = double(dict(type='SAPADeform', num_points=points, groups=groups, embedding_dim=dim,
                     high_offset=high_offset), in_channels=8, guide_channels=6, std=0.8,
                scale_factor=scale)
    x, guide = maps(8, 6, h, w, scale)
    query, key, offset = (conv1x1(*pair) for pair in (
        (guide, up.q), (x, up.k), (x, up.offset)))
    offset = F.pixel_shuffle(offset, scale) if high_offset else nearest(offset, scale)

    def at(plane, row, column):
        """Bilinear value of (C, h, w)."""
        value = 0
        for i in range(h):
            for j in range(w):
                share = max(0, 1 - abs(row - i)) * max(0, 1 - abs(column - j))
                value = value + share * plane[:, i, j]
        return value

    expected = torch.empty(2, 8, scale * h, scale * w, dtype=torch.float64)
    for n in range(2):
        for g in range(groups):
            keys, values = (y[n].chunk(groups)[g] for y in (key, x))
            for i in range(scale * h):
                for j in range(scale * w):
                    moves = offset[n].chunk(groups)[g][:, i, j].reshape(points, 2).tolist()
                    places = [(i // scale + dy, j // scale + dx) for dx, dy in moves]
                    logits = torch.stack([query[n].chunk(groups)[g][:, i, j] @ at(keys, *place)
                                          for place in places])
                    expected[n].chunk(groups)[g][:, i, j] = sum(
                        weight * at(values, *place)
                        for weight, place in zip(logits.softmax(0), places))
    torch.testing.assert_close(up(x, guide), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize('high_offset', [True, False])
def test_sapa_deform_with_zero_offsets_is_nearest(high_offset):
    """All points on the centre of the coarse pixel: whatever their weights, its value."""
    up = double(dict(type='SAPADeform', high_offset=high_offset))
    torch.nn.init.zeros_(up.offset.weight)
    torch.nn.init.zeros_(up.offset.bias)
    x, guide = maps()
    torch.testing.assert_close(up(x, guide), nearest(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize('name', ['CARAFE', 'SAPA'])
def test_constant_map_at_the_border(name):
    """Mass that the zero border takes: the published code's 0.36 in the corner, 0.60 at edges."""
    ones = torch.ones(1, 256, 12, 12)
    out = build(dict(type=name))(ones, torch.zeros(1, 256, 24, 24))[0, 0]
    torch.testing.assert_close(out[[0, 0, 12], [0, 12, 12]], torch.tensor([0.36, 0.6, 1.0]),
                               rtol=0, atol=0.02)


@pytest.mark.parametrize('cfg, in_channels, guide_channels, message', [
    (dict(type='CARAFE', up_kernel=4), 32, None, 'up_kernel=4'),
    (dict(type='CARAFE', up_group=3), 32, None, 'up_group=3'),
    (dict(type='FADE', gating=True), 32, 16, 'guide_channels=16'),
    (dict(type='FADE', up_kernel=2), 32, 32, 'odd integer, got up_kernel=2'),
    (dict(type='IndexNet', mode='x'), 32, 32, "'hin', 'm2o' or 'o2o'"),
    (dict(type='IndexNet', mode='m2o'), 32, 16, 'guide_channels=16'),
    (dict(type='A2U'), 32, 48, 'divisible by 32'),
    (dict(type='SAPA'), 48, 32, 'norm=False'),
    (dict(type='SAPA', variant='inner'), 32, 64, 'guide_channels=64'),
    (dict(type='SAPA', variant='outer'), 32, 32, "'inner', 'base' or 'gated'"),
    (dict(type='SAPADeform', groups=3), 32, 32, 'groups=3'),
    (dict(type='FADE'), 32, None, 'needs a guide'),
])
def test_refusals(cfg, in_channels, guide_channels, message):
    with pytest.raises(ValueError, match=message):
        build(cfg, in_channels, guide_channels)


@pytest.mark.parametrize('name', ['IndexNet', 'A2U'])
def test_only_twice_the_size(name):
    with pytest.raises(ValueError, match='scale_factor=2 only, got scale_factor=3'):
        build(dict(type=name), scale_factor=3)


def test_indexnet_norm_is_the_users():
    up = build(dict(type='IndexNet', norm_cfg=dict(type='SyncBN')))
    assert isinstance(up.index_net.indexnet[1], torch.nn.SyncBatchNorm)


def test_sapa_without_norm_takes_any_width():
    up = build(dict(type='SAPA', norm=False), 48, 20)
    assert up(torch.randn(1, 48, 3, 3), torch.randn(1, 20, 5, 6)).shape == (1, 48, 5, 6)

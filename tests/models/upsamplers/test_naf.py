"""NAF: counts, keys, and its formulas pixel by pixel in float64."""
import math

import pytest
import torch
import torch.nn.functional as F
from mmengine.runner import save_checkpoint

from mmups.models import NAF


def pixels(x):
    return [(i, j) for i in range(x.shape[-2]) for j in range(x.shape[-1])]


def assemble(values, h, w):
    return torch.stack(values, dim=1).reshape(len(values[0]), h, w)


def mirrored(i, n):
    """The pixel that stands for one beyond the border, which is not repeated."""
    if n == 1:
        return 0
    return -i if i < 0 else 2 * (n - 1) - i if i >= n else i


def conv(layer, x):
    reach, (_, h, w) = layer.kernel_size[0] // 2, x.shape
    steps = range(-reach, reach + 1)
    return assemble([layer.bias + sum(
        layer.weight[:, :, reach + a, reach + b] @ x[:, mirrored(i + a, h), mirrored(j + b, w)]
        for a in steps for b in steps) for i, j in pixels(x)], h, w)


def norm_and_silu(layer, x):
    parts = []
    for part in x.chunk(8):
        centred = part - part.mean()
        parts.append(centred / (centred.square().mean() + 1e-5).sqrt())
    x = torch.cat(parts) * layer.weight[:, None, None] + layer.bias[:, None, None]
    return x / (1 + (-x).exp())


def branch(layers, x):
    x = conv(layers[0], x)
    for block in layers[1:]:
        x = conv(block.conv1, norm_and_silu(block.norm1, x))
        x = conv(block.conv2, norm_and_silu(block.norm2, x))
    return x


def pooled(x, n):
    _, h, w = x.shape
    return assemble([x[:, n * i:n * i + n, n * j:n * j + n].mean((1, 2))
                     for i in range(h // n) for j in range(w // n)], h // n, w // n)


def rotated(x):
    """Each head's channels i and i + 32 as a complex number, turned by the place in the map."""
    _, h, w = x.shape
    values = []
    for i, j in pixels(x):
        y, z = 2 * (i + 0.5) / h - 1, 2 * (j + 0.5) / w - 1
        periods = [100**(k / 16) for k in range(16)]
        angles = torch.tensor([2 * math.pi * place / period for place in (y, z)
                               for period in periods], dtype=x.dtype)
        heads = []
        for head in x[:, i, j].chunk(4):
            turned = torch.complex(*head.chunk(2)) * torch.polar(torch.ones_like(angles), angles)
            heads += [turned.real, turned.imag]
        values.append(torch.cat(heads))
    return assemble(values, h, w)


def attended(query, key, x, s, kernel_size=9):
    """Windows of the coarse map that are shifted inward at its border."""
    c, h, w = x.shape
    largest = min(kernel_size, *(n if n % 2 else n - 1 for n in (h, w)))
    values = []
    for i, j in pixels(query):
        top = min(max(i // s - largest // 2, 0), h - largest)
        left = min(max(j // s - largest // 2, 0), w - largest)
        parts = []
        for m in range(4):
            keys, maps = (y.chunk(4)[m][:, top:top + largest, left:left + largest].flatten(1)
                          for y in (key, x))
            q = query[:, i, j].chunk(4)[m]
            logits = q @ keys / len(q)**0.5
            parts.append(maps @ (logits.exp() / logits.exp().sum()))
        values.append(torch.cat(parts))
    return assemble(values, *query.shape[1:])


def upsampled(up, x, image, s, ratio):
    encoder = up.image_encoder
    query = torch.cat((branch(encoder.encoder, image), branch(encoder.sem_encoder, image)))
    query = rotated(pooled(query, ratio))
    return attended(query, pooled(query, s), x, s)


def double(in_channels, s, std=0.15):
    up = NAF(in_channels, s, 3, frozen=False).double()
    up.image_encoder.rope.periods.copy_(torch.tensor(
        [100**(k / 16) for k in range(16)], dtype=torch.float64))
    for parameter in up.parameters():
        torch.nn.init.normal_(parameter, std=std)
    return up


@pytest.mark.parametrize('s, ratio, size', [(2, 1, (3, 2)), (2, 2, (1, 3)), (3, 1, (2, 1))],
                         ids=str)
def test_formula(s, ratio, size):
    """Values, and gradients of the map, of the image and of every parameter."""
    up, (h, w) = double(8, s), size
    x = torch.randn(1, 8, h, w, dtype=torch.float64, requires_grad=True)
    image = torch.randn(1, 3, ratio * s * h, ratio * s * w, dtype=torch.float64,
                        requires_grad=True)
    out, expected = up(x, image), upsampled(up, x[0], image[0], s, ratio)[None]
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-10)
    variables, upstream = [x, image, *up.parameters()], torch.randn_like(out)
    for grad, reference in zip(torch.autograd.grad(out, variables, upstream),
                               torch.autograd.grad(expected, variables, upstream)):
        torch.testing.assert_close(grad, reference, rtol=1e-7, atol=1e-9)


def test_large_images_are_shrunk_to_four_times_the_output():
    """In height and in width, by bilinear interpolation."""
    up, x = double(4, 2), torch.randn(1, 4, 1, 2).double()
    image = torch.randn(1, 3, 12, 24).double()
    smaller = torch.empty(1, 3, 8, 16).double()
    for i in range(8):
        for j in range(16):
            row, column = (i + 0.5) * 1.5 - 0.5, (j + 0.5) * 1.5 - 0.5
            top, left = int(row), int(column)
            v, u = row - top, column - left
            square = image[0, :, top:top + 2, left:left + 2]
            weights = torch.tensor([1 - v, v])[:, None] * torch.tensor([1 - u, u])
            smaller[0, :, i, j] = (square * weights).sum((1, 2))
    torch.testing.assert_close(up(x, image), up(x, smaller), rtol=0, atol=1e-10)


def test_windows_are_shifted_inward():
    """On a map that is larger than a window."""
    up = double(4, 1)
    x, image = torch.randn(4, 11, 10).double(), torch.randn(1, 3, 11, 10).double()
    query = up.image_encoder(image, 1)[0]
    torch.testing.assert_close(up(x[None], image)[0], attended(query, query, x, 1), rtol=0,
                               atol=1e-10)


@pytest.mark.parametrize('size', [(28, 40), (25, 40), (27, 39)], ids=str)
def test_image_whose_borders_the_patches_exceed(size):
    """A ViT pads 100x160 to patches of 16, 7x10 of them: the image is extended by its border."""
    up = NAF(8, 4, 3)
    x, image = torch.randn(1, 8, 7, 10), torch.randn(1, 3, 100, 160)
    extended = F.pad(image, (0, 0, 0, 12), mode='replicate')
    out = up(x, image, size)
    assert out.shape[2:] == size
    torch.testing.assert_close(out, up(x, extended)[..., :size[0], :size[1]])
    with pytest.raises(ValueError, match=r'\(28, 40\), and 4 times that, .* guide of size \(100, '
                                         r'140\): each side may differ by less than 16'):
        up(x, image[..., :140])


@pytest.mark.parametrize('s', [1, 2, 4])
def test_constant_maps_stay_constant(s):
    up = double(8, s)
    out = up(torch.ones(1, 8, 3, 4).double(), torch.randn(1, 3, 3 * s, 4 * s).double())
    torch.testing.assert_close(out, torch.ones_like(out))


BLOCK = {'norm1.weight': (128, ), 'norm1.bias': (128, ), 'norm2.weight': (128, ),
         'norm2.bias': (128, ), 'conv1.bias': (128, ), 'conv2.bias': (128, )}


def test_the_authors_keys(tmp_path):
    """Of one set of weights for maps of any width, as a user's ``init_cfg`` loads it."""
    shapes = {'image_encoder.rope.periods': (16, )}
    for name, k in (('encoder', 1), ('sem_encoder', 3)):
        prefix = f'image_encoder.{name}.'
        shapes.update({f'{prefix}0.weight': (128, 3, k, k), f'{prefix}0.bias': (128, )})
        block = {**BLOCK, 'conv1.weight': (128, 128, k, k), 'conv2.weight': (128, 128, k, k)}
        shapes.update({f'{prefix}{i}.{key}': shape for i in (1, 2) for key, shape in block.items()})
    weights = {key: torch.rand(shape) for key, shape in shapes.items()}
    assert sum(value.numel() for value in weights.values()) == 662528 + 16
    save_checkpoint(weights, str(tmp_path / 'naf.pth'))
    for channels in (8, 384):
        up = NAF(channels, 4, 3)
        up.load_state_dict(weights, strict=True)
        assert sum(p.numel() for p in up.parameters()) == 662528
        up = NAF(channels, 4, 3, init_cfg=dict(type='Pretrained',
                                               checkpoint=str(tmp_path / 'naf.pth')))
        up.init_weights()
        for key, value in up.state_dict().items():
            assert torch.equal(value, weights[key]), key


def test_frozen_unless_it_is_not_to_be():
    """The gradient of the map passes either way."""
    for frozen in (True, False):
        up = NAF(8, 2, 3, frozen=frozen)
        assert [p.requires_grad for p in up.parameters()] == (
            [not frozen] * len(list(up.parameters())))
        x = torch.randn(1, 8, 2, 3, requires_grad=True)
        up(x, torch.randn(1, 3, 4, 6)).sum().backward()
        assert x.grad.any()
    assert all(not p.requires_grad for p in NAF(8, 2, 3).parameters())


def test_heads_share_the_channels():
    with pytest.raises(ValueError, match='divisible by 4.*in_channels=6'):
        NAF(6, 2, 3)

"""The steps of each upsampler's inference, with mmups's fused operators, for the roofline model."""
import math
from collections.abc import Callable
from dataclasses import replace

from torch import nn

from .roofline_steps import (
    FLOAT32,
    Maps,
    Step,
    attend_neighbours,
    bilinear,
    clamped_attention,
    convolution,
    deform_attend,
    deform_query_key,
    depthwise_transposed,
    elementwise,
    matrix_product,
    nearest,
    query_key,
    reassemble,
    sample_dynamic,
    sharpen,
)

NORM_MACS = 5  # per number, as mmengine counts group norms


def _conv(maps: Maps, layer: nn.Conv2d, outputs: int) -> Step:
    return convolution(maps, layer.weight, outputs * layer.stride[0]**2, outputs, layer.groups)


def _norm(maps: Maps, pixels: int) -> Step:
    numbers = maps.channels * pixels
    return elementwise('group norm', 3 * numbers, NORM_MACS * numbers, maps.element)


def _softmax_and_reassemble(maps: Maps, kernel_size: int, groups: int = 1) -> list[Step]:
    return [elementwise('softmax', 2 * groups * kernel_size**2 * maps.fine),
            reassemble(maps, kernel_size, groups)]


# --- the methods ---------------------------------------------------------------------------------


def _interpolate(module: nn.Module, maps: Maps) -> list[Step]:
    if module.mode == 'bilinear':
        return [bilinear(maps)]
    if not module.mode.startswith('nearest'):
        raise ValueError(f"formulas are there for 'nearest' and 'bilinear', got {module.mode=}")
    return [nearest(maps)]


def _dysample(module: nn.Module, maps: Maps) -> list[Step]:
    if module.static:
        return [sample_dynamic(maps, module.groups)]
    pixels = maps.coarse if module.style == 'lp' else maps.fine
    offsets = 2 * module.groups * maps.fine
    layers, passes, products = [module.offset], 4, 1  # scaled, moved
    if module.scope is not None:
        layers, passes, products = [module.offset, module.scope], 9, 2  # also a sigmoid, a product
    return [*(_conv(maps, layer, pixels) for layer in layers),
            elementwise('range of offsets', passes * offsets, products * offsets),
            sample_dynamic(maps, module.groups)]


def _carafe(module: nn.Module, maps: Maps) -> list[Step]:
    return [_conv(maps, module.channel_compressor, maps.coarse),
            _conv(maps, module.content_encoder, maps.coarse),
            *_softmax_and_reassemble(maps, module.up_kernel, module.up_group)]


def _dlu(module: nn.Module, maps: Maps) -> list[Step]:
    taps = module.up_kernel**2
    layers = module.channel_compressor, module.kernel_space_generator, module.conv_offset
    kernels = replace(maps, channels=taps, element=FLOAT32)
    return [*(_conv(maps, layer, maps.coarse) for layer in layers),
            elementwise('softmax', 2 * taps * maps.coarse), sample_dynamic(kernels, groups=1),
            elementwise('order of weights', 2 * taps * maps.fine),
            reassemble(maps, module.up_kernel)]


def _fade(module: nn.Module, maps: Maps) -> list[Step]:
    made, taps = module.ker_generator, module.up_kernel**2
    found = [_conv(maps, made.compressor_de, maps.coarse),
             _conv(maps, made.content_encoder, maps.coarse),
             _conv(maps, made.compressor_en, maps.fine),
             _conv(maps, made.content_encoder, maps.fine),
             elementwise('sum of logits', taps * (maps.coarse + 4 * maps.fine)),
             elementwise('order of logits', 2 * taps * maps.fine),
             *_softmax_and_reassemble(maps, module.up_kernel)]
    if module.gate_generator is not None:
        mixed = maps.channels * maps.fine
        found += [_conv(maps, module.gate_generator.conv, maps.coarse),
                  elementwise('gate', maps.coarse + 3 * maps.fine),
                  elementwise('mixture', 3 * mixed + maps.fine, mixed, maps.element)]
    return found


def _sapa(module: nn.Module, maps: Maps) -> list[Step]:
    if module.variant == 'inner':
        found, embedding = [], maps.channels
    else:
        embedding = module.k.out_channels
        layers = [(module.k, maps.coarse)]
        if module.variant == 'base':
            layers += [(module.q, maps.fine)]
        else:
            layers += [(module.qy, maps.fine), (module.qx, maps.coarse), (module.gate, maps.coarse)]
        found = [_norm(maps, maps.coarse), _norm(maps, maps.fine),
                 *(_conv(maps, layer, pixels) for layer, pixels in layers)]
        if module.variant == 'gated':
            numbers = (embedding + 1) * (3 * maps.coarse + maps.fine)
            found += [elementwise('coarse queries', numbers, element=maps.element),
                      elementwise('mixture', (3 * embedding + 1) * maps.fine,
                                  embedding * maps.fine, maps.element)]
    return [*found, query_key(maps, module.up_kernel, embedding),
            *_softmax_and_reassemble(maps, module.up_kernel)]


def _sapa_deform(module: nn.Module, maps: Maps) -> list[Step]:
    groups = module.groups
    points = module.offset.out_channels // (2 * groups * (4 if module.high_offset else 1))
    brought = maps.fine if module.high_offset else maps.coarse
    return [_conv(maps, module.q, maps.fine), _conv(maps, module.k, maps.coarse),
            _conv(maps, module.offset, maps.coarse),
            elementwise('offsets of fine pixels', 2 * groups * points * (brought + maps.fine)),
            deform_query_key(maps, points, groups, module.q.out_channels),
            elementwise('softmax', 2 * groups * points * maps.fine),
            deform_attend(maps, points, groups)]


def _lda_aqu(module: nn.Module, maps: Maps) -> list[Step]:
    taps, groups, heads = module.up_kernel**2, module.groups, module.heads
    embedding, blocks = module.proj_q.out_channels, math.lcm(groups, heads)
    queries = replace(maps, channels=embedding)
    to_hidden, _, _, to_shift = module.conv_offset
    table = module.relative_position_bias_table.reshape(heads * taps, -1, 1, 1)
    shifts = 2 * groups * taps * maps.fine
    return [_norm(maps, maps.coarse), _conv(maps, module.proj_q, maps.coarse),
            _conv(maps, module.proj_k, maps.coarse), bilinear(queries),
            _conv(maps, to_hidden, groups * maps.fine), _norm(queries, maps.fine),
            elementwise('activation', 2 * embedding * maps.fine, element=maps.element),
            _conv(maps, to_shift, groups * maps.fine),
            elementwise('points', 6 * shifts, 2 * shifts),
            deform_query_key(maps, taps, blocks, embedding),
            convolution(maps, table, maps.fine, maps.fine, heads),
            elementwise('logits', (blocks + 2 * heads) * taps * maps.fine,
                        heads * taps * maps.fine),
            elementwise('softmax', (heads + blocks) * taps * maps.fine),
            deform_attend(maps, taps, blocks)]


def _paired_difference(module: nn.Module, maps: Maps, keys: Maps) -> list[Step]:
    _, mix, _, _, to_scores = module.channel_compressor
    fine, hidden = maps.fine, replace(maps, channels=len(module.weight))
    own = module.weight[:, :, :1, :1]
    return [_norm(keys, fine), _norm(keys, fine),
            convolution(maps, module.weight, fine, fine, mix.groups),
            convolution(maps, own, fine, fine, mix.groups),
            elementwise('difference', 4 * hidden.channels * fine, element=maps.element),
            _conv(maps, mix, fine),
            elementwise('activation', 2 * hidden.channels * fine, element=maps.element),
            _norm(hidden, fine), _conv(maps, to_scores, fine)]


def _resfu(module: nn.Module, maps: Maps) -> list[Step]:
    keys = replace(maps, channels=module.k.out_channels)
    numbers = keys.channels * maps.fine
    smaller = numbers / module.GF.step**2
    return [_norm(maps, maps.fine), _conv(maps, module.q, maps.fine),
            _norm(maps, maps.coarse), _conv(maps, module.k, maps.coarse), bilinear(keys),
            elementwise('fit', 24 * smaller, 7 * smaller),
            elementwise('guided filter', 2 * smaller + 4 * numbers, 9 * numbers),
            elementwise('smoothing', 4 * numbers, 4 * numbers, maps.element),
            *_paired_difference(module.semantic_scores, maps, keys),
            *_paired_difference(module.detail_scores, maps, keys),
            elementwise('softmax', 4 * 9 * maps.fine), attend_neighbours(maps, 9)]


def _freqfusion(module: nn.Module, maps: Maps) -> list[Step]:
    points, fine, coarse = module.dysampler, maps.fine, maps.coarse
    width = module.hr_channel_compressor.out_channels
    compressed = replace(maps, channels=width)
    found = [_conv(maps, module.hr_channel_compressor, fine),
             _conv(maps, module.lr_channel_compressor, coarse)]
    for layer, kernel_size in ((module.content_encoder, 5), (module.content_encoder2, 3)):
        taps = kernel_size**2
        logits = replace(maps, channels=taps)
        found += [_conv(maps, layer, fine), _conv(maps, layer, coarse), reassemble(logits, 5),
                  elementwise('sum of logits', 3 * taps * fine),
                  elementwise('softmax', 2 * 2 * taps * fine)]
    found += [elementwise('order of kernels', 2 * 2 * 25 * fine), reassemble(maps, 5),
              sharpen(compressed, 3), sharpen(maps, 3)]
    for pixels, norm, layers in (
            (coarse, points.norm_lr, (points.offset, points.direct_scale)),
            (fine, points.norm_hr, (points.hr_offset, points.hr_direct_scale))):
        if isinstance(norm, nn.GroupNorm):
            found += [_norm(compressed, pixels)]
        found += [elementwise('similarities', (3 * width + 8) * pixels, 8 * width * pixels)]
        if points.similarity == 'concat':
            found += [elementwise('two maps as one', 2 * (width + 8) * pixels,
                                  element=maps.element)]
        found += [_conv(maps, layer, pixels) for layer in layers]
    moves = 2 * points.groups * fine
    return [*found, elementwise('range of offsets', 7 * moves, 2 * moves),
            sample_dynamic(maps, points.groups, scale_factor=1),
            elementwise('sum', 3 * maps.channels * fine, element=maps.element)]


def _a2u(module: nn.Module, maps: Maps) -> list[Step]:
    guide, numbers = maps.channels * maps.fine, maps.channels * maps.coarse
    narrowed = maps.batch * maps.channels * 6 * 2 * maps.width  # 6 rows of the guide's columns
    pool = elementwise('means of 6x6 cells', guide, 6 * (guide + narrowed), maps.element)
    encode = Step('depthwise convolution', 36 * numbers, maps.element * (guide + numbers))
    act = elementwise('leaky ReLU', 2 * numbers, element=maps.element)
    return [elementwise('mean', guide, guide, maps.element), pool,
            elementwise('rows of channels', 2 * guide, element=maps.element), encode, encode,
            *2 * [_norm(maps, maps.coarse), act],
            elementwise('affinity', 4 * numbers, numbers),
            elementwise('logits', 4 * 9 * maps.fine, 9 * maps.fine),
            *_softmax_and_reassemble(maps, 3)]


def _indexnet(module: nn.Module, maps: Maps) -> list[Step]:
    found, made = [], 0
    for layer in module.index_net.modules():
        if isinstance(layer, nn.Conv2d):
            found.append(_conv(maps, layer, maps.coarse))
            made += layer.out_channels * maps.coarse
        elif isinstance(layer, nn.modules.batchnorm._BatchNorm):
            numbers = layer.num_features * maps.coarse  # and the ReLU6 behind it
            made -= numbers
            found.append(elementwise('norm and ReLU', 4 * numbers, 2 * numbers, maps.element))
    product = maps.channels * maps.fine
    return [*found, elementwise('index map', 4 * made, element=maps.element),
            nearest(maps),
            elementwise('product', 2 * product + made, product, maps.element)]


def _lctc(module: nn.Module, maps: Maps) -> list[Step]:
    weight = module.large.weight  # the small kernel is added to it
    if module.large.groups == maps.channels:
        return [depthwise_transposed(maps, weight.shape[-1])]
    return [convolution(maps, weight, maps.coarse, maps.fine, module.large.groups)]


def _fft(module: nn.Module, maps: Maps) -> list[Step]:
    """Two products with matrices, which are as small as a row of the map."""
    tall = 2 * maps.coarse  # rows first
    return [matrix_product(maps, maps.coarse, tall, maps.height),
            matrix_product(maps, tall, maps.fine, maps.width)]


def _freq_avg_up(module: nn.Module, maps: Maps) -> list[Step]:
    """As many channels as maps come in with; what is added and mixed is float32."""
    fine, coarse = maps.channels * maps.fine, maps.channels * maps.coarse
    return [_conv(maps, module.body, maps.coarse),
            elementwise('mean of phases', 3 * fine + 2 * coarse), *_fft(module, maps),
            elementwise('shuffle', 2 * fine), elementwise('mixture', 3 * fine, 2 * fine)]


def _deconv(module: nn.Module, maps: Maps) -> list[Step]:
    return [convolution(maps, module.weight, maps.coarse, maps.fine)]


def _pixel_shuffle(module: nn.Module, maps: Maps) -> list[Step]:
    return [_conv(maps, module.get_submodule('0'), maps.coarse),
            elementwise('shuffle', 2 * maps.channels * maps.fine, element=maps.element)]


def _naf(module: nn.Module, maps: Maps) -> list[Step]:
    """With an image of as many pixels as the output has, and as many channels."""
    fine, encoder = maps.fine, module.image_encoder
    found, embedding = [], 0
    for branch in (encoder.encoder, encoder.sem_encoder):
        made = replace(maps, channels=branch[0].out_channels)
        embedding += made.channels
        for layer in branch.modules():
            if isinstance(layer, nn.Conv2d):
                found += [_conv(maps, layer, fine)]
                if layer.kernel_size != (1, 1):
                    numbers = layer.in_channels * fine
                    found += [elementwise('borders', 2 * numbers, element=maps.element)]
            elif isinstance(layer, nn.GroupNorm):
                found += [_norm(made, fine),
                          elementwise('SiLU', 2 * made.channels * fine, element=maps.element)]
    return [*found, elementwise('two maps as one', 2 * embedding * fine, element=maps.element),
            elementwise('rotation', 2 * embedding * fine, 2 * embedding * fine),
            elementwise('keys', embedding * (fine + maps.coarse), embedding * fine),
            clamped_attention(maps, 9, 4, embedding)]


#: Type of an upsampler -> its steps.
FORMULAS: dict[str, Callable[[nn.Module, Maps], list[Step]]] = dict(
    Interpolate=_interpolate, Deconv=_deconv, PixelShuffle=_pixel_shuffle, DySample=_dysample,
    CARAFE=_carafe, DLU=_dlu, IndexNet=_indexnet, A2U=_a2u, FADE=_fade, FADELite=_fade, SAPA=_sapa,
    SAPADeform=_sapa_deform, LDAAQU=_lda_aqu, ReSFU=_resfu, FreqFusion=_freqfusion, LCTC=_lctc,
    FFTUpsample=_fft, FreqAvgUp=_freq_avg_up, NAF=_naf)

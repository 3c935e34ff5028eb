"""The slots in mmseg's necks and backbones."""
import torch

from .case import C, SlotCase

BACKBONE = (8, 16, 24, 32)


def on_image(module, maps):
    return module(maps[0])


def finest_first(module, maps):
    """For hosts whose last output is the fused one."""
    return module(tuple(maps))[::-1]


def finest_first_on_image(module, maps):
    return module(maps[0])[::-1]


def pyramid_sizes(stride):
    """Size of the first output for an image, with convolutions that round up."""
    return lambda maps: tuple(-(-n // stride) for n in maps[0].shape[2:])


def fast_scnn_size(maps):
    """Its first convolution has no padding."""
    return tuple(((n - 1) // 2 + 3) // 4 for n in maps[0].shape[2:])


def larger(factor):
    return lambda maps: tuple(factor * n for n in maps[0].shape[2:])


def same_size(channels, count):
    return lambda size, rounding: [torch.randn(2, channels, *size) for _ in range(count)]


def map_and_image(size, rounding):
    """Of a ViT with patches of 8 pixels; odd maps are of images that are no multiple. The
    neck itself has no parameters."""
    pixels = [8 * n - n % 2 * 3 for n in size]
    return [torch.randn(2, C, *size).requires_grad_(), torch.randn(2, 3, *pixels)]


def hr_stage(*channels, modules=1):
    return dict(num_modules=modules, num_branches=len(channels), block='BASIC',
                num_blocks=(1, ) * len(channels), num_channels=channels)


HR_EXTRA = dict(stage1=dict(num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(1, ),
                            num_channels=(8, )),
                stage2=hr_stage(32, 32), stage3=hr_stage(32, 32, 32),
                stage4=hr_stage(32, 32, 32, 16))
UNET = dict(type='mmups.UNet', base_channels=32, num_stages=2, strides=(1, 1), enc_num_convs=(1, 1),
            dec_num_convs=(1, ), downsamples=(True, ), enc_dilations=(1, 1), dec_dilations=(1, ))

CASES = [
    SlotCase('SegFPN', 'mmseg.FPN',
             dict(type='mmups.SegFPN', in_channels=list(BACKBONE), out_channels=C, num_outs=4),
             BACKBONE, 3, same_as_host=dict(mode='nearest'), options=dict(
                 start=dict(start_level=1, num_outs=3),
                 end=dict(start_level=1, end_level=3, num_outs=2),
                 pooled=dict(num_outs=6),
                 on_input=dict(num_outs=6, add_extra_convs='on_input'),
                 on_lateral=dict(num_outs=6, add_extra_convs='on_lateral',
                                 relu_before_extra_convs=True),
                 extra=dict(num_outs=5, add_extra_convs=True),
                 extra_on_input=dict(num_outs=5, add_extra_convs=True, extra_convs_on_inputs=True),
                 norm=dict(norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU'),
                           no_norm_on_lateral=True))),
    SlotCase('UNet', 'mmseg.UNet', dict(UNET, upsample_cfg=dict(type='mmseg.InterpConv')), (3, ), 1,
             same_as_host=dict(mode='bilinear'), host_odd=False, call=finest_first_on_image,
             options=dict(
                 strided=dict(strides=(1, 2), downsamples=(False, )),
                 conv_first=dict(upsample_cfg=dict(type='mmseg.InterpConv', conv_first=True)),
                 conv_3x3=dict(upsample_cfg=dict(type='mmseg.InterpConv', kernel_size=3,
                                                 padding=1)),
                 deep=dict(num_stages=4, strides=(1, 1, 2, 1), enc_num_convs=(1, ) * 4,
                           dec_num_convs=(1, ) * 3, downsamples=(True, True, False),
                           enc_dilations=(1, 1, 1, 2), dec_dilations=(1, 2, 1)),
                 checkpointed=dict(with_cp=True))),
    SlotCase('UNet-deconv', 'mmseg.UNet',
             dict(UNET, upsample_cfg=dict(type='mmseg.DeconvModule')), (3, ), 1,
             host_odd=False, call=finest_first_on_image),
    # mmseg resizes twice: x2, x4, x8 and then to the finer branch, which differ on odd sizes.
    SlotCase('SegHRNet', 'mmseg.HRNet', dict(type='mmups.SegHRNet', extra=HR_EXTRA), (3, ), 15,
             size=(64, 96), odd_size=(75, 117), call=on_image, finest=pyramid_sizes(4),
             options=dict(
                 one_scale=dict(multiscale_output=False),
                 frozen=dict(frozen_stages=2, norm_eval=True),
                 modules=dict(extra=dict(HR_EXTRA, stage3=hr_stage(32, 32, 32, modules=2))))),
    SlotCase('Feature2Pyramid', 'mmseg.Feature2Pyramid',
             dict(type='mmups.Feature2Pyramid', embed_dim=C, norm_cfg=dict(type='BN')), (), 3,
             guided=False, takes_init_cfg=False, inputs=same_size(C, 4), finest=larger(4),
             options=dict(from_x2=dict(rescales=[2, 1, 0.5, 0.25]))),
    # x4 in one step, for which Deconv's default kernel is too small.
    SlotCase('MultiLevelNeck', 'mmseg.MultiLevelNeck',
             dict(type='mmups.MultiLevelNeck', in_channels=[8, 16, 24, 32], out_channels=C,
                  scales=[4, 2, 1, 0.5]), (), 2, guided=False, takes_init_cfg=False,
             same_as_host=dict(mode='bilinear'), unfit=('Deconv', ),
             inputs=lambda size, rounding: [torch.randn(2, c, *size) for c in (8, 16, 24, 32)],
             finest=larger(4), options=dict(
                 order=dict(scales=[0.5, 1.5, 2.0, 3]),
                 norm=dict(norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU')))),
    SlotCase('MultiLevelNeck-single', 'mmseg.MultiLevelNeck',
             dict(type='mmups.MultiLevelNeck', in_channels=[8], out_channels=C,
                  scales=[2, 1]), (), 1, guided=False, takes_init_cfg=False,
             same_as_host=dict(mode='bilinear'), inputs=same_size(8, 1), finest=larger(2)),
    SlotCase('ImageGuidedNeck', 'mmups.ImageGuidedNeck',
             dict(type='mmups.ImageGuidedNeck', in_channels=C, patch_size=8, channels=(8, C)),
             (), 1, same_as_host=dict(mode='bilinear'), inputs=map_and_image, size=(8, 12),
             odd_size=(7, 9), finest=lambda maps: tuple(-(-n // 4) for n in maps[1].shape[2:])),
    SlotCase('JPU', 'mmseg.JPU',
             dict(type='mmups.JPU', in_channels=BACKBONE[1:], mid_channels=C), BACKBONE[1:], 3,
             same_as_host=dict(mode='bilinear'), call=finest_first, options=dict(
                 start=dict(start_level=1), end=dict(end_level=2),
                 dilations=dict(dilations=(1, 3)))),
    SlotCase('ICNeck', 'mmseg.ICNeck',
             dict(type='mmups.ICNeck', in_channels=(C, C, C), out_channels=C), (C, C, C), 2,
             same_as_host=dict(mode='bilinear'), call=finest_first),
    SlotCase('BiSeNetV1', 'mmseg.BiSeNetV1',
             dict(type='mmups.BiSeNetV1', context_channels=(32, 64, 128), out_channels=C,
                  spatial_channels=(8, 8, 8, 32),
                  backbone_cfg=dict(type='mmseg.ResNet', depth=18, base_channels=16)), (3, ), 2,
             same_as_host=dict(mode='nearest'), size=(64, 96), odd_size=(75, 117), call=on_image,
             finest=pyramid_sizes(8), options=dict(indices=dict(out_indices=(2, 0)))),
    SlotCase('BiSeNetV2', 'mmseg.BiSeNetV2',
             dict(type='mmups.BiSeNetV2', detail_channels=(8, 8, C), bga_channels=C,
                  semantic_channels=(8, 8, C, C)), (3, ), 4, same_as_host=dict(mode='bilinear'),
             size=(64, 96), odd_size=(75, 117), call=on_image, finest=pyramid_sizes(8),
             options=dict(indices=dict(out_indices=(2, 0)))),
    SlotCase('FastSCNN', 'mmseg.FastSCNN',
             dict(type='mmups.FastSCNN', downsample_dw_channels=(8, 8), global_in_channels=C,
                  global_block_channels=(C, C, C), global_out_channels=C, higher_in_channels=C,
                  lower_in_channels=C, fusion_out_channels=C), (3, ), 2,
             same_as_host=dict(mode='bilinear'), size=(64, 96), odd_size=(75, 117),
             call=finest_first_on_image, finest=fast_scnn_size, options=dict(
                 indices=dict(out_indices=(2, 0)),
                 strides=dict(global_block_strides=(1, 2, 2)))),
    SlotCase('DDRNet', 'mmseg.DDRNet', dict(type='mmups.DDRNet', channels=16, ppm_channels=8),
             (3, ), 6, same_as_host=dict(mode='bilinear'), host_odd=False, size=(64, 96),
             odd_size=(75, 117), call=on_image, finest=pyramid_sizes(8)),
    SlotCase('PIDNet', 'mmseg.PIDNet',
             dict(type='mmups.PIDNet', channels=32, ppm_channels=8, num_branch_blocks=1), (3, ), 12,
             same_as_host=dict(mode='bilinear'), host_odd=False, size=(64, 96),
             odd_size=(75, 117), call=on_image, finest=pyramid_sizes(8), takes_init_cfg=False,
             bfloat16_error=0.1,
             options=dict(large=dict(num_stem_blocks=3))),
    SlotCase('STDCContextPathNet', 'mmseg.STDCContextPathNet',
             dict(type='mmups.STDCContextPathNet', last_in_channels=(64, 32), out_channels=C,
                  ffm_cfg=dict(in_channels=64, out_channels=16),
                  backbone_cfg=dict(type='mmseg.STDCNet', stdc_type='STDCNet1', in_channels=3,
                                    channels=(8, 8, 32, 32, 64), bottleneck_type='cat',
                                    norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU'),
                                    with_final_conv=False)), (3, ), 2,
             same_as_host=dict(mode='nearest'), size=(64, 96), odd_size=(75, 117),
             call=finest_first_on_image, finest=pyramid_sizes(8)),
    SlotCase('ERFNet', 'mmseg.ERFNet',
             dict(type='mmups.ERFNet', enc_downsample_channels=(32, 64, 128), dropout_ratio=0,
                  enc_stage_non_bottlenecks=(1, 2), enc_non_bottleneck_dilations=(2, 4),
                  enc_non_bottleneck_channels=(64, 128), dec_upsample_channels=(64, 32),
                  dec_stages_non_bottleneck=(1, 1), dec_non_bottleneck_channels=(64, 32)),
             (3, ), 2, call=on_image, finest=pyramid_sizes(2)),
]

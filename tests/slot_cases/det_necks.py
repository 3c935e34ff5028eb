"""The slots in mmdet's necks."""
import torch
from torch import nn

from .case import C, SlotCase, pyramid

BACKBONE = (8, 16, 24, 32)
NEAREST, BILINEAR = dict(mode='nearest'), dict(mode='bilinear')
FPN = dict(in_channels=list(BACKBONE), out_channels=C, num_outs=5)
NORM_ACT = dict(norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU'))
FPN_OPTIONS = dict(
    start=dict(start_level=1, num_outs=3),
    end=dict(start_level=1, end_level=2, num_outs=2),
    pooled=dict(num_outs=6),
    on_input=dict(start_level=1, num_outs=5, add_extra_convs=True),
    on_lateral=dict(num_outs=6, add_extra_convs='on_lateral'),
    on_output=dict(num_outs=7, add_extra_convs='on_output', relu_before_extra_convs=True),
    norm=dict(NORM_ACT, no_norm_on_lateral=True),
)


def rounded_up(channels):
    """For hosts that halve maps again: a strided convolution rounds up."""
    return lambda size, rounding: pyramid(channels, size)


def finest_first(module, maps):
    """For hosts whose last output is the finest one."""
    return module(tuple(maps))[::-1]


def seeded(module, maps):
    """For hosts that draw random numbers."""
    torch.manual_seed(2)
    return module(tuple(maps))


class RecursiveBackbone(nn.Module):
    """As small as a backbone for mmdet's RFP may be."""

    def __init__(self):
        super().__init__()
        self.image = nn.ModuleList(nn.Conv2d(3, c, 1) for c in BACKBONE)
        self.feedback = nn.ModuleList(nn.Conv2d(C, c, 1) for c in BACKBONE)

    def init_weights(self):
        pass

    def rfp_forward(self, x, feats):
        maps = []
        for image, feedback, feat in zip(self.image, self.feedback, feats):
            resized = nn.functional.interpolate(x, size=feat.shape[2:])
            maps.append(image(resized) + feedback(feat))
        return maps


def image_and_maps(size, rounding):
    return [torch.randn(2, 3, *size), *pyramid(BACKBONE, size, rounding)]


CASES = [
    SlotCase('PAFPN', 'mmdet.PAFPN', dict(FPN, type='mmups.PAFPN'), BACKBONE, 3,
             same_as_host=NEAREST, options=FPN_OPTIONS, inputs=rounded_up(BACKBONE)),
    SlotCase('FPN_DropBlock', 'mmdet.FPN_DropBlock', dict(FPN, type='mmups.FPN_DropBlock'),
             BACKBONE, 3, same_as_host=NEAREST, call=seeded, options=dict(
                 FPN_OPTIONS,
                 no_plugin=dict(plugin=None),
                 plugin=dict(plugin=dict(type='mmdet.DropBlock', drop_prob=0.1, block_size=5)))),
    # With what it is for learned (CARAFE has no CPU kernel), or an interpolation of its own.
    SlotCase('FPN_CARAFE', 'mmdet.FPN_CARAFE',
             dict(FPN, type='mmups.FPN_CARAFE', upsample_cfg=dict(type='nearest')), BACKBONE, 4,
             takes_init_cfg=False, host_odd=False,
             options=dict(start=dict(start_level=1), order=dict(
                 norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU'),
                 order=('act', 'conv', 'norm')))),
    SlotCase('YOLOXPAFPN', 'mmdet.YOLOXPAFPN',
             dict(type='mmups.YOLOXPAFPN', in_channels=[32, 64, 48], out_channels=16,
                  num_csp_blocks=1),
             (32, 64, 48), 2, same_as_host=NEAREST, host_odd=False,
             inputs=rounded_up((32, 64, 48)), options=dict(
                 depthwise=dict(use_depthwise=True),
                 act=dict(act_cfg=dict(type='LeakyReLU'), norm_cfg=dict(type='GN', num_groups=2)),
                 conv=dict(conv_cfg=dict(type='ConvWS')))),
    SlotCase('CSPNeXtPAFPN', 'mmdet.CSPNeXtPAFPN',
             dict(type='mmups.CSPNeXtPAFPN', in_channels=[32, 64, 48], out_channels=16,
                  num_csp_blocks=1),
             (32, 64, 48), 2, same_as_host=NEAREST, host_odd=False,
             inputs=rounded_up((32, 64, 48)), options=dict(
                 depthwise=dict(use_depthwise=True),
                 act=dict(act_cfg=dict(type='LeakyReLU'), norm_cfg=dict(type='GN', num_groups=2)),
                 wide=dict(expand_ratio=1.0))),
    SlotCase('YOLOV3Neck', 'mmdet.YOLOV3Neck',
             dict(type='mmups.YOLOV3Neck', num_scales=3, in_channels=[16, 32, 64],
                  out_channels=[16, 64, 32]),
             (64, 32, 16), 2, same_as_host=NEAREST, host_odd=False, call=finest_first,
             unfit=('A2U', ),
             options=dict(act=dict(act_cfg=dict(type='ReLU'), norm_cfg=None))),
    SlotCase('BFP', 'mmdet.BFP',
             dict(type='mmups.BFP', in_channels=C, num_levels=5, refine_type='conv'), (C, ) * 5, 5,
             same_as_host=NEAREST, options=dict(
                 no_refinement=dict(refine_type=None), finest=dict(refine_level=0),
                 coarsest=dict(refine_level=4), norm=dict(norm_cfg=dict(type='BN')),
                 non_local=dict(refine_level=3, refine_type='non_local'))),
    SlotCase('RFP', 'mmdet.RFP',
             dict(type='mmups.RFP', in_channels=list(BACKBONE), out_channels=C, num_outs=4,
                  rfp_steps=2, rfp_backbone=dict(type=RecursiveBackbone), aspp_out_channels=C // 4),
             (), 3, same_as_host=NEAREST, inputs=image_and_maps, takes_init_cfg=False,
             finest=lambda maps: maps[1].shape[2:], options=dict(
                 steps=dict(rfp_steps=3), one_step=dict(rfp_steps=1),
                 extra=dict(num_outs=5, add_extra_convs='on_output', norm_cfg=dict(type='BN')))),
    SlotCase('HRFPN', 'mmdet.HRFPN',
             dict(type='mmups.HRFPN', in_channels=[32, 64, 32, 64], out_channels=C),
             (32, 64, 32, 64), 6, same_as_host=BILINEAR, host_odd=False, unfit=('A2U', ),
             options=dict(
                 three=dict(num_outs=3, stride=2), max=dict(pooling_type='MAX'),
                 checkpointed=dict(with_cp=True))),
    SlotCase('DyHead', 'mmdet.DyHead',
             dict(type='mmups.DyHead', in_channels=C, out_channels=C, num_blocks=2),
             (C, ) * 3, 2, same_as_host=dict(mode='bilinear', align_corners=True),
             inputs=rounded_up((C, ) * 3), takes_init_cfg=False, bfloat16_error=None, options=dict(
                 one=dict(num_blocks=1), offset=dict(zero_init_offset=False))),
    SlotCase('NASFPN', 'mmdet.NASFPN',
             dict(type='mmups.NASFPN', in_channels=list(BACKBONE), out_channels=C, num_outs=5,
                  stack_times=2, start_level=1),
             BACKBONE, 8, size=(64, 96), same_as_host=NEAREST,
             finest=lambda maps: maps[1].shape[2:], options=dict(
                 norm=dict(norm_cfg=dict(type='BN')), one=dict(stack_times=1),
                 end=dict(start_level=0, stack_times=3))),
    SlotCase('NASFCOS_FPN', 'mmdet.NASFCOS_FPN',
             dict(type='mmups.NASFCOS_FPN', in_channels=list(BACKBONE), out_channels=C, num_outs=5),
             BACKBONE, 9, takes_init_cfg=False, finest=lambda maps: maps[1].shape[2:],
             options=dict(norm=dict(norm_cfg=dict(type='BN')), three=dict(num_outs=3),
                          conv=dict(conv_cfg=dict(type='ConvWS')))),
    SlotCase('CTResNetNeck', 'mmdet.CTResNetNeck',
             dict(type='mmups.CTResNetNeck', in_channels=8, num_deconv_filters=(64, 32, 32),
                  num_deconv_kernels=(4, 4, 4), use_dcn=False),
             (8, ), 3, guided=False, size=(8, 12), odd_size=(7, 9),
             finest=lambda maps: tuple(8 * n for n in maps[0].shape[2:]),
             options=dict(dcn=dict(use_dcn=True),
                          two=dict(num_deconv_filters=(16, 8), num_deconv_kernels=(4, 4)))),
]


def transition(kind, **kwargs):
    return dict(type=kind, order=('act', 'conv', 'norm'), inplace=False, **kwargs)


UP_TRANSITION = transition('interpolation_conv', mode='nearest', kernel_size=3)
FPG = dict(type='mmups.FPG', in_channels=list(BACKBONE), out_channels=16, inter_channels=C,
           num_outs=5, stack_times=3, paths=['bu'] * 3, same_down_trans=None,
           same_up_trans=transition('conv', kernel_size=3, stride=2, padding=1),
           across_lateral_trans=transition('conv', kernel_size=1),
           across_down_trans=UP_TRANSITION, across_skip_trans=transition('conv', kernel_size=1),
           output_trans=transition('last_conv', kernel_size=3),
           skip_inds=[(0, 1), (0, ), (0, ), (), ()])

CASES += [
    SlotCase('FPG', 'mmdet.FPG', FPG, BACKBONE, 3 * 4 - 4, same_as_host=NEAREST, host_odd=False,
             inputs=rounded_up(BACKBONE), options=dict(
                 convs=dict(add_extra_convs=True, norm_cfg=dict(type='BN')),
                 both=dict(paths=['bu', 'td', 'bu'], same_down_trans=UP_TRANSITION,
                           skip_inds=[()] * 5))),
]

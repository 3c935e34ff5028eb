"""Slots in mmseg's classes."""
from mmups.registry import MODELS

#: File -> the slots in it, which are imported, and mmseg with them, when one is asked for.
FILES = dict(
    bisenet='BiSeNetV1 BiSeNetV2',
    ddrnet='DDRNet',
    dense_depth_head='DenseDepthHead',
    dpt_head='DPTHead',
    erfnet='ERFNet',
    fast_scnn='FastSCNN',
    fpn='SegFPN',
    fpn_head='FPNHead',
    ham_head='LightHamHead',
    hrnet='SegHRNet',
    icneck='ICNeck',
    image_guided_neck='ImageGuidedNeck',
    jpu='JPU',
    lraspp_head='LRASPPHead',
    pidnet='PIDNet',
    plain_heads='ANNHead APCHead ASPPHead CCHead DAHead DDRHead DMHead DNLHead '
                'DepthwiseSeparableFCNHead EMAHead EncHead FCNHead GCHead ISAHead NLHead OCRHead '
                'PIDHead PSAHead PSPHead STDCHead',
    segformer_head='SegformerHead',
    sep_aspp_head='DepthwiseSeparableASPPHead',
    setr_heads='SETRUPHead SETRMLAHead',
    stdc='STDCContextPathNet',
    unet='UNet',
    unet_head='UNetHead',
    uper_head='UPerHead',
    vit_necks='Feature2Pyramid MultiLevelNeck',
    vpd_depth_head='VPDDepthHead',
)
#: Likewise the other parts of DepthFormer, which upsample nothing.
OTHERS = dict(
    depthformer_swin='DepthFormerSwin',
    hahi_neck='HAHIHeteroNeck',
    sig_loss='SigLoss',
)
__getattr__, __all__ = MODELS.register_package(__name__, 'mmseg.models', {**FILES, **OTHERS})

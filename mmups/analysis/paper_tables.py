"""The upsampling sites of the models in the DySample paper, and the costs that it prints.

Liu et al., "Learning to Upsample by Learning to Sample" (ICCV 2023, arXiv:2308.15085), Tables 4, 6,
8 and 9. Its parameter counts leave out biases and norms.
"""
from dataclasses import dataclass, field
from typing import NamedTuple


class PaperSite(NamedTuple):
    """One x2 step: channels of the map and of its guide, and the map's height and width."""
    in_channels: int
    guide_channels: int
    size: tuple[int, int]


@dataclass(frozen=True)
class Host:
    """A model of the paper.

    Attributes:
        title: What the sizes of its sites belong to.
        sites: Its upsampling steps.
        table: Number of the paper's table.
        printed: Preset -> added parameters and, where printed, added FLOPs in G, as printed.
        notes: Preset -> why a printed number is not reached.
    """
    title: str
    sites: tuple[PaperSite, ...]
    table: int
    printed: dict[str, tuple[str, ...]]
    notes: dict[str, str] = field(default_factory=dict)


def _pyramid(*sizes: tuple[int, int]) -> tuple[PaperSite, ...]:
    return tuple(PaperSite(256, 256, size) for size in sizes)


_DETECTION = dict(
    title='800x1344 image, 256 channels', table=6,
    sites=_pyramid((13, 21), (25, 42), (50, 84), (100, 168)))
_FASTER = {
    'deconv': ('2.4M', ), 'pixel-shuffle': ('9.4M', ), 'carafe': ('0.3M', ),
    'indexnet': ('8.4M', ), 'a2u': ('38.9K', ), 'fade': ('0.2M', ), 'sapa-base': ('0.1M', ),
    'dysample-s': ('4.1K', ), 'dysample-s-plus': ('8.2K', ), 'dysample': ('32.7K', ),
    'dysample-plus': ('65.5K', )}

HOSTS = {
    'segformer-b1': Host(
        title='SegFormer-B1, 512x512 image', table=4,
        sites=_pyramid((16, 16), (32, 32), (64, 64), (32, 32), (64, 64), (64, 64)),
        printed={
            'deconv': ('3.5M', '34.4'), 'pixel-shuffle': ('14.2M', '34.4'),
            'carafe': ('0.4M', '1.5'), 'indexnet': ('12.6M', '30.7'), 'a2u': ('0.1M', '0.4'),
            'fade': ('0.3M', '2.7'), 'sapa-base': ('0.1M', '1.0'),
            'dysample-s': ('6.1K', '0.2'), 'dysample-s-plus': ('12.3K', '0.3'),
            'dysample': ('49.2K', '0.3'), 'dysample-plus': ('0.1M', '0.4')},
        notes={
            'deconv': 'prints 9*C*C per output pixel; there is that much per input pixel',
            'fade': 'prints the gated form, 2.65 G; without its gate it is 2.62 G',
            'a2u': "counts the authors' unused downsampling branch, 0.12M; the used part is 0.06M",
            'dysample': 'counts about 11 operations per sampled value, here 4',
            'dysample-plus': 'counts about 11 operations per sampled value, here 4',
            'dysample-s': 'counts about 11 operations per sampled value, here 4',
            'dysample-s-plus': 'counts about 11 operations per sampled value, here 4'}),
    'faster-rcnn': Host(**{**_DETECTION, 'title': 'Faster R-CNN with P6 in the top-down path, '
                           '800x1344 image'}, printed=_FASTER),
    'mask-rcnn': Host(
        title='Mask R-CNN, three steps as its text says, 800x1344 image', table=7,
        sites=_DETECTION['sites'][1:], printed={},
        notes={'dysample': 'Table 7: "identical as in Faster R-CNN", which has four steps'}),
    'panoptic-fpn': Host(
        title='Panoptic FPN, 800x1344 image', table=8, sites=_DETECTION['sites'][1:],
        printed={
            'deconv': ('1.8M', ), 'pixel-shuffle': ('7.1M', ), 'carafe': ('0.2M', ),
            'indexnet': ('6.3M', ), 'a2u': ('29.2K', ), 'fade': ('0.1M', ),
            'sapa-base': ('0.1M', ), 'dysample-s': ('3.1K', ), 'dysample-s-plus': ('6.2K', ),
            'dysample': ('24.6K', ), 'dysample-plus': ('49.2K', )},
        notes={'dysample-s-plus': 'prints twice the rounded 3.1K; it is 6,144'}),
    'depthformer': Host(
        title='DepthFormer, 480x640 image', table=9,
        sites=(PaperSite(768, 384, (15, 20)), PaperSite(384, 192, (30, 40)),
               PaperSite(192, 96, (60, 80)), PaperSite(96, 64, (120, 160))),
        printed={
            'deconv': ('7.1M', ), 'pixel-shuffle': ('28.2M', ), 'carafe': ('0.3M', ),
            'indexnet': ('6.3M', ), 'a2u': ('30.0K', ), 'fade': ('0.2M', ),
            'sapa-base': ('0.1M', ), 'dysample-s': ('5.8K', ), 'dysample-s-plus': ('11.5K', ),
            'dysample': ('46.1K', ), 'dysample-plus': ('92.2K', )},
        notes={'a2u': 'not reached: 27,968 weights, 31,064 parameters'}),
}

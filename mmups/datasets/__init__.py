"""DigitScenes, pairs of photographs, and data sets and transforms, which load when asked for."""
from mmups.registry import DATASETS, TRANSFORMS

DATASETS.register_hosted('mmseg.datasets', 'mmups.datasets.seg',
                         ('DigitScenesSegDataset', 'DigitScenes14SegDataset',
                          'DigitScenesDepthDataset'))
DATASETS.register_hosted('mmdet.datasets', 'mmups.datasets.det',
                         ('DigitScenesDetDataset', 'DigitScenes14DetDataset',
                          'DigitScenesPanopticDataset', 'DigitScenes14PanopticDataset'))
DATASETS.register_hosted('mmengine', 'mmups.datasets.paired', ('PairedImageDataset', ))
TRANSFORMS.register_hosted('mmdet.datasets', 'mmups.datasets.loading',
                           ('LoadPanopticAnnotations', ))
TRANSFORMS.register_hosted('mmengine', 'mmups.datasets.corrupt', ('Corrupt', ))
TRANSFORMS.register_hosted('mmengine', 'mmups.datasets.pair_transforms',
                           ('LoadImagePair', 'PairedRandomCrop', 'PairedFlipTranspose',
                            'PackRestorationInputs'))
TRANSFORMS.register_hosted('mmengine', 'mmups.datasets.depth_transforms',
                           ('FixedCrop', 'ColorAug'))

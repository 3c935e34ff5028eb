"""DigitScenes, and data sets and transforms for the hosts that are installed."""
from mmups.registry import DATASETS, TRANSFORMS, register_hosted

register_hosted(DATASETS, 'mmseg', 'mmups.datasets.seg',
                ('DigitScenesSegDataset', 'DigitScenes14SegDataset'))
register_hosted(DATASETS, 'mmdet', 'mmups.datasets.det',
                ('DigitScenesDetDataset', 'DigitScenes14DetDataset', 'DigitScenesPanopticDataset',
                 'DigitScenes14PanopticDataset'))
register_hosted(TRANSFORMS, 'mmdet', 'mmups.datasets.loading', ('LoadPanopticAnnotations', ))

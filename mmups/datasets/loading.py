"""mmdet's loading of panoptic annotations, without panopticapi."""
from typing import Optional

from mmdet.datasets.transforms import LoadPanopticAnnotations as HostLoadPanopticAnnotations

from mmups.panoptic_png import ids_from_rgb
from mmups.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadPanopticAnnotations(HostLoadPanopticAnnotations):
    """Boxes, labels, masks and the semantic map of a COCO panoptic annotation.

    mmdet's class decodes the PNG by panopticapi, which is not on PyPI, and cannot be built without
    it. Everything but the decoding is mmdet's; so are the arguments.
    """
    rgb2id = staticmethod(ids_from_rgb)

    def __init__(self, with_bbox: bool = True, with_label: bool = True, with_mask: bool = True,
                 with_seg: bool = True, box_type: str = 'hbox', imdecode_backend: str = 'cv2',
                 backend_args: Optional[dict] = None):
        # Past the host's constructor, which adds to its parent's only the import of panopticapi.
        super(HostLoadPanopticAnnotations, self).__init__(
            with_bbox=with_bbox, with_label=with_label, with_mask=with_mask, with_seg=with_seg,
            with_keypoints=False, box_type=box_type, imdecode_backend=imdecode_backend,
            backend_args=backend_args)

"""The coding of COCO's panoptic annotations."""
import numpy as np


def ids_from_rgb(rgb: np.ndarray) -> np.ndarray:
    """Segment ids of a COCO panoptic PNG: id = r + 256 g + 65536 b.

    Args:
        rgb: Colours of shape (H, W, 3), uint8, in the order red, green, blue.

    Returns:
        Ids of shape (H, W), int32: wide enough, and what OpenCV can resize.

    Raises:
        ValueError: ``rgb`` is not uint8 of shape (H, W, 3).
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[-1] != 3:
        raise ValueError(f'colours must be uint8 of shape (H, W, 3), got {rgb.dtype} {rgb.shape}')
    return rgb.astype(np.int32) @ np.array([1, 256, 65536], dtype=np.int32)

"""What disparity maps are measured by: occlusion, and errors. Pure functions of NumPy arrays.

A disparity d at column x of the left view says that the same point is at column x - d of the right.
"""
import numpy as np

#: Pixels by which a nearer surface has to be in front before it hides another.
IN_FRONT = 1.0


def occlusions(disparity: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Which pixels of the left view the right one does not see.

    Every pixel is moved to the right view, where the greatest disparity in each pixel stays (a
    z-buffer). A pixel is occluded if it arrives outside of the view or where one stays that is
    nearer by more than :data:`IN_FRONT`. Pixels of unknown disparity hide nothing.

    Args:
        disparity: (H, W) of the left view, in pixels.
        valid: (H, W) bool, where it is known.

    Returns:
        (H, W) bool; False where the disparity is unknown.
    """
    width = disparity.shape[1]
    rows, columns = np.nonzero(valid)
    d = disparity[rows, columns]
    there = columns - d
    nearest = np.full(disparity.shape, -np.inf)
    for target in (np.floor(there), np.ceil(there)):
        inside = target >= 0
        np.maximum.at(nearest, (rows[inside], target[inside].astype(int)), d[inside])
    hidden = np.zeros(disparity.shape, bool)
    target = np.rint(there).clip(0, width - 1).astype(int)
    hidden[rows, columns] = (there < 0) | (nearest[rows, target] > d + IN_FRONT)
    return hidden


def disparity_errors(prediction: np.ndarray, truth: np.ndarray, where: np.ndarray
                     ) -> np.ndarray:
    """Sums over pixels, from which a mean over any number of images is made.

    Args:
        prediction: (H, W), in pixels.
        truth: (H, W), in pixels.
        where: (H, W) bool, the pixels that count.

    Returns:
        (3,) float64: sum of |prediction - truth|, number of pixels where that is above 3, number
        of pixels.

    Raises:
        ValueError: The shapes differ.
    """
    if not prediction.shape == truth.shape == where.shape:
        raise ValueError(f'prediction, truth and mask must have one shape, got {prediction.shape}, '
                         f'{truth.shape} and {where.shape}')
    error = np.abs(prediction[where].astype(np.float64) - truth[where])
    return np.array([error.sum(), (error > 3).sum(), error.size], np.float64)

"""What a prediction has at each pixel, and how far several predictions are apart there."""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable, Optional

import numpy as np

#: The label of pixels without one.
NONE = 255


@dataclass(frozen=True)
class Pixels:
    """A kind of predictions.

    Attributes:
        disagreement: Of predictions and truth, all (H, W) or (H, W, 3): (H, W) of 0 and more, 0
            where the truth is not known.
        meaning: What that is, in words.
        limit: Its largest possible value, if there is one.
        score: Of a prediction and the truth, of the whole image or a part of it: how good it is.
    """
    disagreement: Callable[[Sequence[np.ndarray], np.ndarray], np.ndarray]
    meaning: str
    limit: Optional[float]
    score: Callable[[np.ndarray, np.ndarray], str]


def unequal_pairs(predictions: Sequence[np.ndarray], truth: np.ndarray) -> np.ndarray:
    """The share of pairs of label maps (H, W) that differ, at each pixel: (H, W) in [0, 1]; 0
    where the truth has no label.

    Raises:
        ValueError: Fewer than two maps.
    """
    if len(predictions) < 2:
        raise ValueError(f'disagreement needs two predictions or more, got {len(predictions)}')
    labels = np.stack(list(predictions))
    counts = (np.sum(labels == label, axis=0) for label in np.unique(labels))
    alike = sum(count * (count - 1) for count in counts)
    share = 1 - alike / (len(labels) * (len(labels) - 1))
    return np.where(truth == NONE, 0., share)


def relative_spread(predictions: Sequence[np.ndarray], truth: np.ndarray) -> np.ndarray:
    """Standard deviation over their mean of depth maps (H, W), at each pixel; 0 where the true
    depth is not known.
    """
    depths = np.stack(list(predictions)).astype(np.float64)
    return np.where(known_depth(truth), depths.std(axis=0) / depths.mean(axis=0), 0.)


def spread(predictions: Sequence[np.ndarray], truth: np.ndarray) -> np.ndarray:
    """Standard deviation of images (H, W, 3) of 0 to 255, the root of its mean square over
    colours, at each pixel: (H, W).
    """
    return np.sqrt(np.stack(list(predictions)).astype(np.float64).var(axis=0).mean(axis=-1))


def known_depth(truth: np.ndarray) -> np.ndarray:
    """Whether a true depth is one: finite and above 0."""
    return np.isfinite(truth) & (truth > 0)


def _share_right(prediction: np.ndarray, truth: np.ndarray) -> str:
    known = truth != NONE
    return f'{100 * (prediction == truth)[known].mean() if known.any() else 0:.1f} % right'


def _abs_rel(prediction: np.ndarray, truth: np.ndarray) -> str:
    known = known_depth(truth)
    error = (np.abs(prediction - truth)[known] / truth[known]).mean() if known.any() else 0
    return f'abs_rel {error:.3f}'


def _decibels(prediction: np.ndarray, truth: np.ndarray) -> str:
    error = np.square(prediction.astype(np.float64) - truth).mean()
    return f'{10 * np.log10(255**2 / error):.1f} dB' if error else 'equal'


#: Kinds of predictions that can be compared in pictures.
PIXELS = {
    'labels': Pixels(unequal_pairs, 'pairs of upsamplers that differ', 1., _share_right),
    'depth': Pixels(relative_spread, 'standard deviation over mean', None, _abs_rel),
    'image': Pixels(spread, 'standard deviation, of 0 to 255', None, _decibels),
}

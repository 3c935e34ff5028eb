"""A batch as a model of a host sees it: its image in [0, 1], what may be attacked, and a loss.

The image is held in pixels. The network's input is the preprocessor's own plus the change of the
image by the preprocessor's scale, so that gradients go through the normalisation, an unchanged
image is the clean input to the bit, and padding stays what it was.
"""
from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Optional

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from torch import Tensor, nn

from mmups.attacks import Attack
from mmups.attacks.regression import check_error

from .states import losing, seeded

#: Heads whose per-pixel output is a sum of masks weighted by class probabilities: no logits.
SCORING = {'MaskFormerHead', 'Mask2FormerHead', 'SideAdapterCLIPHead'}


class Victim:
    """A batch and a model.

    Args:
        model: In eval mode, with the host's ``data_preprocessor``.
        batch: From the dataloader; it stays as it is.
        seed: Of losses and heads that draw random numbers.
        truth_is_original: Whether the ground truth has the size of the image file.
        error: What is attacked where numbers are predicted, a key of
            :data:`mmups.attacks.regression.ERRORS`; None: 'l1' of colours, 'log' of depth.

    Raises:
        ValueError: There is no such error, or the images do not go from 0 to 255 before the
            preprocessor's normalisation.
    """

    #: Whether it has several values per pixel, by which attacks can weigh pixels.
    weighable: ClassVar[bool] = False
    ignore_index = 255

    def __init__(self, model: nn.Module, batch: dict, seed: int = 0,
                 truth_is_original: bool = True, error: Optional[str] = None):
        self.model, self.seed, self.truth_is_original = model, seed, truth_is_original
        self.error = error and check_error(error)
        preprocessor = model.data_preprocessor
        data = preprocessor(copy.deepcopy(batch), False)
        self.inputs, self.samples = data['inputs'], data['data_samples']
        normalised = getattr(preprocessor, '_enable_normalize', False)
        mean, std = (preprocessor.mean, preprocessor.std) if normalised else (0, 1)
        image = (self.inputs.float() * std + mean) / 255
        self.scale = 255 / std
        self.flipped = any(getattr(preprocessor, name, False)
                           for name in ('channel_conversion', '_channel_conversion'))
        self.mask = attackable(self.samples, image)
        inside = image * self.mask
        if not -1e-3 <= inside.min() <= inside.max() <= 1 + 1e-3:
            raise ValueError(
                f'before the normalisation of {type(preprocessor).__name__} the images have to go '
                f'from 0 to 255, and these go from {inside.min() * 255:.4g} to '
                f'{inside.max() * 255:.4g}: normalise there, not in the pipeline')
        self.image = image.clamp(0, 1)

    def normalised(self, image: Tensor) -> Tensor:
        """The network's input (N, C, H, W) for an image in [0, 1]."""
        return self.inputs + (image - self.image) * self.scale

    def predict(self, image: Tensor) -> Sequence:
        """The host's predictions, in data samples of their own."""
        samples = copy.deepcopy(self.samples)
        return self.model(self.normalised(image), samples, mode='predict')

    def check(self, attack: Attack) -> None:
        """Whether the attack is for such models.

        Raises:
            ValueError: It is not, or there is an error of numbers, which nobody predicts here.
        """
        if self.error:
            raise ValueError(f'the error {self.error!r} is one of numbers per pixel, which '
                             f'{type(self.model).__name__} does not predict: leave it out')

    def attack(self, attack: Attack, **kwargs: Any) -> Tensor:
        """Adversarial images; arguments besides are the attack's."""
        raise NotImplementedError

    def transfer(self, image: Tensor, to: Victim) -> Tensor:
        """An adversarial image of this model as one of another that has the same batch."""
        change = (image - self.image) * self.mask
        if self.flipped != to.flipped:
            change = change.flip(1)
        height, width = to.image.shape[2:]
        change = F.pad(change, (0, width - change.shape[3], 0, height - change.shape[2]))
        return (to.image + change * to.mask).clamp(0, 1)


class Segmentation(Victim):
    """A segmentor of mmseg: per-pixel logits of the size of the ground truth."""

    weighable = True

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        head = self.model.decode_head
        self.head = head[-1] if isinstance(head, nn.ModuleList) else head
        self.ignore_index = getattr(self.head, 'ignore_index', 255)
        self.gives_scores = bool(SCORING & {kind.__name__ for kind in type(self.head).__mro__})
        truths = [sample.gt_sem_seg.data[0] for sample in self.samples]
        self.sizes = [truth.shape for truth in truths]
        self.target = torch.stack(_joint(truths, self.ignore_index)).long()

    def input_logits(self, image: Tensor) -> Tensor:
        """Logits or scores (N, K, H, W) of the size of the network's input."""
        metas = [dict(sample.metainfo) for sample in self.samples]
        with seeded(self.seed, image.device):  # some heads draw random bases
            return self.model.inference(self.normalised(image), metas)

    def logits_of(self, image: Tensor) -> Tensor:
        """Logits (N, K, h, w): resized per image as for the metric, then padded to a joint size."""
        each = [resized(logits, sample.metainfo, size, self.model.align_corners)
                for logits, sample, size in zip(self.input_logits(image), self.samples, self.sizes)]
        logits = torch.stack(_joint(each, 0.)).float()
        return (logits + 1e-6).log() if self.gives_scores else logits

    def attack(self, attack: Attack, **kwargs: Any) -> Tensor:
        return attack(self.logits_of, self.image, self.target, self.mask, **kwargs)


class Regression(Victim):
    """A model of numbers per pixel, attacked by their errors.

    Subclasses set ``target`` (N, V, h, w) and ``valid`` (N, 1, h, w).
    """
    #: A key of :data:`mmups.attacks.regression.ERRORS`, where none is asked for.
    usual_error: ClassVar[str] = 'l1'

    def values_of(self, image: Tensor) -> Tensor:
        """Predicted values (N, V, h, w), before they are clamped."""
        raise NotImplementedError

    def check(self, attack: Attack) -> None:
        attack.value_weights(self.target, self.target)  # refuses what looks at classes

    def attack(self, attack: Attack, **kwargs: Any) -> Tensor:
        return attack.attack_regression(self.values_of, self.image, self.target,
                                        self.error or self.usual_error, self.valid, self.mask,
                                        **kwargs)


class Depth(Regression):
    """A depth estimator of mmseg, where there is a depth."""
    usual_error = 'log'

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        truths = [sample.gt_depth_map.data for sample in self.samples]
        truths = [truth.reshape(1, *truth.shape[-2:]).float() for truth in truths]
        self.sizes = [truth.shape[-2:] for truth in truths]
        self.target = torch.stack(_joint(truths, 0.))
        self.valid = (self.target > 0) & self.target.isfinite()

    def values_of(self, image: Tensor) -> Tensor:
        metas = [dict(sample.metainfo) for sample in self.samples]
        depth = self.model.inference(self.normalised(image), metas)
        each = [resized(one, sample.metainfo, size, self.model.align_corners)
                for one, sample, size in zip(depth, self.samples, self.sizes)]
        return torch.stack(_joint(each, 0.))


class Restoration(Regression):
    """An :class:`mmups.ImageRestorer`: colours in [0, 1]."""

    weighable = True

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.target = self.model.truth(self.image, self.samples)
        self.valid = torch.ones_like(self.target[:, :1])

    def values_of(self, image: Tensor) -> Tensor:
        return self.model(self.normalised(image), self.samples, mode='tensor')


class Detection(Victim):
    """A detector of mmdet: the sum of its training losses, with the truth at its input's size."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.truths = [self._at_input(sample) for sample in copy.deepcopy(self.samples)]

    def _at_input(self, sample: Any) -> Any:
        """Bring boxes, masks and semantic map to the network's input."""
        height, width = content_size(sample.metainfo)
        factor = sample.metainfo.get('scale_factor', (1, 1))[:2]
        padded = self.inputs.shape[2:]
        for instances in (sample.gt_instances, sample.get('ignored_instances', {})):
            if self.truth_is_original and 'bboxes' in instances:
                boxes = instances.bboxes
                instances.bboxes = boxes * boxes.new_tensor(factor).repeat(boxes.shape[-1] // 2)
            if 'masks' in instances:
                masks = instances.masks
                if self.truth_is_original:
                    masks = masks.resize((height, width))
                instances.masks = masks.pad(padded)
        if 'gt_sem_seg' in sample:
            truth = sample.gt_sem_seg.sem_seg
            if self.truth_is_original:
                truth = F.interpolate(truth[None].float(), (height, width), mode='nearest-exact')
                truth = truth[0].to(sample.gt_sem_seg.sem_seg)
            below, right = padded[0] - truth.shape[-2], padded[1] - truth.shape[-1]
            sample.gt_sem_seg = PixelData(
                sem_seg=F.pad(truth, (0, right, 0, below), value=self.ignore_index))
        return sample

    def loss_of(self, image: Tensor) -> Tensor:
        """The loss of the batch. Its random choices are the same at each call."""
        samples = copy.deepcopy(self.truths)
        with losing(self.model), seeded(self.seed, image.device):
            losses = self.model(self.normalised(image), samples, mode='loss')
        return self.model.parse_losses(losses)[0]

    def attack(self, attack: Attack, **kwargs: Any) -> Tensor:
        return attack.attack_loss(self.loss_of, self.image, self.mask, **kwargs)


def victim_of(model: nn.Module, batch: dict, **kwargs: Any) -> Victim:
    """The victim that fits a model.

    Args:
        model: Of mmseg or mmdet, or an mmups.ImageRestorer.
        batch: From its dataloader.
        kwargs: As of :class:`Victim`.

    Raises:
        ValueError: The samples have no ground truth, or nobody knows how to attack this model.
    """
    name, sample = type(model).__name__, batch['data_samples'][0]
    boxes = 'gt_instances' in sample and {'bboxes', 'labels'} <= set(sample.gt_instances.keys())
    kind: Optional[Callable] = None
    if hasattr(model, 'decode_head'):
        if not hasattr(model, 'inference'):
            raise ValueError(f'{name} has no method inference, which gives the per-pixel logits of '
                             'its head: only segmentors with such logits can be attacked')
        kind = (Depth if 'gt_depth_map' in sample else
                Segmentation if 'gt_sem_seg' in sample else None)
    elif hasattr(model, 'generator'):
        kind = Restoration if 'gt_img' in sample else None
    elif hasattr(model, 'loss') and hasattr(model, 'parse_losses'):
        kind = Detection if boxes else None
    else:
        raise ValueError(f'{name} gives neither per-pixel logits nor a loss: segmentors and depth '
                         'estimators of mmseg, detectors of mmdet and mmups.ImageRestorer can be '
                         'attacked')
    if kind is None:
        raise ValueError(f'the test samples for {name} have no ground truth, only '
                         f'{sorted(sample.keys())}: an attack needs LoadAnnotations in the test '
                         'pipeline')
    return kind(model, batch, **kwargs)


def content_size(meta: dict) -> tuple[int, int]:
    """Height and width of what an input shows, without what a pipeline or preprocessor padded."""
    height, width = meta['img_shape'][:2]
    if 'scale_factor' in meta and 'ori_shape' in meta:
        across, down = meta['scale_factor'][:2]
        height = min(height, round(meta['ori_shape'][0] * down))
        width = min(width, round(meta['ori_shape'][1] * across))
    return height, width


def attackable(samples: Sequence, image: Tensor) -> Tensor:
    """Mask (N, 1, H, W) of what is no padding."""
    mask = torch.zeros_like(image[:, :1])
    for one, sample in zip(mask, samples):
        height, width = content_size(sample.metainfo)
        left, _, top, _ = _padding(sample.metainfo)
        one[:, top:top + height, left:left + width] = 1
    return mask


def resized(output: Tensor, meta: dict, size: Sequence[int], align_corners: bool) -> Tensor:
    """Output (K, H, W) of a network as mmseg's metrics see it: without padding and flip, (K, *size)
    """
    left, right, top, bottom = _padding(meta)
    height, width = output.shape[1:]
    output = output[:, top:height - bottom, left:width - right]
    if meta.get('flip'):
        output = output.flip(2 if meta.get('flip_direction') == 'horizontal' else 1)
    return F.interpolate(output[None], tuple(size), mode='bilinear', align_corners=align_corners)[0]


def _padding(meta: dict) -> Sequence[int]:
    return meta.get('img_padding_size', meta.get('padding_size', (0, 0, 0, 0)))


def _joint(maps: Sequence[Tensor], value: float) -> list[Tensor]:
    """Maps (..., h, w), padded at the bottom and on the right to the size of the largest."""
    height, width = (max(one.shape[axis] for one in maps) for axis in (-2, -1))
    return [F.pad(one, (0, width - one.shape[-1], 0, height - one.shape[-2]), value=value)
            for one in maps]

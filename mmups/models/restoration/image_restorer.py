"""The model around a restoration network: images in, a loss or restored images out."""
from collections.abc import Sequence
from typing import Any, Optional, Union

import torch
from mmengine.model import BaseModel, ImgDataPreprocessor
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmups.registry import MODELS


@MODELS.register_module()
class RestorationDataPreprocessor(ImgDataPreprocessor):
    """Brings RGB images (3, H, W) of 0..255 to one batch (N, 3, H, W) float32 of [0, 1].

    It pads nothing: what a network has to pad, it pads and crops by itself. Images of a batch
    are of one size, therefore. The samples, and the truth in them, stay as they are.

    Args:
        non_blocking: As in mmengine's.
    """

    def __init__(self, non_blocking: bool = False):
        super().__init__(mean=(0., 0., 0.), std=(255., 255., 255.), non_blocking=non_blocking)

    def forward(self, data: dict, training: bool = False) -> dict:
        """As mmengine's.

        Raises:
            ValueError: The images are not of one size, or not of three channels.
        """
        shapes = list(dict.fromkeys(tuple(image.shape) for image in data['inputs']))
        if len(shapes) > 1 or any(len(shape) != 3 or shape[0] != 3 for shape in shapes):
            raise ValueError(f'the images of a batch must be (3, H, W) of one size, got {shapes}: '
                             'crop them in the pipeline (mmups.PairedRandomCrop), or take '
                             'batch_size=1')
        return super().forward(data, training)


@MODELS.register_module()
class ImageRestorer(BaseModel):
    """A network from a degraded to a restored image, and the pixel loss that trains it.

    Args:
        generator: The network, ``dict(type='mmups.NAFNet')``: images (N, 3, H, W) of [0, 1] in any
            size to images of that size.
        pixel_loss: Loss between output and truth, in float32: ``dict(type='mmups.PSNRLoss')``,
            ``'mmups.L1Loss'`` or ``'mmups.MSELoss'`` (PyTorch's own).
        data_preprocessor: What makes a batch of the images of a pipeline.
        init_cfg: As in mmengine's BaseModule.
    """

    def __init__(self, generator: dict, pixel_loss: Optional[dict] = None,
                 data_preprocessor: Optional[dict] = None, init_cfg: Optional[dict] = None):
        super().__init__(data_preprocessor or dict(type='mmups.RestorationDataPreprocessor'),
                         init_cfg)
        self.generator = MODELS.build(generator)
        self.pixel_loss = MODELS.build(pixel_loss or dict(type='mmups.PSNRLoss'))

    def forward(self, inputs: Tensor, data_samples: Optional[Sequence[BaseDataElement]] = None,
                mode: str = 'tensor') -> Union[Tensor, dict[str, Tensor], list[Any]]:
        """Run the network.

        Args:
            inputs: (N, 3, H, W) of [0, 1], RGB. It is brought to the precision of the weights.
            data_samples: One per image; in the mode 'loss' with ``gt_img``, (3, H, W) uint8.
            mode: 'tensor', 'loss' or 'predict'.

        Returns:
            In the mode 'tensor' the output (N, 3, H, W), which may leave [0, 1], since what is
            clamped has no gradient; in 'loss' a dict of it; in 'predict' the samples, with
            ``pred_img``, (3, H, W) float32, clamped to [0, 1].

        Raises:
            ValueError: There is no such mode; a sample has no truth, or one of another size; the
                images and the samples are not equally many.
        """
        if mode not in ('tensor', 'loss', 'predict'):
            raise ValueError(f"mode must be 'tensor', 'loss' or 'predict', got {mode!r}")
        weight = next(self.generator.parameters(), inputs)
        output = self.generator(inputs.to(weight.dtype))
        if mode == 'tensor':
            return output
        output = output.float()
        if mode == 'loss':
            return dict(loss=self.pixel_loss(output, self.truth(output, data_samples)))
        samples = data_samples or [BaseDataElement() for _ in output]
        _check_count(output, samples)
        for sample, image in zip(samples, output.clamp(0, 1)):
            sample.pred_img = image
        return list(samples)

    @staticmethod
    def truth(images: Tensor, data_samples: Optional[Sequence[BaseDataElement]]) -> Tensor:
        """The true images of samples, (N, 3, H, W) float32 of [0, 1], for ``images`` of the
        same size.

        Raises:
            ValueError: As in :meth:`forward`.
        """
        _check_count(images, data_samples or [])
        for sample in data_samples:
            shape = tuple(sample.gt_img.shape) if 'gt_img' in sample else 'none'
            if shape != tuple(images.shape[1:]):
                raise ValueError(f'each sample needs gt_img of the shape {tuple(images.shape[1:])},'
                                 f' that of {sample.get("img_path")!r} is {shape}; '
                                 'mmups.PackRestorationInputs brings it')
        return torch.stack([sample.gt_img for sample in data_samples]).to(images.device) / 255


def _check_count(images: Tensor, samples: Sequence) -> None:
    if len(images) != len(samples):
        raise ValueError(f'{len(images)} images need as many samples, got {len(samples)}')

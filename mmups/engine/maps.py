"""What goes on inside a model on images of its test set: images, maps of steps, predictions."""
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Optional

import torch
from mmengine.runner import Runner
from torch import Tensor, nn

from mmups.analysis import Call, MeanPower, recording, upsampling_steps
from mmups.attacks import Attack

from .robustness.states import frozen
from .robustness.victims import victim_of

#: (model, batch of the dataloader) -> ``inputs`` and ``data_samples`` of the network.
Prepare = Callable[[nn.Module, dict], dict]


def clean(model: nn.Module, batch: dict) -> dict:
    """What the model's preprocessor makes of a batch."""
    return model.data_preprocessor(batch, False)


def perturbed(function: Callable[[Tensor], Tensor]) -> Prepare:
    """The same with other images.

    Args:
        function: Images (N, 3, H, W) in [0, 1], of the network's size and order of channels, to
            images of the same shape: noise, a shift.
    """
    def prepare(model: nn.Module, batch: dict) -> dict:
        data = clean(model, batch)
        mean, std = _scale(model)
        image = function(pixels_of(model, data['inputs']))
        return dict(data, inputs=(image * 255 - mean) / std)

    return prepare


def attacked(attack: Attack, seed: int = 0) -> Prepare:
    """The same with adversarial images, against the ground truth of the samples.

    Args:
        attack: Of :mod:`mmups.attacks`.
        seed: Of its random starts, the same for every image.
    """
    def prepare(model: nn.Module, batch: dict) -> dict:
        victim = victim_of(model, batch, seed=seed)
        generator = torch.Generator(victim.image.device).manual_seed(seed)
        with frozen(model):
            image = victim.attack(attack, generator=generator)
        return dict(inputs=victim.normalised(image), data_samples=victim.samples)

    return prepare


def pixels_of(model: nn.Module, inputs: Tensor) -> Tensor:
    """Images in [0, 1] of the network's input (N, 3, H, W)."""
    mean, std = _scale(model)
    return ((inputs * std + mean) / 255).clamp(0, 1)


def _scale(model: nn.Module) -> tuple:
    """Mean and standard deviation of pixels from 0 to 255; a preprocessor may have none."""
    preprocessor = model.data_preprocessor
    return getattr(preprocessor, 'mean', 0), getattr(preprocessor, 'std', 1)


def batches_of(runner: Runner, count: int) -> Iterator[dict]:
    """Batches of one image each, the first ``count`` of the test set; the model is loaded, and in
    eval mode."""
    runner.load_or_resume()
    runner.model.eval()
    loader = runner.build_dataloader(dict(runner.cfg.test_dataloader, batch_size=1, num_workers=0,
                                          persistent_workers=False))
    yield from islice(loader, count)


@torch.no_grad()
def predict(model: nn.Module, data: dict) -> list:
    """Samples with predictions."""
    return model(data['inputs'], data['data_samples'], mode='predict')


def first_calls(runner: Runner, index: int = 0) -> tuple[Tensor, dict[str, Call]]:
    """One image of the test set, and the first call of each step on it.

    Args:
        runner: With ``load_from`` set.
        index: Of the image.

    Returns:
        (3, H, W) in [0, 1]; name of the step -> its call.

    Raises:
        ValueError: The model has no step, or the test set no such image.
    """
    model, calls = runner.model, {}
    upsampling_steps(model)
    batch = next(islice(batches_of(runner, index + 1), index, None), None)
    if batch is None:
        raise ValueError(f'the test set has no image {index}')
    data = clean(model, batch)
    with recording(model, lambda name, call: calls.setdefault(name, call)):
        predict(model, data)
    return pixels_of(model, data['inputs'])[0], calls


def spectra_of(runner: Runner, count: int, prepare: Optional[Prepare] = None
               ) -> dict[str, tuple[MeanPower, MeanPower]]:
    """Power spectra before and after every step, and of the predictions.

    Args:
        runner: With ``load_from`` set.
        count: How many images of the test set.
        prepare: What makes the network's input of a batch, with an attack for instance; None:
            :func:`clean`.

    Returns:
        Name of the step -> spectra of what came in and of what went out; 'prediction' -> the
        output of the last step (once more) and the logits at the size of the image, where the
        samples have such (``seg_logits``, ``pred_depth_map``).

    Raises:
        ValueError: The model has no step.
    """
    model, prediction = runner.model, MeanPower()
    spectra = {name: (MeanPower(), MeanPower()) for name in upsampling_steps(model)}

    def receive(name, call):
        for power, maps in zip(spectra[name], (call.x, call.out)):
            power.add(maps)

    for batch in batches_of(runner, count):
        data = (prepare or clean)(model, batch)
        with recording(model, receive):
            samples = predict(model, data)
        for sample in samples:
            for key in ('seg_logits', 'pred_depth_map'):
                if key in sample:
                    prediction.add(sample.get(key).data[None].float())
    if prediction.power is not None:
        spectra['prediction'] = (spectra[list(spectra)[-1]][1], prediction)
    return spectra

"""Pictures of what the upsamplers of a trained model do, one function for each."""
from collections.abc import Callable, Iterable, Iterator
from typing import Optional

import numpy as np
import torch
from mmengine.runner import Runner
from torch import Tensor, nn

from mmups import visualization as draw
from mmups.analysis import (
    MeanPower,
    dc_checkerboard_index,
    fit_to_map,
    folded,
    grid_peak_ratio,
    impulse_response,
    offsets,
    out_of_band_ratio,
    principal_component,
    project,
    radial_profile,
    stop_band_share,
    upsampling_steps,
)
from mmups.models.upsamplers import build_upsampler

from .maps import Prepare, first_calls, spectra_of

#: Kernels in a row of the picture of kernels.
KERNELS = 6


def step_numbers(module: nn.Module) -> tuple[float, float]:
    """DC checkerboard index and mean stop-band share of an upsampler, without data; the guide of a
    guided one is constant."""
    device = next((p.device for p in module.parameters()), torch.device('cpu'))

    def upsample(x):
        guide = None
        if module.guided:
            size = [module.scale_factor * n for n in x.shape[-2:]]
            guide = torch.ones(1, module.guide_channels, *size, device=device)
        return module(x.to(device), guide).cpu()

    kernels = impulse_response(upsample, module.in_channels)
    shares = stop_band_share(kernels, module.scale_factor) if module.scale_factor > 1 else kernels
    return (dc_checkerboard_index(upsample, module.in_channels), shares.nanmean().item())


def spectrum(runner: Runner, count: int, out: str, prepare: Optional[Prepare] = None,
             label: str = 'attacked') -> Iterator[str]:
    """Draw power spectra before and after every step; lines of a table come back.

    Args:
        runner: With ``load_from`` set.
        count: How many images of the test set.
        out: Picture to write.
        prepare: As in :func:`mmups.engine.maps.spectra_of`, beside clean images; None: these only.
        label: What the images of ``prepare`` are called.

    Raises:
        ValueError: The model has no step.
    """
    found = {'clean': spectra_of(runner, count)}
    if prepare is not None:
        found[label] = spectra_of(runner, count, prepare)
    steps = upsampling_steps(runner.model)
    numbers = {name: step_numbers(module) for name, module in steps.items()}
    yield ('| step | size | images | out of band | grid peak | DC checkerboard | stop band |\n'
           '|---|---|---|---|---|---|---|')
    rows = []
    for name in found['clean']:
        spectra = {kind: spectra[name] for kind, spectra in found.items()
                   if spectra.get(name, (None, None))[1].power is not None}
        if not spectra:  # a step that was never called
            continue
        row = _spectrum_row(name, spectra)
        rows.append(row)
        index, share = (f'{value:.3f}' for value in numbers[name]) if name in numbers else ('', '')
        for kind in spectra:
            before, after = spectra[kind]
            size = ' to '.join('x'.join(map(str, p.power.shape)) for p in (before, after))
            band, peak = _ratios(after, row.scale_factor)
            yield f'| {name} | {size} | {kind} | {band:.3f} | {peak} | {index} | {share} |'
    if not rows:
        raise ValueError('no upsampling step of the model was called')
    path = draw.draw_spectra(rows, out, f'Power spectra before and after upsampling, mean over '
                             f'channels and {count} images')
    yield f'drawn in {path}'


def _ratios(after: MeanPower, s: float) -> tuple[float, str]:
    try:
        peak = f'{grid_peak_ratio(after.power, round(s)):.2f}'
    except ValueError:  # too small for its grid
        peak = '-'
    return out_of_band_ratio(after.power, s), peak


def _spectrum_row(name: str, spectra: dict[str, tuple[MeanPower, MeanPower]]
                  ) -> draw.SpectrumRow:
    before = spectra['clean'][0]
    s = spectra['clean'][1].power.shape[0] / before.power.shape[0]
    powers = {'before': before, **{f'after, {kind}': pair[1] for kind, pair in spectra.items()}}
    notes = {}
    for kind, (_, after) in spectra.items():
        band, peak = _ratios(after, s)
        notes[f'after, {kind}'] = f'out of band {band:.1%}, grid peak {peak}'
    notes['before'] = 'x'.join(map(str, before.power.shape))
    return draw.SpectrumRow(
        _short(name), s, {label: p.power.numpy() for label, p in powers.items()},
        {label: (radial_profile(p.power).numpy(), min(p.power.shape))
         for label, p in powers.items()}, notes)


def sampling(runner: Runner, index: int, out: str) -> Iterator[str]:
    """Draw where the steps sample on an image of the test set; a line for each step comes back.

    Args:
        runner: With ``load_from`` set.
        index: Of the image.
        out: Picture to write.

    Raises:
        ValueError: No step of the model samples at points.
    """
    image, calls = first_calls(runner, index)
    steps, rows = upsampling_steps(runner.model), []
    for name, call in calls.items():
        with torch.no_grad():
            points = steps[name].points(call.x)
        if points is None or not points.numel():
            continue
        moves, folds = offsets(points, steps[name].scale_factor)[0].cpu(), folded(points).cpu()
        lengths = moves.norm(dim=1)
        rows.append(draw.SamplingRow(
            f'{_short(name)}\n{_sizes(call)}', points[0, 0].cpu().numpy(), moves[0].numpy(),
            lengths.mean(0).numpy(), folds[0, 0].numpy(), tuple(call.x.shape[-2:]),
            folds.double().mean().item()))
        yield (f'{name}: offsets of {lengths.mean():.3f} coarse pixels on average, '
               f'{lengths.max():.3f} at most; {rows[-1].share:.2%} of the points folded')
    if not rows:
        raise ValueError(f'no upsampling step of this model samples at points: {_kinds(steps)}')
    path = draw.draw_sampling(_picture(image), rows, out,
                              f'Sampling points of the first group of channels, image {index}')
    yield f'drawn in {path}'


def kernels(runner: Runner, index: int, out: str) -> Iterator[str]:
    """Draw the kernels of the steps, on an image of the test set where they depend on it.

    Args:
        runner: With ``load_from`` set.
        index: Of the image.
        out: Picture to write.

    Raises:
        ValueError: No step of the model has kernels to show.
    """
    image, calls = first_calls(runner, index)
    steps, rows = upsampling_steps(runner.model), []
    for name, call in calls.items():
        with torch.no_grad():
            weights = steps[name].kernels(call.x, call.guide)
        if weights is None or not weights.numel():
            continue
        row_of = _fixed_kernels if weights.dim() == 3 else _moving_kernels
        rows.append(row_of(f'{_short(name)}\n{_sizes(call)}', weights.cpu(), image.shape[-2:],
                           steps[name].scale_factor))
        yield f'{name}: {tuple(weights.shape)} {rows[-1].note}'.strip()
    if not rows:
        raise ValueError(f'no upsampling step of this model has kernels to show: {_kinds(steps)}')
    path = draw.draw_kernels(_picture(image), rows, out, f'Kernels, image {index}'
                             if rows[0].response is None else 'Kernels of the largest energy')
    yield f'drawn in {path}'


def _fixed_kernels(title: str, weights: Tensor, size: tuple[int, int], s: int) -> draw.KernelRow:
    weights = weights.double()
    energy = weights.square().sum((1, 2))
    first = energy.topk(min(KERNELS, len(energy))).indices
    shares = stop_band_share(weights, s)
    response = torch.fft.fft2(weights, s=(64, 64)).abs().square().mean(0)
    return draw.KernelRow(
        title, weights[first].numpy(), [f'{share:.0%} stop band' for share in shares[first]], s,
        torch.fft.fftshift(response).numpy(), note=f'stop band {shares.nanmean():.1%}')


def _moving_kernels(title: str, weights: Tensor, size: tuple[int, int], s: int) -> draw.KernelRow:
    """Of the first group, at places on a grid of two rows."""
    fine = weights.shape[2:4]
    columns = KERNELS // 2
    places = [(int(fine[0] * (row + 0.5) / 2), int(fine[1] * (column + 0.5) / columns))
              for row in range(2) for column in range(columns)]
    ratio = [n / m for n, m in zip(size, fine)]
    return draw.KernelRow(
        title, np.stack([weights[0, 0, i, j].float().numpy() for i, j in places]),
        [str(number + 1) for number in range(len(places))], s,
        places=np.array([((j + 0.5) * ratio[1] - 0.5, (i + 0.5) * ratio[0] - 0.5)
                         for i, j in places]))


def features(runner: Runner, index: int, out: str, upsamplers: dict[str, dict], fit: int,
             report: Callable[[Iterable], Iterable] = iter) -> Iterator[str]:
    """Draw the map of the last step, upsampled by the model and by every method.

    Args:
        runner: With ``load_from`` set.
        index: Of the image.
        out: Picture to write.
        upsamplers: Name -> config.
        fit: Steps in which each method learns to bring this very map back from half its size; 0:
            as it is initialised.
        report: Around the names, for a progress bar.

    Raises:
        ValueError: The model has no step, or it was not called.
    """
    image, calls = first_calls(runner, index)
    if not calls:
        raise ValueError('no upsampling step of the model was called')
    name, call = list(calls.items())[-1]
    module = upsampling_steps(runner.model)[name]
    x, guide, out_map = call.x[:1], call.guide, call.out[:1]
    guide = None if guide is None else guide[:1]
    axes = principal_component(x[0].cpu())
    maps = {'this model': project(out_map[0].cpu(), *axes).numpy()}
    for key in report(list(upsamplers)):
        torch.manual_seed(0)
        try:
            other = build_upsampler(upsamplers[key], module.in_channels,
                                    None if guide is None else guide.shape[1],
                                    module.scale_factor).to(x.device)
        except ValueError as error:
            yield f'{key} does not fit: {error}'
            continue
        fit_to_map(other, x, guide, fit)
        with torch.no_grad():
            maps[key] = project(other(x, guide, out_map.shape[-2:])[0].cpu(), *axes).numpy()
    how = f'fitted to this map in {fit} steps' if fit else 'as initialised'
    path = draw.draw_features(
        _picture(image), project(x[0].cpu(), *axes).numpy(), maps, out,
        f'{name}, {_sizes(call)}; methods other than the model\'s own {how}')
    yield f'{len(maps)} maps of {name} drawn in {path}'


def _picture(image: Tensor) -> np.ndarray:
    return image.permute(1, 2, 0).cpu().numpy()


def _short(name: str) -> str:
    return name.replace('upsample_modules.', 'step ').replace('.step', '\nstep')


def _sizes(call) -> str:
    return ' to '.join('x'.join(map(str, x.shape[-2:])) for x in (call.x, call.out))


def _kinds(steps: dict[str, nn.Module]) -> str:
    return 'they are ' + ', '.join(sorted({type(module).__name__ for module in steps.values()}))

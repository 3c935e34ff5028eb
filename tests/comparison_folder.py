"""A folder of tools/compare.py with made-up numbers."""
import json

import numpy as np

ATTACKS = ('pgd', 'cospgd')
BUDGETS = (0.25, 1.)
CLASSES = ('background', 'digit_0', 'grass', 'brick')
PALETTE = ((90, 90, 90), (230, 60, 60), (60, 170, 75), (200, 150, 70))


def write_folder(folder, upsamplers=('bilinear', 'dysample', 'lctc-11-3'), seeds=(0, 1, 2),
                 cost=True, robustness=True, predictions=True, classes=True, skip=(), side=48):
    """Write it, and return upsampler -> seed -> mIoU. ``skip``: runs (upsampler, seed) that are
    not finished."""
    draw = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    upsamplers = {name: dict(type=name) for name in upsamplers}
    about = dict(config='configs/own_model.py', cfg={}, baseline=next(iter(upsamplers)),
                 upsamplers=upsamplers, seeds=list(seeds), sites=['decode_head'],
                 robustness=dict(attacks=list(ATTACKS), eps=list(BUDGETS), steps=[3, 10])
                 if robustness else None)
    (folder / 'comparison.json').write_text(json.dumps(about))
    of_seed, values = {seed: draw.normal(0, 0.5) for seed in seeds}, {}
    with open(folder / 'runs.jsonl', 'w') as file:
        for place, name in enumerate(upsamplers):
            for seed in seeds:
                miou = 76 + 0.4 * place + of_seed[seed] + draw.normal(0, 0.2)
                run = _run(draw, name, seed, miou, robustness, classes)
                if (name, seed) not in skip:
                    file.write(json.dumps(run) + '\n')
                    values.setdefault(name, {})[seed] = miou
    if cost:
        (folder / 'cost.json').write_text(json.dumps(dict(
            conditions=dict(threads=1, shape=[1, 3, 128, 128]),
            rows={name: _cost(place) for place, name in enumerate(upsamplers)})))
    if predictions:
        _write_predictions(draw, folder / 'predictions', upsamplers, side)
    return values


def _run(draw, name, seed, miou, robustness, classes):
    metrics = dict(aAcc=97., mIoU=miou, mBIoU=miou - 30 + draw.normal(0, 0.1))
    rows = [dict(kind='clean', name='clean', norm=None, eps=None, alpha=None, steps=None,
                 severity=None, metrics=metrics)]
    for attack in ATTACKS:
        for eps in BUDGETS:
            for steps in (10, 3):  # that of 10 steps counts
                value = miou / (1 + 2 * eps) + (10 - steps) + draw.normal(0, 0.3)
                rows.append(dict(kind='attack', name=attack, norm='linf', eps=eps, alpha=None,
                                 steps=steps, severity=None, metrics=dict(mIoU=value, mBIoU=value)))
    by_class = {label: miou + 5 * i + draw.normal() for i, label in enumerate(CLASSES)}
    return dict(upsampler=name, seed=seed, metrics=metrics,
                classes=dict(IoU=by_class, BIoU={**by_class, 'grass': float('nan')})
                if classes else {}, robustness=rows if robustness else [],
                seconds=dict(train=100. + seed, test=8., robustness=30. if robustness else None),
                checkpoint=None, conditions=dict(torch='2.13.0', device='cpu', threads=1))


def _cost(place):
    passes = dict(quartiles=[1., 1.1], seconds=0.05, bilinear_peak_bytes=100)
    return {'parameters': 3_700_000 + 1000 * place**2, 'upsampler_parameters': 1000 * place**2,
            'macs': 1.2e9 + 4e7 * place, 'forward': dict(passes, ratio=1. + 0.2 * place,
                                                         peak_bytes=100 + 10 * place),
            'forward+backward': dict(passes, ratio=1. + 0.3 * place, peak_bytes=100 + 20 * place)}


def _write_predictions(draw, folder, upsamplers, side):
    """Truth: a disc on two halves. Image 3 is where the upsamplers differ most, at its disc."""
    folder.mkdir()
    y, x = np.mgrid[:side, :side]
    truth, found = {}, {name: {} for name in upsamplers}
    for index in range(6):
        radius = np.hypot(y - 0.7 * side, x - 0.3 * side)
        labels = np.where(x < side / 2, 2, 3).astype(np.uint8)
        labels[:2] = 255
        labels[radius < side / 5] = 1
        picture = np.array(PALETTE)[np.where(labels == 255, 0, labels)]
        picture = np.clip(picture + draw.normal(0, 20, picture.shape), 0, 255)
        truth.update({f'image_{index:03}': picture.astype(np.uint8),
                      f'truth_{index:03}': labels})
        for place, name in enumerate(upsamplers):
            guess = np.where(x < side / 2, 2, 3).astype(np.uint8)
            guess[radius < side / 5 - (place * side / 40 if index == 3 else place % 2)] = 1
            found[name][f'prediction_{index:03}'] = guess
    np.savez(folder / 'truth.npz', **truth)
    for name, arrays in found.items():
        np.savez(folder / f'{name}.npz', **arrays)
    (folder / 'meta.json').write_text(json.dumps(dict(
        kind='labels', classes=CLASSES, palette=PALETTE)))

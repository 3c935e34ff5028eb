"""Draw pairs of a config's validation and test sets: left view, truth, prediction, error."""
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch.utils.data import default_collate

from mmups.engine.checkpoint import check_weights
from mmups.engine.cli import build_runner, common_parser, load_config, one_line_errors

#: Pixels at which the colours of errors end.
WORST = 8


def parse_args():
    parser = common_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--num', type=int, default=4, help='pairs of the validation set, beneath '
                        'those of the test set (default: 4)')
    parser.add_argument('--out', help='picture to write (default: <work-dir>/sheet.png)')
    return parser.parse_args()


def draw(rows: list, out: Path) -> None:
    """Write the sheet; each row is a view (H, W, 3), truth with NaN where unknown, and prediction
    (H, W)."""
    heights = [view.shape[0] / view.shape[1] for view, *_ in rows]
    figure = Figure(figsize=(14, 3.3 * sum(heights) + 0.4 * len(rows)), layout='constrained')
    axes = figure.subplots(len(rows), 4, squeeze=False, gridspec_kw=dict(height_ratios=heights))
    for line, (view, truth, prediction) in zip(axes, rows):
        scale = dict(vmin=0, vmax=np.nanmax(truth), cmap='turbo', interpolation='nearest')
        error = np.abs(prediction - truth)
        line[0].imshow(view)
        line[1].imshow(truth, **scale)
        figure.colorbar(line[2].imshow(prediction, **scale), ax=line[1:3], label='pixels')
        shown = line[3].imshow(error, vmin=0, vmax=WORST, cmap='magma', interpolation='nearest')
        figure.colorbar(shown, ax=line[3], label='pixels', extend='max')
        line[3].set_xlabel(f'EPE {np.nanmean(error):.2f}, above 3 pixels '
                           f'{np.mean(error[~np.isnan(error)] > 3):.1%}')
        for axis in line:
            axis.set(xticks=[], yticks=[])
    for axis, title in zip(axes[0], ('left view', 'disparity', 'prediction', 'error')):
        axis.set_title(title)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=90)


def main():
    args = parse_args()
    with one_line_errors():
        cfg = load_config(args)
        cfg.load_from = args.checkpoint
        runner = build_runner(cfg)
        check_weights(runner.model, args.checkpoint)
    runner.load_or_resume()
    runner.model.eval()
    rows = []
    for dataset, count in ((runner.test_dataloader.dataset, None),
                           (runner.val_dataloader.dataset, args.num)):
        for item in islice(dataset, count):
            with torch.no_grad():
                sample, = runner.model.test_step(default_collate([item]))
            maps = {name: array.cpu().numpy() for name, array in sample.items()}
            truth = np.where(maps['valid'], maps['disparity'], np.nan)
            rows.append((item['inputs'][:3].permute(1, 2, 0).numpy(), truth, maps['prediction']))
    out = Path(args.out or Path(cfg.work_dir) / 'sheet.png')
    draw(rows, out)
    print(f'{len(rows)} pairs drawn in {out}')


if __name__ == '__main__':
    main()

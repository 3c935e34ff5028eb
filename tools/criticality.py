"""Reset one upsampling step of a trained model at a time; report what each of them is worth."""
import csv
import json
from pathlib import Path

from mmups.engine.checkpoint import check_weights
from mmups.engine.cli import build_runner, common_parser, load_config, one_line_errors


def parse_args():
    parser = common_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', type=Path, metavar='FOLDER', help='where criticality.json, .csv '
                        'and .png go (default: the work dir)')
    return parser.parse_args()


def write(rows, conditions, folder):
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dict(conditions, rows=rows), indent=1)
    (folder / 'criticality.json').write_text(f'{text}\n', encoding='utf-8')
    with (folder / 'criticality.csv').open('w', newline='') as file:
        writer = csv.writer(file)
        metrics = list(rows[0]['metrics'])
        writer.writerow(['step', 'reset', *metrics, *(f'drop of {name}' for name in metrics),
                         'agreement', 'cosine'])
        for row in rows:
            writer.writerow([row['step'] or '', row['reset'] or '',
                             *(row['metrics'].get(name, '') for name in metrics),
                             *(row.get('drop', {}).get(name, '') for name in metrics),
                             row.get('agreement', ''), row.get('cosine', '')])


def main():
    args = parse_args()
    with one_line_errors():
        from mmengine.utils import track_iter_progress

        from mmups.engine.criticality import criticality
        from mmups.visualization import draw_criticality
        cfg = load_config(args)
        if cfg.launcher != 'none':
            raise ValueError(f'criticality runs in one process, got --launcher {cfg.launcher}')
        cfg.load_from = args.checkpoint
        runner = build_runner(cfg)
        check_weights(runner.model, args.checkpoint)
        seed = args.seed or 0
        rows = criticality(runner, seed, lambda loader: track_iter_progress((loader, len(loader))))
        folder = args.out or Path(cfg.work_dir)
        write(rows, dict(config=args.config, checkpoint=args.checkpoint, seed=seed), folder)
        draw_criticality(rows, folder / 'criticality.png',
                         f'{Path(args.config).stem}: one step reset at a time')
        print(table(rows))
        print(f'written: {folder}/criticality.json, .csv, .png')


def table(rows):
    metrics = list(rows[0]['metrics'])
    lines = [f'\n| step | reset to | {" | ".join(metrics)} | agreement | cosine |',
             '|---' * (len(metrics) + 4) + '|']
    for row in rows:
        values = [row['metrics'].get(name) for name in metrics]
        values += [row.get('agreement'), row.get('cosine')]
        text = ' | '.join('' if value is None else f'{value:.4g}' for value in values)
        lines.append(f'| {row["step"] or "none"} | {row["reset"] or ""} | {text} |')
    return '\n'.join(lines)


if __name__ == '__main__':
    main()

"""Draw scenes of a segmentation config's test set: image, ground truth, prediction."""
from mmups.engine.checkpoint import check_weights
from mmups.engine.cli import build_runner, common_parser, load_config, one_line_errors


def parse_args():
    parser = common_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', help='picture to write (default: <work-dir>/sheet.png)')
    parser.add_argument('--num', type=int, default=12, help='number of scenes (default: 12)')
    args = parser.parse_args()
    if args.num < 1:
        parser.error(f'--num must be 1 or more, got {args.num}')
    return args


def main():
    args = parse_args()
    with one_line_errors():
        from mmups.engine.predict import predict_segmentations  # needs mmcv
        from mmups.visualization import draw_sheet
        cfg = load_config(args)
        cfg.load_from = args.checkpoint
        runner = build_runner(cfg)
        check_weights(runner.model, args.checkpoint)
        scenes, meta = predict_segmentations(runner, args.num)
        if runner.rank == 0:
            out = draw_sheet(scenes, meta['classes'], meta['palette'],
                             args.out or f'{cfg.work_dir}/sheet.png')
            print(f'{len(scenes)} scenes drawn in {out}')


if __name__ == '__main__':
    main()

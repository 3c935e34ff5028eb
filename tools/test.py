"""Evaluate a checkpoint of mmups, mmdet or mmseg on its config's test set."""
from mmups.engine.checkpoint import check_weights
from mmups.engine.cli import build_runner, common_parser, load_config, one_line_errors


def parse_args():
    parser = common_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint file')
    return parser.parse_args()


def main():
    args = parse_args()
    with one_line_errors():
        cfg = load_config(args)
        cfg.load_from = args.checkpoint
        runner = build_runner(cfg)
        check_weights(runner.model, args.checkpoint)
    runner.test()


if __name__ == '__main__':
    main()

"""Evaluate a checkpoint of mmups, mmdet or mmseg on its config's test set."""
from mmups.engine.cli import build_runner, common_parser, load_config


def parse_args():
    parser = common_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint file')
    return parser.parse_args()


def main():
    args = parse_args()
    cfg = load_config(args)
    cfg.load_from = args.checkpoint
    build_runner(cfg).test()


if __name__ == '__main__':
    main()

"""Train a model of mmups, mmdet or mmseg."""
from mmengine.runner import find_latest_checkpoint

from mmups.engine.checkpoint import check_weights
from mmups.engine.cli import build_runner, common_parser, load_config, one_line_errors


def parse_args():
    parser = common_parser(__doc__)
    parser.add_argument('--resume', nargs='?', const='auto', metavar='CHECKPOINT',
                        help='resume from CHECKPOINT, or from the latest one in the work directory')
    parser.add_argument('--amp', action='store_true',
                        help='automatic mixed precision; needs a GPU')
    parser.add_argument('--auto-scale-lr', action='store_true',
                        help="scale the learning rate by the batch size, by the config's rule")
    return parser.parse_args()


def main():
    args = parse_args()
    with one_line_errors():
        cfg = load_config(args)
        if args.amp:
            cfg.optim_wrapper.type = 'AmpOptimWrapper'
            cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
        if args.auto_scale_lr:
            if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
                raise ValueError(f'{args.config} has no auto_scale_lr.base_batch_size; add it or '
                                 'leave --auto-scale-lr out')
            cfg.auto_scale_lr.enable = True
        if args.resume is not None:
            cfg.resume = True
            cfg.load_from = None if args.resume == 'auto' else args.resume
        runner = build_runner(cfg)
        if cfg.get('resume'):
            checkpoint = cfg.get('load_from') or find_latest_checkpoint(cfg.work_dir)
            if checkpoint:  # else mmengine would hand the optimizer the state of other weights
                check_weights(runner.model, checkpoint, exact=True)
    runner.train()


if __name__ == '__main__':
    main()

"""Measure a checkpoint of mmups, mmseg or mmdet under attacks, corruptions, shifts."""
from mmups.attacks import ATTACKS
from mmups.attacks.regression import ERRORS
from mmups.engine.checkpoint import check_weights
from mmups.engine.cli import build_runner, common_parser, load_config, one_line_errors

DEFAULT = ('cospgd', 'segpgd', 'pgd')


def shift(text):
    dy, dx = map(float, text.split(','))
    return dy, dx


def parse_args():
    parser = common_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--attacks', nargs='+', metavar='NAME',
                        help=f'of {", ".join(ATTACKS)} (default: {" ".join(DEFAULT)}, or none '
                        'beside --corruptions or --shifts)')
    parser.add_argument('--eps', nargs='+', type=float, default=[0.25, 0.5, 1, 2],
                        help='budgets in units of 0..255 (default: 0.25 0.5 1 2)')
    parser.add_argument('--steps', nargs='+', type=int, default=[10],
                        help='numbers of steps (default: 10)')
    parser.add_argument('--norm', default='linf', help='linf or l2 (default: linf)')
    parser.add_argument('--alpha', type=float,
                        help='length of a step in units of 0..255 (default: eps / 4)')
    parser.add_argument('--long', action='store_true',
                        help='also attack with ten times the steps, to look for masked gradients')
    parser.add_argument('--transfer-from', nargs=2, metavar=('CONFIG', 'CHECKPOINT'),
                        help='also attack with images made on another model')
    parser.add_argument('--corruptions', nargs='+', default=[], metavar='NAME',
                        help='common corruptions by name, or all')
    parser.add_argument('--severities', nargs='+', type=int, default=[1, 2, 3, 4, 5],
                        help='of corruptions (default: 1 2 3 4 5)')
    parser.add_argument('--shifts', nargs='+', type=shift, default=[], metavar='DY,DX',
                        help='shift consistency of a segmentor, in pixels: 1,0 4,3 0.5,0.5')
    parser.add_argument('--error', choices=ERRORS,
                        help='what is attacked where numbers are predicted (default: l1 of '
                        'colours, log of depth)')
    args = parser.parse_args()
    if args.attacks is None:
        args.attacks = [] if args.corruptions or args.shifts else DEFAULT
    return args


def main():
    args = parse_args()
    with one_line_errors():
        cfg = load_config(args)
        cfg.load_from = args.checkpoint
        names = ('attacks', 'eps', 'steps', 'norm', 'alpha', 'long', 'corruptions', 'severities',
                 'shifts', 'error')
        cfg.test_cfg = dict(type='mmups.RobustnessTestLoop',
                            fp16=(cfg.get('test_cfg') or {}).get('fp16', False),
                            **{name: getattr(args, name) for name in names})
        if args.transfer_from:
            cfg.test_cfg.transfer = dict(zip(('config', 'checkpoint'), args.transfer_from))
        if args.seed is not None:
            cfg.test_cfg.seed = args.seed
        runner = build_runner(cfg)
        loop = runner.test_loop  # says what is wrong with its arguments
        check_weights(runner.model, args.checkpoint)
        runner.test()
        if runner.rank == 0:
            from mmups.engine.robustness.loop import summary
            print(summary(loop.rows))
            print(f'results: {runner.work_dir}/robustness')


if __name__ == '__main__':
    main()

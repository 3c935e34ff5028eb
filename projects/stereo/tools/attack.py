"""Attack both views of the test set of a config with PGD; prints a table."""
import torch
from mmengine.runner import Runner

from mmups.attacks import PGD
from mmups.engine.checkpoint import check_weights
from mmups.engine.cli import build_runner, common_parser, load_config, one_line_errors


def parse_args():
    parser = common_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--eps', type=float, nargs='+', default=[0, 0.5, 1, 2, 4], help='budgets '
                        '(linf) in units of 0..255; 0: clean (default: 0 0.5 1 2 4)')
    parser.add_argument('--steps', type=int, default=5, help='of the attack (default: 5)')
    return parser.parse_args()


def measure(runner: Runner, eps: float, steps: int) -> dict:
    """Metrics of the test set under attack."""
    from projects.stereo.stereo import attack_views  # the config has imported it
    model, evaluator = runner.model, runner.test_loop.evaluator
    generator = torch.Generator().manual_seed(runner.cfg.randomness.seed or 0)
    for batch in runner.test_dataloader:
        batch = model.data_preprocessor(batch)
        if eps:
            batch['inputs'] = attack_views(model, PGD(eps=eps, steps=steps), **batch,
                                           generator=generator)
        with torch.no_grad():
            evaluator.process(model(**batch, mode='predict'), batch)
    return evaluator.evaluate(len(runner.test_dataloader.dataset))


def main():
    args = parse_args()
    with one_line_errors():
        cfg = load_config(args)
        cfg.load_from = args.checkpoint
        runner = build_runner(cfg)
        check_weights(runner.model, args.checkpoint)
    runner.load_or_resume()
    runner.model.eval().requires_grad_(False)
    print(f'PGD on both views, linf, {args.steps} steps of eps / 4, random start\n')
    print('| eps / 255 | EPE | 3px | EPE, visible | 3px, visible |\n|---|---|---|---|---|')
    for eps in args.eps:
        values = measure(runner, eps, args.steps).values()
        print(f'| {eps:g} |', ' | '.join(f'{value:.2f}' for value in values), '|', flush=True)


if __name__ == '__main__':
    main()

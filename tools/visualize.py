"""Draw what a trained model predicts, and what its upsamplers do."""
import argparse
from functools import partial

from mmups.attacks import ATTACKS
from mmups.engine.checkpoint import check_weights
from mmups.engine.cli import add_common_arguments, build_runner, load_config, one_line_errors

COMMANDS = {
    'predictions': 'scenes of the test set: image, truth, prediction; of depth the error, too; '
                   'where images are restored, degraded, truth, restored',
    'spectrum': 'power spectra before and after every upsampling step, and of the predictions',
    'sampling': 'points at which upsamplers sample, their offsets, the share of folded ones',
    'kernels': 'kernels of the upsamplers that have some, with their frequency response',
    'features': 'one map of the model upsampled by every preset side by side',
}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    for name, text in COMMANDS.items():
        command = add_common_arguments(
            commands.add_parser(name, help=text, description=f'Draw {text}.'))
        command.add_argument('checkpoint', help='checkpoint file')
        command.add_argument('--out', help=f'picture to write (default: <work-dir>/{name}.png)')
        if name in ('predictions', 'spectrum'):
            number = 12 if name == 'predictions' else 32
            command.add_argument('--num', type=int, default=number, help='number of images '
                                 f'(default: {number})')
        else:
            command.add_argument('--index', type=int, default=0, help='image of the test set '
                                 '(default: 0)')
        if name == 'spectrum':
            command.add_argument('--attack', choices=ATTACKS, help='also draw spectra of attacked '
                                 'images (default: clean ones alone)')
            command.add_argument('--eps', type=float, default=2, help='budget of the attack '
                                 '(linf), in units of 0..255 (default: 2)')
            command.add_argument('--steps', type=int, default=10, help='(default: 10)')
        if name == 'features':
            command.add_argument('--presets', nargs='+', metavar='PRESET', help='names of files in '
                                 'configs/_base_/upsamplers (default: all)')
            command.add_argument('--fit', type=int, default=100, metavar='STEPS', help='each '
                                 'method first learns to bring this map back from half its size; '
                                 '0: as it is initialised (default: 100)')
    args = parser.parse_args()
    for name, least in (('num', 1), ('index', 0), ('fit', 0)):
        if getattr(args, name, least) < least:
            parser.error(f'--{name} must be {least} or more, got {getattr(args, name)}')
    return args


def predictions(runner, args):
    from mmups.engine import predict
    from mmups.visualization import draw_depth_sheet, draw_restorations, draw_sheet
    kind = predict.kind_of(runner)
    if kind == 'depth':
        scenes, draw = predict.predict_depths(runner, args.num), draw_depth_sheet
    elif kind == 'image':
        scenes, draw = predict.predict_restorations(runner, args.num), draw_restorations
    else:
        scenes, meta = predict.predict_segmentations(runner, args.num)
        draw = partial(draw_sheet, classes=meta['classes'], palette=meta['palette'])
    if runner.rank == 0:
        yield f'{len(scenes)} scenes drawn in {draw(scenes, out=args.out)}'


def spectrum(runner, args):
    from mmups.engine import pictures
    from mmups.engine.maps import attacked
    if args.attack is None:
        return pictures.spectrum(runner, args.num, args.out)
    attack = ATTACKS[args.attack](eps=args.eps, steps=args.steps)
    return pictures.spectrum(runner, args.num, args.out, attacked(attack, args.seed or 0),
                             f'{args.attack}, eps {args.eps:g}/255')


def sampling(runner, args):
    from mmups.engine import pictures
    return pictures.sampling(runner, args.index, args.out)


def kernels(runner, args):
    from mmups.engine import pictures
    return pictures.kernels(runner, args.index, args.out)


def features(runner, args):
    from mmengine.utils import track_iter_progress

    from mmups import presets
    from mmups.engine import pictures
    from mmups.preset_files import upsampler_named
    chosen = {name: upsampler_named(name) for name in args.presets or presets()}
    return pictures.features(runner, args.index, args.out, chosen, args.fit, track_iter_progress)


def main():
    args = parse_args()
    with one_line_errors():
        cfg = load_config(args)
        cfg.load_from = args.checkpoint
        args.out = args.out or f'{cfg.work_dir}/{args.command}.png'
        runner = build_runner(cfg)
        check_weights(runner.model, args.checkpoint)
        for line in globals()[args.command](runner, args):
            print(line, flush=True)


if __name__ == '__main__':
    main()

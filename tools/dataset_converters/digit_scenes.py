"""Make a DigitScenes data set: pictures, semantic, instance, panoptic and depth labels.

    python tools/dataset_converters/digit_scenes.py data/digit_scenes
    python tools/dataset_converters/digit_scenes.py data/digit_scenes_14 --classes 14

are what the configs of this project read. An existing folder is never changed.
"""
import argparse
import json
import sys
from pathlib import Path


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', help='folder to make')
    parser.add_argument('--size', type=int, nargs='+', default=[128], metavar='N',
                        help='height and width of the scenes, or one number for both, 64 or more '
                        '(default: 128)')
    parser.add_argument('--train', type=int, default=800, help='training scenes (default: 800)')
    parser.add_argument('--val', type=int, default=160, help='validation scenes (default: 160)')
    parser.add_argument('--seed', type=int, default=0, help='default: 0')
    parser.add_argument('--classes', type=int, default=5,
                        help='5: four kinds of stuff and "digit" (default); 14: four kinds of '
                        'stuff and ten digits, on the same pictures')
    parser.add_argument('--stroke', type=float, default=1., metavar='RATIO',
                        help="width of the digits' strokes, 0.3 to 2 times the usual one "
                        '(default: 1)')
    return parser.parse_args()


def main():
    args = parse_args()
    size = args.size * 2 if len(args.size) == 1 else args.size
    try:  # imported late: --help and wrong arguments are answered at once
        from tqdm import tqdm

        from mmups.datasets.digit_scenes_files import write_digit_scenes
        written = write_digit_scenes(
            args.out, size, args.train, args.val, args.seed, args.classes,
            args.stroke, progress=lambda scenes: tqdm(scenes, unit='scene', disable=None))
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f'error: {error}')
    settings = json.loads((Path(args.out) / 'manifest.json').read_text())
    print(f'{args.out} {"written" if written else "is complete already, nothing to do"}: '
          f'{json.dumps(settings)}')


if __name__ == '__main__':
    main()

"""Make a data set for image restoration from photographs that installed packages carry.

    python tools/dataset_converters/photos.py noise data/photo_noise
    python tools/dataset_converters/photos.py blur data/photo_blur

are what the configs of this project read. An existing folder is never changed.
"""
import argparse
import json
import sys
from pathlib import Path


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('task', choices=['noise', 'blur'], help='noise: PhotoNoise, Gaussian noise '
                        'of 25 levels; blur: PhotoBlur, a shaking camera')
    parser.add_argument('out', help='folder to make')
    parser.add_argument('--train', type=int, default=240, help='training pairs (default: 240)')
    parser.add_argument('--test', type=int, default=25, help='test pairs (default: 25)')
    parser.add_argument('--seed', type=int, default=0, help='default: 0')
    return parser.parse_args()


def main():
    args = parse_args()
    try:  # imported late: --help and wrong arguments are answered at once
        from tqdm import tqdm

        from mmups.datasets.photo_files import write_photos
        written = write_photos(args.task, args.out, args.train, args.test, args.seed,
                               progress=lambda pairs: tqdm(pairs, unit='pair', disable=None))
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f'error: {error}')
    settings = json.loads((Path(args.out) / 'manifest.json').read_text())
    print(f'{args.out} {"written" if written else "is complete already, nothing to do"}: '
          f'{json.dumps(settings)}')


if __name__ == '__main__':
    main()

"""List what a config upsamples, or write a config that inherits it with another upsampler."""
import argparse
import os
import subprocess
import sys
import warnings
from pathlib import Path

from mmups.child_config import base_of, child_config, files_of, write_config
from mmups.engine.cli import KeyValues, one_line_errors, read_config
from mmups.engine.forks import refuse_forks
from mmups.preset_files import upsampler_named
from mmups.swap import choose, list_sites, swap_upsampler


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog='Without UPSAMPLER the sites are listed. With --train, all '
        'further arguments go to tools/train.py.')
    parser.add_argument('config', help='path of a config, or a name such as '
                        'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py')
    parser.add_argument('upsampler', nargs='?', help='a type such as DySample, or a preset of '
                        'configs/_base_/upsamplers such as dysample-s-plus')
    parser.add_argument('--upsampler-options', nargs='+', action=KeyValues, default={},
                        metavar='KEY=VALUE', help='arguments of the upsampler, e.g. groups=8')
    parser.add_argument('--sites', nargs='+', default=['default'], metavar='SITE',
                        help='default, all (with the optional ones), or sites as they are listed')
    parser.add_argument('--generic', action='store_true', help='also look for interpolations in '
                        'classes that have no slot; methods with a guide do not fit there')
    parser.add_argument('--out', type=Path, help='config to write (default: <config>_<upsampler>'
                        '.py in the current directory)')
    parser.add_argument('--force', action='store_true', help='overwrite an existing file')
    parser.add_argument('--dry-run', action='store_true', help='print the config, write nothing')
    parser.add_argument('--train', action='store_true', help='train the new config')
    args, rest = parser.parse_known_args()
    if rest and not args.train:
        parser.error(f'unrecognized arguments: {" ".join(rest)}')
    if args.train and (args.dry_run or not args.upsampler):
        parser.error('--train needs an UPSAMPLER and a config that is written')
    if args.out is None and args.upsampler:
        stem = Path(args.config.split('::')[-1]).stem
        preset = Path(args.upsampler.split('::')[-1])
        name = preset.stem if preset.suffix == '.py' else preset.name
        args.out = Path(f'{stem}_{name.lower()}.py')
    return args, rest


def upsampler_of(args):
    """The upsampler's config from the command line."""
    if '::' in args.upsampler:
        cfg = read_config(args.upsampler).upsampler.to_dict()
    else:
        cfg = upsampler_named(args.upsampler)
    return {**cfg, **args.upsampler_options}


def table(sites, chosen=None):
    """Lines of a table of sites; with ``chosen``, of what became of them."""
    rows = [('site', 'class', 'steps x channels, factor, guide', 'swapped')]
    for site in sites:
        swapped = 'optional' if site.optional else 'default'
        if chosen is not None:
            swapped = f'yes, to {site.slot}' if site in chosen else 'no'
        rows.append((site.path, site.host, '; '.join(map(str, site.steps)) or '-',
                     swapped if site.reason is None else f'no: {site.reason}'))
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ['  '.join(map(str.ljust, row[:-1], widths)) + f'  {row[-1]}' for row in rows]


def check_out(args):
    """Refuse a place for the new config before anything is computed.

    Raises:
        ValueError: It is no place for a config, or the new config would inherit itself.
        FileExistsError: Something is there, and ``--force`` is not given.
    """
    if args.out.is_dir() or args.out.suffix != '.py':
        raise ValueError(f'--out is the file to write, NAME.py; got {str(args.out)!r}'
                         + (', a folder' if args.out.is_dir() else ''))
    if not args.out.exists():
        return
    for file in files_of(lambda: read_config(args.config)):
        if os.path.exists(file) and os.path.samefile(file, args.out):
            raise ValueError(f'{args.out} is what the new config inherits, or a part of it, and '
                             'cannot be overwritten; name another file with --out')
    if not args.force and not args.dry_run:
        raise FileExistsError(f'{args.out} exists; overwrite it with --force or name another file '
                              'with --out')


def swap(args):
    """Do what the arguments say."""
    cfg = read_config(args.config)
    refuse_forks(cfg)
    if args.upsampler is None:
        sites = list_sites(cfg, generic=args.generic)
        nothing = ('nothing in this model interpolates' if args.generic else
                   'mmups knows no class in this model: docs/slots.md lists those that have a '
                   'slot, and --generic looks at others')
        print('\n'.join(table(sites)) if sites else nothing)
        return
    check_out(args)
    base = base_of(args.config, cfg, args.out)
    upsampler = upsampler_of(args)
    wanted = args.sites[0] if args.sites in (['default'], ['all']) else args.sites
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of sites left as they are: the table below says it
        swapped = swap_upsampler(cfg, upsampler, wanted, args.generic)
    sites = list_sites(cfg, upsampler, args.generic)
    text = child_config(base, cfg, swapped)
    if not args.dry_run:
        write_config(args.out, text, swapped)
    print('\n'.join(table(sites, choose(sites, wanted))))
    print(f'\n{text}' if args.dry_run else f'\n{args.out} written')


def main():
    args, rest = parse_args()
    with one_line_errors():
        swap(args)
    if args.train:
        train = Path(__file__).with_name('train.py')
        sys.exit(subprocess.call([sys.executable, train, args.out, *rest]))


if __name__ == '__main__':
    main()

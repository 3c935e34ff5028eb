"""Compare upsamplers on a config: train, test, attack and measure each, and write a report."""
import argparse
import sys
from pathlib import Path

from mmups.attacks import ATTACKS
from mmups.engine.cli import (
    KeyValues,
    add_config_arguments,
    one_line_errors,
    overridden_config,
)
from mmups.engine.comparison import campaign

ROBUSTNESS = dict(attacks=['cospgd', 'segpgd', 'pgd'], eps=[0.25, 0.5, 1, 2], steps=[10],
                  images=None)


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog='compare.py report DIR [--hypotheses FILE] writes the report '
        'anew; compare.py run DIR UPSAMPLER SEED does a single run.')
    add_config_arguments(parser)
    parser.add_argument('--upsamplers', nargs='+', required=True, metavar='NAME',
                        help='presets of configs/_base_/upsamplers or types; the others are '
                        'compared with the first')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2], metavar='SEED',
                        help='a run of each upsampler for each (default: 0 1 2)')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR',
                        help='where everything goes; the same command goes on with what is there, '
                        'and more upsamplers or seeds are added to it')
    parser.add_argument('--sites', nargs='+', default=['default'], metavar='SITE',
                        help='default, all (with the optional ones), or sites as tools/swap.py '
                        'lists them')
    parser.add_argument('--checkpoints', nargs='+', action=KeyValues, metavar='NAME=PATH',
                        help='trained weights of each upsampler, instead of training; one seed')
    parser.add_argument('--robustness', action='store_true',
                        help='also attack every model, with')
    parser.add_argument('--attacks', nargs='+', metavar='NAME', help=f'of {", ".join(ATTACKS)} '
                        f'(default: {" ".join(ROBUSTNESS["attacks"])})')
    parser.add_argument('--eps', nargs='+', type=float,
                        help='budgets in units of 0..255 (default: 0.25 0.5 1 2)')
    parser.add_argument('--steps', nargs='+', type=int, help='numbers of steps (default: 10)')
    parser.add_argument('--images', type=int, metavar='N',
                        help='attack the first N test images (default: all)')
    parser.add_argument('--jobs', type=int, default=1, metavar='N', help='runs at a time, among '
                        'which the GPUs or the cores are shared out (default: 1)')
    parser.add_argument('--dry-run', action='store_true', help='print the plan, start nothing')
    args = parser.parse_args()
    given = {name: getattr(args, name) for name in ROBUSTNESS if getattr(args, name) is not None}
    if given and not args.robustness:
        parser.error(f'--{next(iter(given))} belongs to --robustness')
    if args.jobs < 1:
        parser.error(f'--jobs must be 1 or more, got {args.jobs}')
    args.robustness = {**ROBUSTNESS, **given} if args.robustness else None
    return args


def parse_report(words):
    parser = argparse.ArgumentParser(prog='compare.py report', description='Write the report of '
                                     'a comparison from its finished runs.')
    parser.add_argument('folder', type=Path, metavar='DIR')
    parser.add_argument('--hypotheses', type=Path, metavar='FILE',
                        help='statements to be judged by the intervals')
    return parser.parse_args(words)


def parse_run(words):
    parser = argparse.ArgumentParser(prog='compare.py run', description='Do a single run of a '
                                     'comparison that was started.')
    parser.add_argument('folder', type=Path, metavar='DIR')
    parser.add_argument('upsampler')
    parser.add_argument('seed', type=int)
    return parser.parse_args(words)


def write_report(folder, hypotheses=None):
    from mmups.engine.comparison.report import write_report
    with one_line_errors():
        print(f'report: {write_report(folder, hypotheses)}')


def compare(args):
    """All runs, their costs, the report; returns the exit status."""
    with one_line_errors():
        wanted = args.sites[0] if args.sites in (['default'], ['all']) else args.sites
        comparison = campaign.checked(
            args.out, args.config, overridden_config(args), args.upsamplers, args.seeds, wanted,
            args.robustness, args.checkpoints, data=not args.dry_run)
        comparison.settle()
    failed = campaign.carry_out(comparison, [sys.executable, __file__], args.jobs, print)
    for job in failed:
        print(f'\n{job.name} failed; the end of {job.log}:\n{campaign.last_lines(job.log)}')
    if campaign.finished(args.out):
        write_report(args.out)
    return 1 if failed else 0


def main():
    command, words = (sys.argv[1:2] or [''])[0], sys.argv[2:]
    if command == 'report':
        args = parse_report(words)
        write_report(args.folder, args.hypotheses)
    elif command == 'run':
        from mmups.engine.comparison.run import execute
        args = parse_run(words)
        sys.exit(execute(args.folder, args.upsampler, args.seed))
    else:
        sys.exit(compare(parse_args()))


if __name__ == '__main__':
    main()

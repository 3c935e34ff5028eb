"""Compare upsamplers on a config: train, test, attack and measure each, and write a report."""
import argparse
import os
import signal
import sys
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn

from mmups.attacks import ATTACKS
from mmups.engine.cli import (
    KeyValues,
    add_config_arguments,
    one_line_errors,
    overridden_config,
)
from mmups.engine.comparison.campaign import carry_out
from mmups.engine.comparison.check import checked
from mmups.engine.comparison.ledger import finished
from mmups.engine.comparison.pool import (
    CLUSTERS,
    LocalPool,
    SubmititPool,
    cores,
    last_lines,
    visible_devices,
)
from mmups.engine.comparison.preview import preview

ROBUSTNESS = dict(attacks=['cospgd', 'segpgd', 'pgd'], eps=[0.25, 0.5, 1, 2], steps=[10],
                  images=None)


class Variants(argparse.Action):
    """Collects a name, an upsampler and settings at each call."""

    def __call__(self, parser, namespace, values, option_string=None):
        if len(values) < 3 or any('=' in word for word in values[:2]):
            raise argparse.ArgumentError(self, 'takes a name, an upsampler and one KEY=VALUE or '
                                         f'more, got {" ".join(values)!r}')
        name, upsampler, *words = values
        settings = argparse.Namespace()
        KeyValues(self.option_strings, 'found')(parser, settings, words, option_string)
        setattr(namespace, self.dest, [*getattr(namespace, self.dest),
                                       (name, upsampler, settings.found)])


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog='compare.py report DIR [--hypotheses FILE] writes the report '
        'anew. compare.py run DIR UPSAMPLER SEED, pictures DIR and cost DIR do a part of a '
        'comparison that was started, in this process.')
    add_config_arguments(parser)
    parser.add_argument('--upsamplers', nargs='+', required=True, metavar='NAME',
                        help='presets of configs/_base_/upsamplers or types, or stock: the model '
                        'as its config has it; the others are compared with the first')
    parser.add_argument('--variant', nargs='+', action=Variants, default=[], dest='variants',
                        metavar=('NAME UPSAMPLER', 'KEY=VALUE'), help='one more of them, under a '
                        'name of its own and with settings of its own; may be repeated, e.g. '
                        'wide bilinear model.decode_head.channels=256')
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
    parser.add_argument('--executor', choices=CLUSTERS, help='hand the runs to submitit: local '
                        'processes or a Slurm cluster (default: processes of our own)')
    parser.add_argument('--executor-options', nargs='+', action=KeyValues, default={},
                        metavar='KEY=VALUE', help="of submitit's update_parameters, e.g. "
                        'slurm_partition=gpu timeout_min=600 gpus_per_node=1')
    parser.add_argument('--dry-run', action='store_true', help='print the plan, start nothing')
    args = parser.parse_args()
    given = {name: getattr(args, name) for name in ROBUSTNESS if getattr(args, name) is not None}
    if given and not args.robustness:
        parser.error(f'--{next(iter(given))} belongs to --robustness')
    if args.jobs < 1:
        parser.error(f'--jobs must be 1 or more, got {args.jobs}')
    if args.executor_options and not args.executor:
        parser.error('--executor-options belongs to --executor')
    args.robustness = {**ROBUSTNESS, **given} if args.robustness else None
    return args


def parse_report(words):
    parser = argparse.ArgumentParser(prog='compare.py report', description='Write the report of '
                                     'a comparison from its finished runs.')
    parser.add_argument('folder', type=Path, metavar='DIR')
    parser.add_argument('--hypotheses', type=Path, metavar='FILE',
                        help='statements to be judged by the intervals')
    return parser.parse_args(words)


def parse_part(command, words):
    """Of the parts that the main command starts as processes of their own."""
    parser = argparse.ArgumentParser(prog=f'compare.py {command}')
    parser.add_argument('folder', type=Path, metavar='DIR')
    if command == 'run':
        parser.add_argument('upsampler')
        parser.add_argument('seed', type=int)
    return parser.parse_args(words)


def write_report(folder, hypotheses=None):
    from mmups.engine.comparison.report import write_report
    with one_line_errors():
        print(f'report: {write_report(folder, hypotheses)}')


def compare(args):
    """All runs, the costs, the report; returns the exit status."""
    with one_line_errors():
        comparison, pool = prepared(args)
        if args.dry_run:
            print('\n'.join(preview(comparison, args.jobs, where(args))))
            return 0
        comparison.settle()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what was started, too
    with Progress(TextColumn('{task.description}'), BarColumn(),
                  disable=not sys.stdout.isatty()) as progress:
        bar = progress.add_task('', total=len(comparison.runs))

        def tell(event, state):
            progress.update(bar, completed=state.done + state.failed, description=str(state))
            print(f'{event} ({state})' if event else state, flush=True)

        failed = carry_out(comparison, pool, [sys.executable, __file__], tell)
    for job in failed:
        print(f'\n{job.name} failed; the end of {job.log}:\n{last_lines(job.log)}')
    if failed:
        print(f'\n{len(failed)} failed: {", ".join(job.name for job in failed)}. The same command '
              'tries them again.')
    if finished(comparison.folder):
        write_report(comparison.folder)
    return 1 if failed else 0


def prepared(args):
    """The comparison, and where its runs take place; None where that is not asked for."""
    pool, problems = None, []
    if not args.dry_run:
        try:
            pool = (LocalPool(args.jobs) if args.executor is None else SubmititPool(
                args.jobs, args.out.absolute() / 'submitit', args.executor, args.executor_options))
        except ValueError as error:
            problems.append(str(error))
    sites = args.sites[0] if args.sites in (['default'], ['all']) else args.sites
    comparison = checked(args.out, args.config, overridden_config(args), args.upsamplers,
                         args.seeds, sites, args.robustness, args.checkpoints,
                         data=not args.dry_run, others=problems, variants=args.variants)
    return comparison, pool


def where(args):
    """Where runs take place, in words."""
    if args.executor is None:
        devices = visible_devices()
        return f'on GPUs {", ".join(devices)}' if devices else (
            f'on {max(1, cores() // args.jobs)} of {cores()} cores each')
    options = {**CLUSTERS[args.executor], **args.executor_options}
    return f'by submitit, {args.executor}' + ''.join(
        f', {key}={value}' for key, value in options.items())


def main():
    command, words = (sys.argv[1:2] or [''])[0], sys.argv[2:]
    if command == 'report':
        args = parse_report(words)
        write_report(args.folder, args.hypotheses)
    elif command == 'run':
        from mmups.engine.comparison.run import execute
        args = parse_part(command, words)
        sys.exit(execute(args.folder, args.upsampler, args.seed))
    elif command == 'cost':
        from mmups.engine.comparison.cost import measure_cost
        os.environ.setdefault('KINETO_LOG_LEVEL', '6')  # PyTorch's profiler says when it starts
        measure_cost(parse_part(command, words).folder)
    elif command == 'pictures':
        from mmups.engine.comparison.pictures import draw
        draw(parse_part(command, words).folder)
    else:
        sys.exit(compare(parse_args()))


if __name__ == '__main__':
    main()

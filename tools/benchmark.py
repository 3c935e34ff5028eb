"""Measure what upsamplers cost: parameters, multiply-adds, time, memory."""
import argparse
import os
from pathlib import Path

from mmups import presets
from mmups.analysis import (
    HOSTS,
    MEMORY_FORMATS,
    Effort,
    Results,
    UpsamplerBench,
    added_cost,
    check_backend,
    checked_device,
    comparison,
    file_stem,
    machine,
    measure_all,
    memory_table,
    speed_table,
)
from mmups.engine.cli import one_line_errors

PRESETS = presets()


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    complexity = commands.add_parser(
        'complexity', help="added parameters and multiply-adds beside the DySample paper's numbers")
    complexity.add_argument('--models', nargs='+', choices=HOSTS, default=list(HOSTS),
                            help='models of the paper (default: all)')
    add_presets(complexity, 'all that work in the model')
    speed = commands.add_parser(
        'speed', help='latency and peak memory as ratios to bilinear interpolation, which is '
        'measured in the same rounds')
    add_bench(speed)
    speed.add_argument('--rounds', type=int, default=7, help='bilinear, A, B, bilinear, A, B, ... '
                       '(default: 7)')
    speed.add_argument('--budget', type=float, default=10., metavar='SECONDS', help='what takes '
                       'longer than this in all its rounds gets fewer, 3 at least (default: 10)')
    memory = commands.add_parser(
        'memory', help="peak memory of inference and training as multiples of the output's")
    add_bench(memory)
    compare = commands.add_parser('compare', help='what became slower or faster')
    compare.add_argument('before', type=Path, metavar='A.json', help='a file that speed wrote')
    compare.add_argument('after', type=Path, metavar='B.json', help='one with the same conditions '
                         'and other code or versions')
    return parser.parse_args()


def add_presets(parser, default):
    parser.add_argument('--presets', nargs='+', metavar='PRESET', choices=PRESETS,
                        help=f'names of files in configs/_base_/upsamplers (default: {default})')


def add_bench(parser):
    add_presets(parser, 'all')
    parser.add_argument('--backends', nargs='+', default=['auto', 'reference'], metavar='BACKEND',
                        help='auto, reference, native, triton, mmcv (default: auto reference)')
    parser.add_argument('--channels', type=int, default=256, help='of the map (default: 256)')
    parser.add_argument('--size', type=int, nargs=2, default=[120, 120], metavar=('H', 'W'),
                        help='of the map (default: 120 120)')
    parser.add_argument('--batch', type=int, default=1, help='(default: 1)')
    parser.add_argument('--guide-channels', type=int, default=256, help='of the guide, which has '
                        'twice the size of the map (default: 256)')
    parser.add_argument('--memory-format', nargs='+', choices=MEMORY_FORMATS,
                        default=['contiguous'], help='each beside bilinear interpolation of the '
                        'same format (default: contiguous)')
    parser.add_argument('--threads', type=int, nargs='+', default=[1], help='one file of results '
                        'for each (default: 1)')
    parser.add_argument('--device', default='cpu', help='cpu or cuda (default: cpu)')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/benchmark'), metavar='FOLDER',
                        help='where results go, and a run that was interrupted goes on (default: '
                        'work_dirs/benchmark)')


def print_complexity(models, names):
    for model in models:
        host = HOSTS[model]
        print(f'\n{host.title}: {len(host.sites)} steps; printed: Table {host.table} of '
              'arXiv:2308.15085\n')
        print('| preset | parameters | without biases, norms | printed | G multiply-adds | '
              'printed | note |\n|---|---|---|---|---|---|---|')
        for name in names or PRESETS:
            try:
                cost = added_cost(PRESETS[name], host.sites)
            except ValueError as error:
                print(f'| {name} | | | | | | does not fit: {error} |')
                continue
            parameters, macs = (*host.printed.get(name, ()), '', '')[:2]
            print(f'| {name} | {cost.parameters:,} | {cost.weights:,} | '
                  f'{parameters and "+" + parameters} | {cost.macs / 1e9:.3f} | '
                  f'{macs and "+" + macs} | {host.notes.get(name, "")} |')


def run_bench(args):
    """Measure, once for each number of threads."""
    import torch
    bench = UpsamplerBench(args.channels, tuple(args.size), args.batch, args.guide_channels,
                           args.device)
    device = checked_device(args.device)
    effort = Effort(args.rounds, args.budget) if args.command == 'speed' else None
    for backend in args.backends:
        check_backend(backend, device)
    for threads in args.threads:
        torch.set_num_threads(threads)
        conditions = {**bench.conditions, **machine(device, threads)}
        stem = file_stem(args.command, bench.stem, conditions)
        results = Results.resume(args.out / f'{stem}.json', conditions)
        if results.rows:
            print(f'{len(results.rows)} rows are in {results.path}; without it all are measured '
                  'anew')
        upsamplers = {name: PRESETS[name] for name in args.presets or PRESETS}
        for rows in measure_all(bench, results, upsamplers, args.backends, args.memory_format,
                                effort):
            for row in rows:
                print_row(row)
        table = (speed_table if effort else memory_table)(results)
        results.path.with_suffix('.md').write_text(f'{table}\n', encoding='utf-8')
        print(f'\n{table}\n\n{results.path} written')


def print_row(row):
    what = row.get('refused') or row['pass'] + (f': {row["ratio"]:.2f} of bilinear'
                                                if 'ratio' in row else '')
    print(f'{row["preset"]}, {row["backend"]}, {row["memory_format"]}: {what}', flush=True)


def main():
    args = parse_args()
    os.environ.setdefault('KINETO_LOG_LEVEL', '6')  # PyTorch's profiler says when it starts
    with one_line_errors():
        if args.command == 'complexity':
            print_complexity(args.models, args.presets)
        elif args.command == 'compare':
            print(comparison(Results.load(args.before), Results.load(args.after)))
        else:
            run_bench(args)


if __name__ == '__main__':
    main()

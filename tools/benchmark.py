"""Measure what upsamplers cost: parameters, multiply-adds, time, memory."""
import argparse
import os
from pathlib import Path

from mmups import analysis, presets
from mmups.analysis import HOSTS, speed_tables
from mmups.engine.cli import one_line_errors, read_config

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
    speed.add_argument('--budget', type=float, default=5., metavar='SECONDS', help='what takes '
                       'longer than this in all its rounds gets fewer, 3 at least (default: 5)')
    instead = speed.add_mutually_exclusive_group()
    instead.add_argument('--growth', action='store_true', help='measure at a quarter to 4 times '
                         'the size and an eighth to 4 times the channels, and fit exponents')
    instead.add_argument('--profile', action='store_true', help='list the operators that take the '
                         'time')
    memory = commands.add_parser(
        'memory', help="peak memory of inference and training as multiples of the output's")
    add_bench(memory)
    compare = commands.add_parser('compare', help='what became slower or faster')
    compare.add_argument('before', type=Path, metavar='A.json', help='a file that speed wrote')
    compare.add_argument('after', type=Path, metavar='B.json', help='one with the same conditions '
                         'and other code or versions')
    roofline = commands.add_parser(
        'roofline', help="the least time on an NVIDIA H100, by formulas and the vendor's figures; "
        'nothing is measured')
    add_presets(roofline, 'all')
    roofline.add_argument('--shape', type=int, nargs=4, metavar=('N', 'C', 'H', 'W'),
                          help='of the map (default: 1 256 120 120, then 8 256 128 128)')
    return parser.parse_args()


def add_presets(parser, default):
    parser.add_argument('--presets', nargs='+', metavar='PRESET', choices=PRESETS,
                        help=f'names of files in configs/_base_/upsamplers (default: {default})')


def add_bench(parser):
    add_presets(parser, 'all')
    parser.add_argument('--backends', nargs='+', metavar='BACKEND', help='auto, reference, native, '
                        'triton, mmcv (default: auto reference, and mmcv on a GPU where it is '
                        'installed; with --growth and --profile: auto)')
    parser.add_argument('--config', help='measure the whole model of this config, a path or a name '
                        'as mmseg::FOLDER/NAME.py, instead of upsamplers alone')
    parser.add_argument('--shape', type=int, nargs=2, default=[512, 512], metavar=('H', 'W'),
                        help="of the model's images (default: 512 512)")
    parser.add_argument('--channels', type=int, default=256, help='of the map (default: 256)')
    parser.add_argument('--size', type=int, nargs=2, default=[120, 120], metavar=('H', 'W'),
                        help='of the map (default: 120 120)')
    parser.add_argument('--batch', type=int, default=1, help='(default: 1)')
    parser.add_argument('--guide-channels', type=int, default=256, help='of the guide, which has '
                        'twice the size of the map (default: 256)')
    parser.add_argument('--memory-format', nargs='+', choices=analysis.MEMORY_FORMATS,
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
                cost = analysis.added_cost(PRESETS[name], host.sites)
            except ValueError as error:
                print(f'| {name} | | | | | | does not fit: {error} |')
                continue
            parameters, macs = (*host.printed.get(name, ()), '', '')[:2]
            print(f'| {name} | {cost.parameters:,} | {cost.weights:,} | '
                  f'{parameters and "+" + parameters} | {cost.macs / 1e9:.3f} | '
                  f'{macs and "+" + macs} | {host.notes.get(name, "")} |')


def roofline_text(names=None, shape=None):
    """Tables of predictions, one for each shape."""
    gpu = analysis.H100
    parts = [f'{gpu.name}: {gpu.bandwidth / 1e12:g} TB/s; 10^12 multiply-adds a second: '
             f'{gpu.vector / 1e12:g} in float32, {gpu.matrix / 1e12:g} in bfloat16 convolutions. '
             "Vendor's figures; predicted, not measured."]
    for sizes in [shape] if shape else [(1, 256, 120, 120), (8, 256, 128, 128)]:
        maps = analysis.Maps(*sizes)
        table = speed_tables.roofline_table({
            name: analysis.predict(PRESETS[name], maps) for name in names or PRESETS})
        parts.append(f'{"x".join(map(str, sizes))}, per number of the output, in float32:\n\n'
                     f'{table}')
    return '\n\n'.join(parts)


def bench_of(args):
    """Where upsamplers are measured: on maps, or in a model."""
    if args.config is None:
        return analysis.UpsamplerBench(args.channels, tuple(args.size), args.batch,
                                       args.guide_channels, args.device)
    if getattr(args, 'growth', False):
        raise ValueError('--growth measures upsamplers alone; leave --config out')
    from mmups.engine.model_bench import ModelBench
    return ModelBench(args.config, read_config(args.config), tuple(args.shape), args.batch,
                      args.device)


def default_backends(kind, device):
    """With mmcv's kernel where it is installed and computes something on this device."""
    if kind in ('growth', 'profile'):
        return ['auto']
    try:
        analysis.check_backend('mmcv', device)
    except ValueError:
        return ['auto', 'reference']
    return ['auto', 'reference', 'mmcv']


def run_bench(args):
    """Measure, once for each number of threads."""
    import torch
    bench, device = bench_of(args), analysis.checked_device(args.device)
    kind = next((name for name in ('growth', 'profile') if getattr(args, name, False)),
                args.command)
    args.backends = args.backends or default_backends(kind, device)
    args.presets = {name: PRESETS[name] for name in args.presets or PRESETS}
    for backend in args.backends:
        analysis.check_backend(backend, device)
    if min(args.threads) < 1:
        raise ValueError(f'--threads must be 1 or more, got {min(args.threads)}')
    for threads in args.threads:
        torch.set_num_threads(threads)
        conditions = {**bench.conditions, **analysis.machine(device, threads)}
        path = args.out / analysis.file_stem(kind, bench.stem, conditions)
        if kind == 'profile':
            text = profile(args, bench, device, conditions)
        else:
            text = RUNS[kind](args, bench, path, conditions)
        args.out.mkdir(parents=True, exist_ok=True)
        Path(f'{path}.md').write_text(f'{text}\n', encoding='utf-8')
        print(f'\n{text}\n\n{path}.* written')


def resume(path, conditions):
    """What an earlier run has measured."""
    results = analysis.Results.resume(f'{path}.json', conditions)
    if results.rows:
        print(f'{len(results.rows)} rows are in {results.path} already; remove it to measure them '
              'again')
    return results


def speed(args, bench, path, conditions):
    from mmups.visualization import draw_bars
    results = resume(path, conditions)
    effort = analysis.Effort(args.rounds, args.budget)
    print_rows(analysis.measure_all(bench, results, args.presets, args.backends,
                                    args.memory_format, effort))
    for memory_format in args.memory_format:
        rows = [row for row in results.rows
                if row['memory_format'] == memory_format and 'ratio' in row]
        if rows:
            draw_bars(rows, f'{memory_format}; {speed_tables.conditions_line(conditions)}',
                      f'{path}_{memory_format}.png')
    return speed_tables.speed_table(results)


def memory(args, bench, path, conditions):
    results = resume(path, conditions)
    print_rows(analysis.measure_all(bench, results, args.presets, args.backends,
                                    args.memory_format, None))
    return speed_tables.memory_table(results)


def growth(args, bench, path, conditions):
    from mmups.visualization import draw_growth
    results, points = resume(path, conditions), analysis.Growth(bench)
    effort = analysis.Effort(args.rounds, args.budget)
    print_rows(analysis.grow_all(points, results, args.presets, args.backends, args.memory_format,
                                 effort))
    curves = analysis.curves(points, results.rows)
    exponents = {key: analysis.exponents(lines) for key, lines in curves.items()}
    for kind in dict.fromkeys(kind for kind, _ in curves):
        own = {axis: lines for (name, axis), lines in curves.items() if name == kind}
        draw_growth(own, {axis: exponents[kind, axis] for axis in own},
                    f'{kind}; {speed_tables.conditions_line(conditions)}', f'{path}_{kind}.png')
    return f'{speed_tables.conditions_line(conditions)}\n\n{speed_tables.growth_table(exponents)}'


def profile(args, bench, device, conditions):
    parts = [speed_tables.conditions_line(conditions)]
    for memory_format in args.memory_format:
        for name, upsampler in args.presets.items():
            for backend in args.backends:
                try:
                    passes = bench.candidate(upsampler, memory_format).on(backend)
                except ValueError as error:
                    parts.append(f'{name} does not fit: {error}')
                    continue
                for kind, function in passes.items():
                    table = speed_tables.hotspot_table(analysis.hotspots(function, device))
                    parts.append(f'### {name}, {backend}, {memory_format}, {kind}\n\n{table}')
    return '\n\n'.join(parts)


RUNS = dict(speed=speed, memory=memory, growth=growth)


def print_rows(measured):
    """Print each row when it comes."""
    for rows in measured:
        for row in rows:
            print_row(row)


def print_row(row):
    words = [row['preset'], row['backend'], row['memory_format']]
    if 'size' in row:
        words.append('x'.join(map(str, (row['channels'], *row['size']))))
    words.append(row.get('refused') or row['pass'] + (
        f' {row["ratio"]:.2f} of bilinear, {row["rounds"]} rounds' if 'ratio' in row else ''))
    print(', '.join(words), flush=True)


def main():
    args = parse_args()
    os.environ.setdefault('KINETO_LOG_LEVEL', '6')  # PyTorch's profiler says when it starts
    with one_line_errors():
        if args.command == 'complexity':
            print_complexity(args.models, args.presets)
        elif args.command == 'roofline':
            print(roofline_text(args.presets, args.shape))
        elif args.command == 'compare':
            print(speed_tables.comparison(*map(analysis.Results.load, (args.before, args.after))))
        else:
            run_bench(args)


if __name__ == '__main__':
    main()

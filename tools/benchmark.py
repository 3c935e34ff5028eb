"""Measure what upsamplers cost."""
import argparse

from mmups import presets
from mmups.analysis import HOSTS, added_cost
from mmups.engine.cli import one_line_errors

PRESETS = presets()


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    complexity = commands.add_parser(
        'complexity', help="added parameters and multiply-adds beside the DySample paper's numbers")
    complexity.add_argument('--models', nargs='+', choices=HOSTS, default=list(HOSTS),
                            help='models of the paper (default: all)')
    complexity.add_argument('--presets', nargs='+', metavar='PRESET', choices=PRESETS,
                            help='names of files in configs/_base_/upsamplers (default: all that '
                            'work in the model)')
    return parser.parse_args()


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


def main():
    args = parse_args()
    with one_line_errors():
        print_complexity(args.models, args.presets)


if __name__ == '__main__':
    main()

"""Swap the upsampling of every shipped config of mmdet and mmseg, and run what comes out.

Results go into OUT/results.jsonl, one line per config, as they come: an interrupted sweep goes on
where it was. Configs whose models differ in nothing that a swap could see run once; with every
class taken for one without a slot (``generic=True``), one model of each combination of backbone,
necks and heads does. At the end OUT/table.md is written. --upsamplers puts others in the place of
DySample and FADE; --combinations takes one config of each combination.
"""
import argparse
import json
import logging
import os
import signal
import time
import warnings
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stderr, redirect_stdout
from fnmatch import fnmatch
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.utils import ProgressBar
from table import sweep_table
from trial import GENERIC, classes_of, key_of, reduced, try_config

from mmups.engine.cli import one_line_errors
from mmups.preset_files import upsampler_named


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, default=Path('work_dirs/sweep'),
                        help='folder for the results (default: work_dirs/sweep)')
    parser.add_argument('--include', nargs='+', default=['*'], metavar='PATTERN',
                        help="names such as 'mmdet::htc/*' (default: all)")
    parser.add_argument('--upsamplers', nargs='+', default=['DySample', 'FADE'], metavar='NAME',
                        help='types or presets (default: DySample FADE)')
    parser.add_argument('--combinations', action='store_true', help='run the first config of each '
                        'combination of backbone, necks and heads, and leave out the others')
    parser.add_argument('--limit', type=int, help='stop after this many configs')
    parser.add_argument('--jobs', type=int, default=os.cpu_count(), help='processes')
    parser.add_argument('--timeout', type=int, default=300, help='seconds per model')
    args = parser.parse_args()
    if args.jobs < 1 or args.timeout < 1:
        parser.error(f'--jobs and --timeout must be 1 or more, got {args.jobs} and {args.timeout}')
    return args


def configs_of(host):
    """Name -> path of a host's configs."""
    root = Path(find_spec(host).origin).parent / '.mim/configs'
    return {f'{host}::{path.relative_to(root).as_posix()}': path
            for path in sorted(root.rglob('*.py')) if '_base_' not in path.parts}


def quiet(timeout):
    """A worker prints nothing and uses one core."""
    torch.set_num_threads(1)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter('ignore')

    def stop(*_):
        raise TimeoutError(f'it took more than {timeout} s')
    signal.signal(signal.SIGALRM, stop)


def describe(name, path):
    """What can be said without running: the model and its key, or why there is none."""
    with open(os.devnull, 'w') as null, redirect_stdout(null), redirect_stderr(null):
        try:
            cfg = Config.fromfile(path)
        except Exception as error:  # of what a config imports
            return dict(config=name, status='missing package',
                        error=f'{type(error).__name__}: {str(error).splitlines()[0]}'), None
        if 'model' not in cfg:
            return dict(config=name, status='no model'), None
        cfg = reduced(cfg)
    return dict(config=name, key=key_of(cfg), classes=classes_of(cfg)), cfg.to_dict()


def try_one(line, model, upsamplers, generic, timeout):
    """The line, completed."""
    start = time.time()
    signal.alarm(timeout)
    try:
        with open(os.devnull, 'w') as null, redirect_stdout(null), redirect_stderr(null):
            result = try_config(Config(model), upsamplers, generic)
    except Exception as error:  # not of the model: those are results
        return dict(line, status='failed', error=f'{type(error).__name__}: {error}')
    finally:
        signal.alarm(0)
    return dict(line, **result, status=status_of(result), seconds=round(time.time() - start, 1))


def status_of(result):
    """The worst that became of a config's runs with slots."""
    statuses = {run['status'] for name, run in result['runs'].items() if name != GENERIC}
    order = ('failed', 'stock fails too', 'missing package', 'ok', 'nothing to swap')
    return next(status for status in order if status in statuses)


class Results:
    """The lines of a file, each written as soon as it is known."""

    def __init__(self, path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding='utf-8') if path.exists() else ''
        whole = text[:text.rfind('\n') + 1]  # an interrupted run may have left half a line
        if whole != text:
            path.write_text(whole, encoding='utf-8')
        self.lines = [json.loads(line) for line in whole.splitlines()]
        self.status = {line['key']: line['status'] for line in self.lines if 'key' in line}

    def add(self, line):
        self.lines.append(line)
        if 'key' in line:
            self.status[line['key']] = line['status']
        with self.path.open('a', encoding='utf-8') as file:
            file.write(json.dumps(line) + '\n')


class Workers:
    """Processes that run tasks, and outlive a task that kills its process."""

    def __init__(self, args):
        self.args = args
        self.tasks = {}  # future -> (function, arguments)
        self.pool = self.new_pool(args.jobs)

    def new_pool(self, jobs):
        return ProcessPoolExecutor(jobs, get_context('spawn'), quiet, (self.args.timeout, ))

    def submit(self, *task):
        self.tasks[self.pool.submit(*task)] = task

    def finished(self):
        """Results of one task at least."""
        done, _ = wait(self.tasks, return_when=FIRST_COMPLETED)
        if not any(isinstance(future.exception(), BrokenProcessPool) for future in done):
            return [(self.tasks.pop(future), future.result()) for future in done]
        suspects, self.tasks = list(self.tasks.values()), {}
        self.pool.shutdown()
        self.pool = self.new_pool(self.args.jobs)
        return [(task, self.run_alone(task)) for task in suspects]

    def run_alone(self, task):
        """The task's result; None: it kills its process."""
        with self.new_pool(1) as pool:
            try:
                return pool.submit(*task).result()
            except BrokenProcessPool:
                return None


def sweep(configs, upsamplers, results, args):
    """Describe all configs, run one of each kind, add a line for each."""
    todo = iter(configs.items())
    bar = ProgressBar(len(configs))
    workers = Workers(args)
    waiting = {}  # key -> lines that wait for its result
    classes = {line['classes'] for line in results.lines if GENERIC in line.get('runs', ())}

    def finish(line):
        results.add(line)
        bar.update()

    def describe_next():
        if config := next(todo, None):
            workers.submit(describe, *config)

    for _ in range(2 * args.jobs):
        describe_next()
    while workers.tasks:
        for (function, *arguments), out in workers.finished():
            if function is describe:
                line, model = out or (dict(config=arguments[0], status='missing package',
                                           error='loading it kills the process'), None)
                key = line.get('key')
                if key in waiting:
                    waiting[key].append(line)
                elif key in results.status:
                    finish(dict(line, status=results.status[key]))
                elif model is None:
                    finish(line)
                elif args.combinations and line['classes'] in classes:
                    bar.update()
                else:
                    waiting[key] = []
                    generic = line['classes'] not in classes
                    classes.add(line['classes'])
                    workers.submit(try_one, line, model, upsamplers, generic, args.timeout)
                    continue
            else:
                out = out or dict(arguments[0], status='failed', error='it kills the process')
                finish(out)
                for line in waiting.pop(out['key']):
                    finish(dict(line, status=out['status']))
            describe_next()
    workers.pool.shutdown()
    print()


def main():
    args = parse_args()
    with one_line_errors():
        upsamplers = {name: upsampler_named(name) for name in args.upsamplers}
        results = Results(args.out / 'results.jsonl')
        configs = {name: path for host in ('mmdet', 'mmseg') if find_spec(host)
                   for name, path in configs_of(host).items()
                   if any(fnmatch(name, pattern) for pattern in args.include)}
    known = {line['config'] for line in results.lines}
    todo = {name: path for name, path in configs.items() if name not in known}
    if args.limit is not None:
        todo = dict(list(todo.items())[:args.limit])
    print(f'{len(configs)} configs, {len(known & configs.keys())} of them done, '
          f'{len(todo)} to do')
    start = time.time()
    sweep(todo, upsamplers, results, args)
    table = args.out / 'table.md'
    table.write_text(sweep_table(results.lines), encoding='utf-8')
    print(f'{len(todo)} configs in {time.time() - start:.0f} s; {table} written')


if __name__ == '__main__':
    main()

"""Do the tests notice small faults? One fault at a time, each against the nearest tests.

    python tests/mutation.py                            all mutants
    python tests/mutation.py --sample 200 --seed 0      200 of them, drawn at random
    python tests/mutation.py mmups/ops mmups/swap.py    those of some modules

A mutant is a module with one operator, number, keyword or statement changed by cosmic-ray, and
survives where the module's row of ``TESTS`` passes all the same. No file of the tree is touched:
each mutant is a child of this process, which has imported PyTorch and the hosts already, and takes
the changed source for its module. Tests in processes of their own do not see it.

Results go to ``work_dirs/mutation/results.jsonl``; what is there, for the same mutant and the same
tests, is not run again. A larger sample of the same seed contains the smaller one.
"""
import argparse
import ast
import hashlib
import importlib
import importlib.util
import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from importlib.machinery import SourceFileLoader
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / 'work_dirs/mutation'
SLOTS = ['tests/models/layers/test_slots.py', 'tests/models/layers/test_passes.py']
CONTRACT = ['tests/models/upsamplers/test_contract.py']
METHODS = ['tests/models/upsamplers/test_kernel_methods.py', *CONTRACT]
BASELINES = ['tests/models/upsamplers/test_baselines.py', *CONTRACT]
#: Of what every slot promises, quick tests.
PROMISES = ' and (passes or parity or learns or guides or initial or last_word or mistakes)'
#: Module, or folder of modules -> the arguments that make pytest run its tests. The longest match
#: counts; to these ``tests/X/test_Y.py`` is added for ``mmups/X/Y.py``, where there is one.
TESTS = {
    'mmups/ops': ['tests/ops'],
    'mmups/ops/fit.py': [],
    'mmups/ops/sampling.py': [],
    'mmups/ops/shuffle.py': [],
    'mmups/models/upsamplers': CONTRACT,
    'mmups/models/upsamplers/a2u.py': [*METHODS, '-k', 'A2U'],
    'mmups/models/upsamplers/base.py': [
        *METHODS, 'tests/models/upsamplers/test_builder.py',
        '-k', 'builder or formula or DySample or FADE or IndexNet or Deconv or Interpolate'],
    'mmups/models/upsamplers/builder.py': ['tests/models/upsamplers/test_builder_keys.py'],
    'mmups/models/upsamplers/carafe.py': [*METHODS, '-k', 'CARAFE'],
    'mmups/models/upsamplers/checks.py': [
        'tests/models/upsamplers/test_arguments.py', 'tests/models/upsamplers/test_sizes.py',
        '-k', 'LCTC or FADE or Interpolate'],
    'mmups/models/upsamplers/deconv.py': [*BASELINES, '-k', 'Deconv'],
    'mmups/models/upsamplers/dysample.py': [*CONTRACT, '-k', 'DySample'],
    'mmups/models/upsamplers/fade.py': [*METHODS, '-k', 'FADE'],
    'mmups/models/upsamplers/fft.py': ['tests/models/upsamplers/test_fft.py'],
    'mmups/models/upsamplers/freq_avg_up.py': [],
    'mmups/models/upsamplers/indexnet.py': [*METHODS, '-k', 'IndexNet'],
    'mmups/models/upsamplers/interpolate.py': [*BASELINES, '-k', 'Interpolate'],
    'mmups/models/upsamplers/lctc.py': [*CONTRACT, '-k', 'LCTC'],
    'mmups/models/upsamplers/pixel_shuffle.py': [*BASELINES, '-k', 'PixelShuffle'],
    'mmups/models/upsamplers/sapa.py': [*METHODS, '-k', 'SAPA'],
    'mmups/models/layers': [*SLOTS, '-k', '(passes or [FPN- or [SegformerHead-)' + PROMISES],
    'mmups/models/layers/factor.py': ['tests/models/layers/test_host_arguments.py'],
    'mmups/models/layers/host_resize.py': ['tests/models/det/test_fpn.py'],
    'mmups/models/layers/hr_module.py': [
        *SLOTS[:1], '-k', '([HRNet- or [SegHRNet-)' + PROMISES],
    'mmups/models/layers/fpn.py': [*SLOTS[:1], '-k', '([FPN- or [SegFPN-)' + PROMISES],
    'mmups/models/layers/slot.py': [
        *SLOTS[:1], '-k', '([HourglassNet- or [YOLACTProtonet- or [UPerHead)' + PROMISES],
    'mmups/models/layers/intercept.py': ['tests/models/layers/test_intercept.py'],
    'mmups/models/layers/interpolations.py': ['tests/models/layers/test_intercept.py'],
    'mmups/models/layers/conv_upsample.py': [],
    'mmups/models/layers/flc.py': [],
    'mmups/models/upsamplers/keys.py': ['tests/models/restoration'],
    'mmups/models/layers/upsample_step.py': [
        *SLOTS[:1], '-k', '([YOLACTProtonet- or [FeatureRelayHead-)' + PROMISES],
    'mmups/models/restoration': ['tests/models/restoration'],
    'mmups/sites.py': ['tests/test_swap.py'],
    'mmups/probe.py': ['tests/test_sites.py'],
    'mmups/swap.py': ['tests/test_sites.py'],
    'mmups/generic.py': ['tests/test_swap.py', '-k', 'generic'],
    'mmups/preset_files.py': ['tests/test_swap.py', '-k', 'names'],
    'mmups/engine': ['tests/engine/test_checkpoint.py', 'tests/test_swap.py'],
    'mmups/engine/checkpoint.py': [],
    'mmups/child_config.py': ['tests/test_swap_files.py'],
    'mmups/engine/cli.py': ['tests/engine/test_errors.py', '-k', 'test_cli or mistakes or cause'],
    'mmups/config_values.py': ['tests/test_swap_files.py'],
    'mmups/engine/families.py': [],
    'mmups/engine/forks.py': ['tests/engine/test_cli.py'],
}
MODULES = ('mmups/ops', 'mmups/models/upsamplers', 'mmups/models/layers', 'mmups/sites.py',
           'mmups/swap.py', 'mmups/engine')
#: Of cosmic-ray's operators those whose mutants look like mistakes.
OPERATORS = [f'core/{name}' for name in (
    'AddNot', 'ExceptionReplacer', 'NumberReplacer', 'RemoveDecorator', 'ReplaceAndWithOr',
    'ReplaceBreakWithContinue', 'ReplaceContinueWithBreak', 'ReplaceFalseWithTrue',
    'ReplaceOrWithAnd', 'ReplaceTrueWithFalse', 'ReplaceUnaryOperator_Delete_Not',
    'ReplaceUnaryOperator_USub_UAdd', 'ZeroIterationForLoop',
    *(f'ReplaceBinaryOperator_{pair}' for pair in (
        'Add_Sub', 'Sub_Add', 'Mul_Div', 'Div_Mul', 'FloorDiv_Mul', 'Mod_FloorDiv', 'Pow_Mul',
        'BitOr_BitAnd', 'BitAnd_BitOr')),
    *(f'ReplaceComparisonOperator_{pair}' for pair in (
        'Eq_NotEq', 'NotEq_Eq', 'Lt_LtE', 'LtE_Lt', 'Gt_GtE', 'GtE_Gt', 'Is_IsNot', 'IsNot_Is')),
)]


class RemoveStatement:
    """A ``raise`` or a call that stands alone becomes ``pass``."""

    @staticmethod
    def mutation_positions(node):
        call = node.type == 'atom_expr' and node.get_last_leaf().value == ')'
        if (call or node.type == 'raise_stmt') and node.parent.type == 'simple_stmt':
            yield node.start_pos, node.end_pos

    @staticmethod
    def mutate(node, index):
        from parso.python.tree import Keyword
        return Keyword('pass', node.start_pos, node.get_first_leaf().prefix)


class RemoveKeywordArgument:
    """``f(x, key=value)`` becomes ``f(x, **{})``."""

    @staticmethod
    def mutation_positions(node):
        if node.type == 'argument' and getattr(node.children[1], 'value', '') == '=':
            yield node.start_pos, node.end_pos

    @staticmethod
    def mutate(node, index):
        from parso.python.tree import Name
        return Name('**{}', node.start_pos, node.get_first_leaf().prefix)


OWN = {cls.__name__: cls for cls in (RemoveStatement, RemoveKeywordArgument)}


def meaning(source):
    """The syntax tree without docstrings and annotations."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for name in ('annotation', 'returns'):
            if getattr(node, name, None) is not None:
                setattr(node, name, ast.Constant(0))
        if hasattr(node, 'decorator_list') or isinstance(node, ast.Module):
            node.body = [part for part in node.body if not (
                isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))]
    return ast.dump(tree)


def mutants(path):
    """(operator, occurrence, source) of every mutant of a module that means something else."""
    from cosmic_ray.mutating import MutationVisitor
    from cosmic_ray.plugins import get_operator
    source = path.read_text(encoding='utf-8')
    seen = {meaning(source)}
    for name in [*OPERATORS, *OWN]:
        operator = OWN[name] if name in OWN else get_operator(name)()
        occurrence = 0
        while (mutated := MutationVisitor.mutate_code(source, operator, occurrence)) is not None:
            with suppress(SyntaxError):
                if (what := meaning(mutated)) not in seen:
                    seen.add(what)
                    yield name.removeprefix('core/'), occurrence, mutated
            occurrence += 1


def tests_of(module):
    """Arguments of pytest."""
    row = max((key for key in TESTS if module == key or module.startswith(f'{key}/')), key=len)
    parts = Path(module).relative_to('mmups')
    own = str(Path('tests', parts.parent, f'test_{parts.name}'))
    return [*([own] if (ROOT / own).exists() and own not in TESTS[row] else []), *TESTS[row]]


def digest(*texts):
    return hashlib.sha256('\0'.join(texts).encode()).hexdigest()[:16]


class Mutated(SourceFileLoader):
    """Finds and loads one module from a source that is not its file's."""

    def __init__(self, module, source):
        name = module.removesuffix('.py').replace('/', '.').removesuffix('.__init__')
        super().__init__(name, str(ROOT / module))
        self.source = source

    def find_spec(self, name, path=None, target=None):
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=self)

    def get_code(self, fullname):
        return compile(self.source, self.path, 'exec')


def child(module, source, tests, log):
    """Exit status 0 where the tests pass."""
    import pytest
    os.setsid()
    file = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(file, stream)
    sys.meta_path.insert(0, Mutated(module, source))
    os._exit(pytest.main([*tests, '-x', '-q', '-p', 'no:cacheprovider', '-p', 'no:xdist']))


def run(jobs, count):
    """``count`` children at a time; yields (key, status, seconds, log) as they end.

    Args:
        jobs: Iterable of (key, module, source, tests, timeout in seconds).
    """
    context = multiprocessing.get_context('fork')
    jobs, running = iter(jobs), []
    while True:
        while len(running) < count and (job := next(jobs, None)):
            key, module, source, tests, limit = job
            log = RESULTS / f'{digest(str(key))}.log'
            process = context.Process(target=child, args=(module, source, tests, log))
            process.start()
            running.append((process, key, time.time(), limit, log))
        if not running:
            return
        time.sleep(0.05)
        for entry in list(running):
            process, key, start, limit, log = entry
            seconds = time.time() - start
            if process.is_alive() and seconds < limit:
                continue
            status = process.exitcode
            if status is None:
                os.killpg(process.pid, signal.SIGKILL)
                status = 'timeout'
            process.join()
            running.remove(entry)
            yield key, status, seconds, log


def baselines(modules, count):
    """Seconds that the tests of each module take where nothing is wrong."""
    groups = {tuple(tests_of(module)): module for module in modules}
    seconds = {}
    for tests, status, spent, log in run(
            ((tests, module, (ROOT / module).read_text(encoding='utf-8'), tests, 900)
             for tests, module in groups.items()), count):
        if status != 0:
            sys.exit(f'{" ".join(tests)} fails without a mutant: see {log}')
        log.unlink()
        seconds[tests] = spent
        print(f'{spent:6.1f} s  {" ".join(tests)}', flush=True)
    return seconds


def known_results():
    file = RESULTS / 'results.jsonl'
    found = {}
    for line in file.read_text().splitlines() if file.exists() else []:
        with suppress(ValueError):  # the last line of a run that was killed
            entry = json.loads(line)
            found[entry['key']] = entry
    return found


def change(path, mutated):
    """``LINE: was -> is`` of the first line that differs."""
    old, new = (text.splitlines() for text in (path.read_text(encoding='utf-8'), mutated))
    number = next(i for i, pair in enumerate(zip(old, new)) if pair[0] != pair[1])
    return f'{number + 1}: {old[number].strip()}  ->  {new[number].strip()}'


def report(population, chosen, results):
    """Score of each module, and the survivors."""
    of_all = Counter(module for module, *_ in population)
    tried, survived = Counter(), Counter()
    survivors = []
    for module, key, _, mutated in chosen:
        if key not in results:
            continue
        tried[module] += 1
        if results[key]['status'] == 'survived':
            survived[module] += 1
            survivors.append(f'{module}:{change(ROOT / module, mutated)}')
    print('\nkilled   tried  of all  module')
    for module in sorted(tried):
        killed = tried[module] - survived[module]
        print(f'{killed / tried[module]:6.1%}  {tried[module]:6}  {of_all[module]:6}  {module}')
    total = sum(tried.values())
    if total:
        print(f'{1 - len(survivors) / total:6.1%}  {total:6}  {len(population):6}  together: '
              f'{total - len(survivors)} of {total} killed, of {len(population)} mutants')
    print('\nSurvivors:', *survivors or ['none'], sep='\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('modules', nargs='*', default=MODULES, help='modules or folders of mmups')
    parser.add_argument('--sample', type=int, help='how many mutants (default: all)')
    parser.add_argument('--seed', type=int, default=0, help='which (default: 0)')
    parser.add_argument('--jobs', type=int, default=os.cpu_count())
    args = parser.parse_args()
    os.chdir(ROOT)
    os.environ['OMP_NUM_THREADS'] = '1'
    sys.path.insert(0, str(ROOT))
    RESULTS.mkdir(parents=True, exist_ok=True)

    population = []
    for name in args.modules:
        path = ROOT / name
        for file in sorted(path.rglob('*.py')) if path.is_dir() else [path]:
            module = file.relative_to(ROOT).as_posix()
            tests = tests_of(module)
            texts = [test.read_text(encoding='utf-8') for entry in tests if (ROOT / entry).exists()
                     for test in sorted((ROOT / entry).rglob('*.py')) or [ROOT / entry]]
            for operator, occurrence, mutated in mutants(file):
                population.append((module, digest(mutated, *tests, *texts),
                                   f'{operator} {occurrence}', mutated))
    chosen = list(population)
    random.Random(args.seed).shuffle(chosen)
    chosen = chosen[:args.sample]
    results = known_results()
    todo = [entry for entry in chosen if entry[1] not in results]
    print(f'{len(population)} mutants, {len(chosen)} of them chosen, {len(todo)} to run',
          flush=True)

    for name in ('torch', 'pytest', 'mmdet.models', 'mmseg.models'):  # once, for all children
        with suppress(ImportError):
            importlib.import_module(name)
    seconds = baselines({module for module, *_ in todo}, args.jobs)
    jobs = (((module, key, name), module, mutated, tests_of(module),
             20 + 4 * seconds[tuple(tests_of(module))]) for module, key, name, mutated in todo)
    with (RESULTS / 'results.jsonl').open('a') as file:
        for number, ((module, key, name), status, spent, log) in enumerate(
                run(jobs, args.jobs), 1):
            outcome = {0: 'survived', 'timeout': 'timeout'}.get(status, 'killed')
            results[key] = dict(key=key, module=module, mutant=name, status=outcome,
                                seconds=round(spent, 1))
            file.write(json.dumps(results[key]) + '\n')
            file.flush()
            log.unlink()
            print(f'{number}/{len(todo)} {outcome:8} {spent:5.1f} s  {module} {name}', flush=True)
    report(population, chosen, results)


if __name__ == '__main__':
    main()

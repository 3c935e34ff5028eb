"""The set-up: what the pins promise, and the Makefile's steps, mostly with a stand-in for Python
that notes what it is asked for."""
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
CONSTRAINTS = {'openmmlab': 'constraints.txt', 'onedl': 'constraints-onedl.txt'}
#: Requirements of one family of packages only.
OF_FAMILY = {'openmmlab': {'light', 'mmdet', 'mmseg'}, 'onedl': {'onedl'}}
PYTHONS = ('3.10', '3.11', '3.12')
#: What a CUDA build of torch brings; torch itself pins it.
OF_TORCH = re.compile('nvidia-|cuda-|triton')
MADE_BY_MAKE = (Path(sys.prefix) / '.mmups').exists()


def lines(name):
    text = (ROOT / 'requirements' / name).read_text(encoding='utf-8')
    return [line for line in text.splitlines() if line and not line.startswith('#')]


def pins(family, python):
    """Names and versions that one of the files gives for a release of Python on this machine."""
    environment = {'python_version': python, 'python_full_version': f'{python}.9'}
    found = {}
    for line in lines(CONSTRAINTS[family]):
        pin = Requirement(line)
        if pin.marker is None or pin.marker.evaluate(environment):
            assert pin.name not in found, f'{pin.name} is pinned twice for Python {python}'
            found[pin.name] = pin.specifier
    return found


def version_of(specifier):
    exact, = specifier
    return Version(exact.version)


@pytest.mark.parametrize('family', CONSTRAINTS)
def test_pins_are_exact_and_name_no_place(family):
    for line in lines(CONSTRAINTS[family]):
        assert re.fullmatch(r'[a-z0-9-]+==[0-9a-z.]+( ; [\w.\'<>=*() -]+)?', line), line
        assert not OF_TORCH.match(line), line


@pytest.mark.parametrize('python', PYTHONS)
@pytest.mark.parametrize('family', CONSTRAINTS)
def test_requirements_are_ranges_that_the_pins_satisfy(family, python):
    other, = set(CONSTRAINTS) - {family}
    pinned = pins(family, python)
    files = {path.stem for path in (ROOT / 'requirements').glob('*.txt')
             if not path.stem.startswith('constraints')} - OF_FAMILY[other]
    assert files > OF_FAMILY[family]
    for name in files:
        for line in lines(f'{name}.txt'):
            requirement = Requirement(line)
            if OF_TORCH.match(requirement.name):  # for want of a pin, exact in its own file
                assert version_of(requirement.specifier)
                continue
            pin = pinned.get(canonicalize_name(requirement.name))
            assert pin is not None, f'{line} of {name}.txt has no pin: make lock'
            assert version_of(pin) in requirement.specifier, f'{line} of {name}.txt, pinned {pin}'
    # mmcv's setup.py imports pkg_resources, which setuptools had before release 82
    assert version_of(pinned['setuptools']) < Version('82')


@pytest.mark.skipif(not MADE_BY_MAKE, reason='no environment of the Makefile')
def test_all_that_is_installed_is_pinned():
    # of the environment alone: pkg_resources puts setuptools' own copies on the path
    installed = {canonicalize_name(dist.name): dist.version
                 for dist in importlib.metadata.distributions(path=[sysconfig.get_path('purelib')])
                 if not OF_TORCH.match(canonicalize_name(dist.name))}
    family = 'onedl' if 'onedl-mmcv' in installed else 'openmmlab'
    pinned = pins(family, '{}.{}'.format(*sys.version_info))
    del installed['mmups']
    assert {name: version for name, version in installed.items()
            if name not in pinned or version not in pinned[name]} == {}


@pytest.mark.skipif(not MADE_BY_MAKE, reason='no environment of the Makefile')
def test_one_mmcv_with_operators():
    names = {canonicalize_name(dist.name) for dist in importlib.metadata.distributions()}
    assert len(names & {'mmcv', 'mmcv-lite', 'onedl-mmcv'}) == 1
    assert 'mmcv-lite' not in names
    assert Path(importlib.util.find_spec('mmcv._ext').origin).suffix == '.so'


def make(*goals, env=(), cwd=ROOT, **variables):
    """Run make as a person would, whatever make has started the tests."""
    clean = {key: value for key, value in os.environ.items()
             if key not in {'MAKEFLAGS', 'MFLAGS', 'MAKELEVEL', 'MAKEOVERRIDES', 'ENV', 'VENV'}}
    return subprocess.run(['make', *goals, *(f'{key}={value}' for key, value in variables.items())],
                          env={**clean, **dict(env)}, cwd=cwd, text=True, capture_output=True,
                          timeout=3000)


#: In place of Python: makes environments that hold itself, notes pip's calls with pip's variables,
#: and knows which mmcv they leave behind.
STAND_IN = '''#!{python} -IS
import json, os, shutil, sys
_, *args = sys.argv
folder = os.path.dirname(os.path.abspath(sys.argv[0]))
if args[:2] == ['-m', 'venv']:
    os.makedirs(args[2] + '/bin', exist_ok=True)
    shutil.copy(sys.argv[0], args[2] + '/bin/python')
elif args[:2] == ['-m', 'pip']:
    state = folder + '/mmcvs'
    mmcvs = set(open(state).read().split()) if os.path.exists(state) else set()
    call = [arg for arg in args[2:] if not arg.startswith(('--disable-pip', '-q'))]
    if call[0] == 'show':
        sys.exit(call[-1] not in mmcvs)
    with open(os.environ['CALLS'], 'a') as file:
        pip = {{key: value for key, value in os.environ.items() if key.startswith('PIP_')}}
        json.dump([call, pip], file)
        file.write('\\n')
    if os.environ.get('CUT_SHORT', 'nothing') in ' '.join(call):
        sys.exit(1)
    if call[0] == 'uninstall':
        mmcvs -= set(call)
    elif '--dry-run' not in call:
        mmcvs |= {{arg.partition('==')[0] for arg in call}} & {{'mmcv', 'onedl-mmcv'}}
        mmcvs |= {{'mmcv-lite'}} if 'requirements/light.txt' in call else set()
    with open(state, 'w') as file:
        file.write(' '.join(mmcvs))
'''


class Machine:
    """A machine with the stand-in for Python."""

    def __init__(self, folder, root=ROOT):
        self.root = root
        self.calls_file = folder / 'calls'
        self.python = folder / 'python3.11'
        self.python.write_text(STAND_IN.format(python=sys.executable))
        self.python.chmod(0o755)
        self.venv = folder / 'env'

    def make(self, *goals, cut_short='nothing', env=(), **variables):
        """make's result, and pip's calls with the variables that pip saw."""
        self.calls_file.write_text('')
        env = {'CALLS': str(self.calls_file), 'CUT_SHORT': cut_short, **dict(env)}
        variables = {'HOSTS': 'openmmlab', 'PYTHON': self.python, 'VENV': self.venv, **variables}
        done = make(*goals, env=env, cwd=self.root, **variables)
        return done, [json.loads(line) for line in self.calls_file.read_text().splitlines()]

    def pip(self, *goals, **options):
        """pip's calls of a run that succeeds, as lines."""
        done, calls = self.make(*goals, **options)
        assert done.returncode == 0, done.stderr
        return [' '.join(call) for call, _ in calls]

    def mmcvs(self):
        return set((self.venv / 'bin/mmcvs').read_text().split())


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def constraint_file(variables, name='PIP_CONSTRAINT'):
    url = urlparse(variables[name])
    assert url.scheme == 'file'
    return Path(unquote(url.path))


@pytest.mark.parametrize('family', CONSTRAINTS)
@pytest.mark.parametrize('goal', ['setup', 'setup-light', 'mmcv-dry-run'])
def test_every_call_of_pip_is_constrained(machine, goal, family):
    done, calls = machine.make(goal, HOSTS=family)
    assert done.returncode == 0, done.stderr
    assert len(calls) >= 3
    for call, variables in calls:
        expected = ROOT / 'requirements' / CONSTRAINTS[family]
        assert constraint_file(variables) == expected, call
        if call[0] == 'install' and '--no-build-isolation' not in call:
            assert constraint_file(variables, 'PIP_BUILD_CONSTRAINT') == expected, call
        else:  # pip refuses the one beside the other
            assert 'PIP_BUILD_CONSTRAINT' not in variables, call


def test_makefile_calls_pip_by_its_variables_only():
    text = (ROOT / 'Makefile').read_text(encoding='utf-8')
    recipes = [line for line in text.splitlines() if line.startswith('\t') and '@echo' not in line]
    assert [line for line in recipes if re.search(r'\bpip3? (install|uninstall|download)\b', line)
            and '$(LOCK)' not in line] == []


def test_pins_are_found_in_a_folder_with_a_space(tmp_path):
    root = tmp_path / 'my projects'
    root.mkdir()
    shutil.copy(ROOT / 'Makefile', root)
    shutil.copy(ROOT / 'setup.py', root)
    shutil.copytree(ROOT / 'requirements', root / 'requirements')
    done, calls = Machine(tmp_path, root).make('mmcv-dry-run')
    assert done.returncode == 0, done.stderr
    assert {constraint_file(variables) for _, variables in calls} == {
        root / 'requirements/constraints.txt'}


@pytest.mark.parametrize('folder', ['wheels', '/somewhere/my wheels'])
def test_wheels_are_looked_for_in_one_folder(machine, folder):
    done, calls = machine.make('setup', WHEELS=folder)
    assert done.returncode == 0, done.stderr
    for call, variables in calls:
        assert variables['PIP_NO_INDEX'] == '1', call
        assert constraint_file(variables, 'PIP_FIND_LINKS') == ROOT / folder


def test_given_environment_keeps_its_releases(machine):
    """The pins are those of the Makefile's own environments."""
    subprocess.run([machine.python, '-m', 'venv', machine.venv], check=True)
    done, calls = machine.make('setup', ENV=machine.venv, env={'PIP_CONSTRAINT': 'theirs.txt'})
    assert done.returncode == 0, done.stderr
    (call, variables), = calls
    assert call == ['install', '--no-build-isolation', '-e', '.[demo,tests]']
    assert variables['PIP_CONSTRAINT'] == 'theirs.txt'


def test_light_gives_way_to_full_and_never_comes_back(machine):
    light = machine.pip('setup-light')
    assert machine.mmcvs() == {'mmcv-lite'}
    assert not any('mmcv==' in call or 'mmdet' in call for call in light)
    assert machine.pip('setup-light') == []
    full = machine.pip('setup')
    assert machine.mmcvs() == {'mmcv'}
    gone, = (i for i, call in enumerate(full) if call == 'uninstall -y mmcv-lite')
    built, = (i for i, call in enumerate(full) if 'mmcv==2.1.0' in call)
    assert gone < built
    assert not any('torch==' in call for call in full)  # what the light way did is kept
    assert machine.pip('setup-light') == machine.pip('setup') == []
    assert machine.mmcvs() == {'mmcv'}


def test_both_ways_in_one_call(machine):
    machine.pip('setup', 'setup-light', '-j4')
    assert machine.mmcvs() == {'mmcv'}
    other = machine.venv.with_name('other')
    machine.pip('setup-light', 'setup', '-j4', VENV=other)
    assert set((other / 'bin/mmcvs').read_text().split()) == {'mmcv'}


def test_full_one_whose_stamp_is_missing_is_not_replaced(machine):
    machine.pip('setup')
    for stamp in machine.venv.glob('.*'):
        stamp.unlink()
    assert not any('light.txt' in call for call in machine.pip('setup-light'))
    assert machine.mmcvs() == {'mmcv'}


def test_onedl_has_no_light_way(machine):
    machine.pip('setup-light', HOSTS='onedl')
    assert machine.mmcvs() == {'onedl-mmcv'}


@pytest.mark.parametrize(('goal', 'step', 'left'), [
    ('setup', 'build.txt', set()), ('setup', 'torch==', set()), ('setup', 'uninstall', set()),
    ('setup', 'mmcv==', set()), ('setup', 'mmdet', {'mmcv'}), ('setup', 'openmim', {'mmcv'}),
    ('setup-light', 'torch==', set()), ('setup-light', 'light.txt', set())])
def test_step_that_is_cut_short_is_repeated(machine, goal, step, left):
    done, before = machine.make(goal, cut_short=step)
    assert done.returncode != 0
    assert step in ' '.join(before[-1][0])
    assert machine.mmcvs() == left if (machine.venv / 'bin/mmcvs').exists() else not left
    after = machine.pip(goal)
    assert any(step in call for call in after)
    assert machine.mmcvs() == ({'mmcv-lite'} if goal == 'setup-light' else {'mmcv'})
    assert machine.pip(goal) == []


def test_light_again_after_a_full_build_that_was_cut_short(machine):
    machine.pip('setup-light')
    done, _ = machine.make('setup', cut_short='mmcv==')
    assert done.returncode != 0
    assert machine.mmcvs() == set()
    machine.pip('setup-light')
    assert machine.mmcvs() == {'mmcv-lite'}


def test_new_pins_are_installed(tmp_path):
    root = tmp_path / 'tree'
    shutil.copytree(ROOT / 'requirements', root / 'requirements')
    for name in ('Makefile', 'setup.py'):
        shutil.copy(ROOT / name, root)
    machine = Machine(tmp_path, root)
    first = machine.pip('setup')
    later = machine.venv.joinpath('.mmups').stat().st_mtime + 1
    os.utime(root / 'requirements/constraints.txt', (later, later))
    assert machine.pip('setup') == first


def test_what_is_missing_is_said(machine, tmp_path):
    """No compiler, no Python, another Python: one sentence that names the way out."""
    tools = tmp_path / 'bin'
    tools.mkdir()
    for name in ('make', 'sh', 'echo', 'mkdir', 'touch', 'rm', 'nproc'):
        (tools / name).symlink_to(shutil.which(name))
    path = {'PATH': str(tools)}
    done, calls = machine.make('setup', env=path)
    assert done.returncode != 0
    assert 'There is no C++ compiler (c++)' in done.stderr
    assert 'apt-get install g++' in done.stderr
    assert calls == []
    machine.pip('setup-light', env=path)
    done, _ = machine.make('setup-light', VENV=tmp_path / 'new', PYTHON='python3.99')
    assert 'python3.99 was not found. Install Python 3.11, or name yours' in done.stderr
    old = tmp_path / 'old'
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.8.1; exit 1\n')
    old.chmod(0o755)
    done, _ = machine.make('setup-light', VENV=tmp_path / 'new', PYTHON=old)
    assert f'needs Python 3.10 to 3.12 (3.11 is tested), {old} is Python 3.8.1' in done.stderr


@pytest.fixture
def index():
    """The package index; without it nothing can be installed."""
    if not (3, 10) <= sys.version_info[:2] <= (3, 12):
        pytest.skip('the Makefile makes environments of Python 3.10 to 3.12')
    probe = [sys.executable, '-m', 'pip', 'index', 'versions', 'mmcv', '--retries', '1']
    if subprocess.run(probe, capture_output=True, timeout=300).returncode:
        pytest.skip('no network: the package index does not answer')


def test_new_environment_reaches_the_metadata_of_mmcv(index, tmp_path):
    """From nothing, without pip's cache: where mmcv's setup.py could not run, no wheel that was
    kept hides it."""
    done = make('mmcv-dry-run', env={'PIP_NO_CACHE_DIR': '1'}, VENV=tmp_path / 'env', ENV='',
                PYTHON=sys.executable)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    code = 'import pkg_resources, torch; print(torch.__version__)'
    subprocess.run([tmp_path / 'env/bin/python', '-W', 'ignore', '-c', code], check=True)


@pytest.mark.slow
def test_full_build_from_nothing(index, tmp_path):
    """The light environment first, then the full one in its place."""
    environment = tmp_path / 'env'
    options = dict(env={'PIP_NO_CACHE_DIR': '1'}, VENV=environment, ENV='', PYTHON=sys.executable)
    code = '''
import json
from importlib.metadata import distributions
from importlib.util import find_spec
mmcvs = [dist for dist in distributions() if dist.name in ('mmcv', 'mmcv-lite', 'onedl-mmcv')]
lost = [str(path) for dist in mmcvs for path in dist.files if not path.locate().exists()]
print(json.dumps([[dist.name for dist in mmcvs], find_spec('mmcv._ext') is not None, lost]))
'''

    def state():
        done = subprocess.run([environment / 'bin/python', '-c', code], cwd=tmp_path, text=True,
                              capture_output=True)
        return json.loads(done.stdout)

    onedl = os.environ.get('HOSTS') == 'onedl'
    if not onedl:
        done = make('setup-light', **options)
        assert done.returncode == 0, done.stderr[-4000:]
        assert state() == [['mmcv-lite'], False, []]
    for goal in ('setup', 'setup-light'):
        done = make(goal, **options)
        assert done.returncode == 0, done.stderr[-4000:]
        assert state() == [['onedl-mmcv' if onedl else 'mmcv'], True, []]
    subprocess.run([environment / 'bin/python', '-c', 'import mmcv.ops, mmdet, mmseg, mmups'],
                   cwd=tmp_path, check=True)

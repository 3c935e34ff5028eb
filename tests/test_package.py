"""What holds of the installed package: laziness, prefixes, absent hosts. In fresh interpreters."""
import ast
import os
import re
import subprocess
import sys
from importlib.metadata import requires, version
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: Lets a fresh interpreter look as if packages, or one module of them, were not installed.
BLOCKER = '''
import importlib.util, sys
from importlib.abc import MetaPathFinder

def hidden(name):
    return bool({{name, name.split('.')[0]}} & {blocked!r})

class Blocker(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if hidden(name):
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)

sys.meta_path.insert(0, Blocker())
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: (
    None if hidden(name) and not sys.modules.get(name) else real(name, package))
'''

#: Lets a module look as if it were installed, with this error when it is imported.
BREAKER = '''
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec

class Breaker(MetaPathFinder, Loader):
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name == {module!r} else None

    def exec_module(self, module):
        raise {error}

sys.meta_path.insert(0, Breaker())
'''


def run(code, blocked=(), argv=()):
    """Run code in a fresh interpreter; returns what it printed last."""
    env = dict(os.environ, OMP_NUM_THREADS='1', PYTHONWARNINGS='ignore')
    prelude = BLOCKER.format(blocked=set(blocked)) if blocked else ''
    result = subprocess.run([sys.executable, '-c', prelude + code, *argv], env=env, cwd=ROOT,
                            text=True, capture_output=True, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout.strip().splitlines()[-1]


def test_import_is_light():
    code = ('import sys, mmups; '
            'heavy = {"torch", "mmengine", "mmcv", "mmdet", "mmseg", "numpy"} & set(sys.modules); '
            'print(sorted(heavy))')
    assert run(code) == '[]'


def test_registry_imports_no_host():
    code = ('import sys, mmups.registry; '
            'print(sorted({"mmcv", "mmdet", "mmseg"} & set(sys.modules)))')
    assert run(code) == '[]'


def test_upsamplers_load_nothing_but_torch_and_mmengine():
    code = '''
import sys, torch, mmengine.model
before = set(sys.modules)
from mmups.models import DySample
up = DySample(64)
added = {name.split('.')[0] for name in set(sys.modules) - before}
from mmengine.registry import MODELS
MODELS.build(dict(type='mmups.DySample', in_channels=64))
print(sorted(added), sorted({'mmcv', 'mmdet', 'mmseg'} & set(sys.modules)))
'''
    assert run(code) == "['mmups'] []"


@pytest.mark.parametrize(('host', 'registry', 'name', 'other'), [
    ('mmdet', 'MODELS', 'FPN', 'mmseg'), ('mmseg', 'MODELS', 'SegformerHead', None),
    ('mmdet', 'DATASETS', 'DigitScenesDetDataset', 'mmseg'),
    ('mmseg', 'DATASETS', 'DigitScenesSegDataset', 'mmdet'),
    ('mmdet', 'TRANSFORMS', 'LoadPanopticAnnotations', 'mmseg')])
def test_a_host_loads_with_its_first_type(host, registry, name, other):
    """And no other one. (mmseg's models import mmdet, where it is installed.)"""
    pytest.importorskip(host)
    code = f'''
import sys
import mmengine.registry as root
assert root.MODELS.get('mmups.DySample') and root.METRICS.get('mmups.PanopticMetric')
assert not {{'mmdet', 'mmseg'}} & set(sys.modules)
print(root.{registry}.get('mmups.{name}').__name__, {other!r} in sys.modules)
'''
    assert run(code) == f'{name} False'


@pytest.mark.parametrize('host', ['mmengine', 'mmdet', 'mmseg'])
def test_prefixed_type_builds_from_a_foreign_registry(host):
    """No import of mmups, no custom_imports: the prefix is enough, in any default scope."""
    pytest.importorskip(host)
    code = f'''
import sys
from mmengine.registry import init_default_scope
from {host}.registry import MODELS
assert not any(name.split('.')[0] == 'mmups' for name in sys.modules)
up = MODELS.build(dict(type='mmups.DySample', in_channels=16))
init_default_scope({host!r})
other = MODELS.build(dict(type='mmups.LCTC', in_channels=16))
print(type(up).__module__, type(up).__name__, type(other).__name__)
'''
    assert run(code) == 'mmups.models.upsamplers.dysample DySample LCTC'


def test_works_without_hosts():
    code = '''
import sys
import torch
from mmengine.registry import MODELS
from mmups.models import build_upsampler
up = MODELS.build(dict(type='mmups.DySample', in_channels=16))
slot = build_upsampler(dict(type='LCTC'), 16)
assert not {'mmdet', 'mmseg', 'mmcv'} & set(sys.modules)
print(tuple(slot(up(torch.randn(1, 16, 3, 4))).shape))
'''
    assert run(code, blocked=('mmdet', 'mmseg', 'mmcv')) == '(1, 16, 12, 16)'


def test_slots_of_absent_hosts_say_what_to_install():
    code = '''
from mmengine.registry import MODELS
from mmups.models import SLOTS
for host, names in SLOTS.items():
    for name in names:
        try:
            MODELS.build(dict(type=f'mmups.{name}', in_channels=16, upsampler=dict(mode='nearest')))
        except ImportError as error:
            assert f'mmups.{name} extends {host}, which is not installed' in str(error), error
            assert f'pip install "mmups[{host}]"' in str(error), error
        else:
            raise AssertionError(name)
print(sum(map(len, SLOTS.values())))
'''
    assert int(run(code, blocked=('mmdet', 'mmseg', 'mmcv'))) >= 4


@pytest.mark.parametrize(('host', 'absent', 'real', 'stub'), [
    ('mmdet', 'mmseg', 'FPN', 'SegformerHead'), ('mmseg', 'mmdet', 'SegformerHead', 'FPN')])
def test_one_host_without_the_other(host, absent, real, stub):
    """The slots of the host that is there are the real ones."""
    pytest.importorskip(host)
    code = f'''
from mmups.registry import MODELS
print(MODELS.get({real!r}).__module__, MODELS.get({stub!r}).__qualname__)
'''
    module, name = run(code, blocked=(absent, )).split()
    assert module.startswith('mmups.models.')
    assert 'missing' in name


NO_FTFY = """ModuleNotFoundError("No module named 'ftfy'", name='ftfy')"""
#: Broken host, module that fails, its error, registries that need this module.
BROKEN = [
    ('mmseg', 'ftfy', NO_FTFY, ['MODELS', 'DATASETS']),
    ('mmseg', 'mmseg', "AssertionError('MMCV==9 is used but incompatible')",
     ['MODELS', 'DATASETS']),
    ('mmdet', 'mmdet', "AttributeError('module numpy has no attribute bool')",
     ['MODELS', 'DATASETS', 'TRANSFORMS']),
    ('mmdet', 'mmdet.models.dense_heads', "AssertionError('half-way')", ['MODELS']),
    ('mmdet', 'pycocotools', "ImportError('undefined symbol')",
     ['MODELS', 'DATASETS', 'TRANSFORMS']),
]


@pytest.mark.parametrize(('host', 'module', 'error', 'registries'), BROKEN,
                         ids=[case[1] for case in BROKEN])
def test_a_broken_host_says_why_and_breaks_nothing_else(host, module, error, registries):
    pytest.importorskip('mmdet')
    pytest.importorskip('mmseg')
    script = (ROOT / 'tests/broken_host.py').read_text()
    said = run(BREAKER.format(module=module, error=error) + script, argv=[host, *registries])
    broken = eval(error)
    assert said == (f'{broken!r}|({type(broken).__name__}: {broken}): pip install "mmups[{host}]" '
                    'brings what it needs, in versions that fit, and python -c '
                    f'"import {host}.models" tells whether it works')


def test_slots_table_equals_what_is_registered():
    """Names of absent hosts' slots cannot be read from their modules, so they are written down."""
    pytest.importorskip('mmdet')
    pytest.importorskip('mmseg')
    from mmups.models import SLOTS, seg
    from mmups.registry import MODELS
    assert not MODELS.load_hosts()
    others = dict(mmdet=[], mmseg=' '.join(seg.OTHERS.values()).split())
    for host, names in SLOTS.items():
        module = f'mmups.models.{host.removeprefix("mm")}.'
        registered = {name for name, cls in MODELS.module_dict.items()
                      if cls.__module__.startswith(module)}
        assert registered == {*names, *others[host]}, host


def test_a_host_that_moved_a_class():
    """Its slot says which class and which versions; every other slot is there."""
    pytest.importorskip('mmdet')
    code = '''
from mmdet.models.necks import dyhead
del dyhead.DyHeadBlock
from mmengine.config import Config
from mmengine.registry import MODELS
from mmups import list_sites
fpn = dict(type='FPN', in_channels=[8, 16], out_channels=8, num_outs=2)
cfg = Config(dict(default_scope='mmdet', model=dict(type='X', neck=[
    fpn, dict(type='DyHead', in_channels=8, out_channels=8)])))
first, second = list_sites(cfg)
assert first.reason is None and first.slot == 'mmups.FPN'
try:
    MODELS.build(dict(type='mmups.DyHead'))
except ImportError as error:
    assert str(error) == second.reason, second.reason
print(second.reason)
'''
    assert re.match(r'mmups.DyHead does not fit mmdet 3\.\S+, but 3.3.0: pip install '
                    r'"mmups\[mmdet\]" .*DyHeadBlock', run(code))


LIGHT_STARTS = {
    'the tools': 'import mmups.engine; from mmseg.registry import MODELS',
    'a class': 'from mmups.models.seg import SegformerHead; from mmseg.registry import MODELS',
    'a type': 'from mmengine.registry import MODELS; MODELS.get("mmups.SegformerHead")',
    'an upsampler': 'from mmengine.registry import MODELS; MODELS.get("mmups.DySample")',
}


@pytest.mark.parametrize('start', LIGHT_STARTS.values(), ids=LIGHT_STARTS)
def test_mmseg_without_compiled_operators(start):
    """As with mmcv-lite: slots of mmseg work; find_spec is not deceived, before and after; an
    operator says what to install when it is called."""
    pytest.importorskip('mmseg')
    code = f'''
import importlib.util, sys, torch
from mmengine.utils.dl_utils import mmcv_full_available
assert not mmcv_full_available()
{start}
head = MODELS.build(dict(
    type='mmups.SegformerHead', in_channels=[8, 16], in_index=[0, 1], channels=8, num_classes=3,
    upsampler=dict(type='DySample')))
assert head([torch.ones(1, 8, 8, 8), torch.ones(1, 16, 4, 4)]).shape == (1, 3, 8, 8)
assert MODELS.build(dict(type='mmseg.SegformerHead', in_channels=[8], in_index=[0], channels=8,
                         num_classes=3))
assert importlib.util.find_spec('mmcv._ext') is None and 'mmcv._ext' not in sys.modules
assert not mmcv_full_available()
from mmcv.ops import nms
from mmcv.utils import collect_env
try:
    nms(torch.ones(1, 4), torch.ones(1), 0.5)
except ImportError as error:
    print(collect_env()['MMCV Compiler'], error)
'''
    assert re.match(r'n/a nms is one of the compiled operators of mmcv.*pip uninstall .* && '
                    r'MMCV_WITH_OPS=1 pip install .*"mmcv>=', run(code, blocked=['mmcv._ext']))


def test_mmdet_without_compiled_operators():
    """Whichever way a type is reached: what is missing, and the commands that mend it."""
    pytest.importorskip('mmdet')
    code = '''
from mmengine.registry import DATASETS, MODELS
from mmups.models import DySample

def by_import():
    from mmups.models.det import FPN

ways = [
    ('mmups.FPN', lambda: MODELS.build(dict(type='mmups.FPN'))),
    ('mmups.PAFPN', lambda: MODELS.build(dict(type='mmups.models.det.PAFPN'))),
    ('mmups.DigitScenesDetDataset',
     lambda: DATASETS.build(dict(type='mmups.DigitScenesDetDataset'))),
    ('mmups.FPN', by_import),
]
said = []
for user, way in ways * 2:
    try:
        way()
    except ImportError as error:
        start = f'{user} extends mmdet, which needs the compiled operators of mmcv, and '
        assert str(error).startswith(start), error
        said.append(str(error).removeprefix(start))
assert len(said) == 2 * len(ways) and len(set(said)) == 1
print(said[0])
'''
    assert re.match('the mmcv of this environment has none: pip uninstall -y mmcv mmcv-lite && '
                    '.* pip install .*"mmcv>=', run(code, blocked=['mmcv._ext']))


@pytest.mark.parametrize(('before', 'after'), [
    ('', "'mmcv._ext' in sys.modules"),
    ("sys.modules['mmcv._ext'] = None", "sys.modules['mmcv._ext'] is None")])
def test_stand_in_leaves_no_trace_where_the_import_fails(before, after):
    pytest.importorskip('mmcv')
    code = f'''
import mmups, sys, mmcv
from mmcv.utils import ext_loader
{before}
def load_ext(name, functions):
    assert sys.modules['mmcv._ext'].__spec__.name == 'mmcv._ext'
    raise ArithmeticError('broken')
ext_loader.load_ext = load_ext
try:
    import mmcv.ops
except ArithmeticError:
    print({after})
'''
    assert run(code, blocked=['mmcv._ext']) == str(bool(before))


@pytest.mark.parametrize('extension', ['', "sys.modules['mmcv._ext'] = Own('mmcv._ext')"])
def test_no_stand_in_where_an_extension_is(extension):
    """Neither in the place of the compiled one, nor of one that a user has put there."""
    pytest.importorskip('mmcv')
    if not extension and not find_spec('mmcv._ext'):
        pytest.skip('this mmcv has no compiled operators')
    code = f'''
import sys, types, mmups
class Own(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return len
{extension}
import mmcv.ops
print('mmups' in repr(type(sys.modules['mmcv._ext'])), mmcv.ops.nms.__module__)
'''
    assert run(code) == 'False mmcv.ops.nms'


def test_version_is_the_installed_one():
    import mmups
    assert version('mmups') == mmups.__version__
    assert re.fullmatch(r'\d+\.\d+\.\d+', mmups.__version__)


def setup_extras():
    """EXTRAS of setup.py, read without running it."""
    for node in ast.parse((ROOT / 'setup.py').read_text(encoding='utf-8')).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == 'EXTRAS':
            return ast.literal_eval(node.value)
    raise AssertionError('setup.py has no EXTRAS')


def test_extras_exist_and_hosts_are_extras():
    from mmups.models import SLOTS
    extras = setup_extras()
    assert set(SLOTS) <= set(extras)  # what the messages above tell people to install
    for name in (*extras, 'runtime'):
        assert (ROOT / 'requirements' / f'{name}.txt').read_text().split(), name
    hard = [re.match(r'[\w-]+', line).group() for line in requires('mmups')
            if 'extra ==' not in line]
    assert 'torch' in hard
    assert not {'mmdet', 'mmsegmentation', 'mmcv', 'mmengine'} & set(hard)


@pytest.mark.parametrize(('extra', 'package'), [('mmdet', 'mmdet'), ('mmseg', 'mmsegmentation')])
def test_extra_of_a_host_installs_the_host(extra, package):
    lines = (ROOT / 'requirements' / f'{extra}.txt').read_text().split()
    names = {re.match(r'[\w-]+', line).group() for line in lines}
    assert {package, 'mmcv', 'mmengine'} <= names

"""What tools/swap.py writes, of any kind of base: it can be read, and nothing is lost."""
import math
import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmups.child_config import child_config, write_config
from mmups.config_values import expression, plain, same
from mmups.engine.cli import read_config
from mmups.models import DySample
from mmups.swap import swap_upsampler

pytest.importorskip('mmdet')
REPO = Path(__file__).parents[1]
FPN = "type={}, in_channels=[8, 16], out_channels=16, num_outs=2"
LAZY = f'''
import torch.nn as nn
from mmdet.models.necks.fpn import FPN
def numbers():
    import numpy
    return numpy.array([0., numpy.nan])
def tensor():
    import torch
    return torch.ones(2)
fpn = dict({FPN.format('FPN')})
model = dict(
    type='RetinaNet', neck=fpn, array=numbers(), tensor=tensor(), none=None, far=-float("inf"),
    act=nn.ReLU, nested=dict(of=dict(act=nn.functional.relu, at=(1, ))),
    heads=[fpn, 3, (nn.GELU, dict(fpn))])
'''
TEXT = f"model = dict(type='RetinaNet', neck=dict({FPN.format(repr('mmdet.FPN'))}))\n"
DATA = ('{"model": {"type": "RetinaNet", "neck": {"type": "mmdet.FPN", "in_channels": [8, 16], '
        '"out_channels": 16, "num_outs": 2}}}')
SITES = {LAZY: ('neck', 'heads.0', 'heads.2.1'), TEXT: ('neck', )}
SWAPPED = {'type': 'mmups.FPN', 'upsampler': {'type': 'DySample', 'groups': 2}}


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """``command(*args)``: what tools/swap.py printed, run in an empty directory."""
    spec = spec_from_file_location('tools_swap_files', REPO / 'tools/swap.py')
    tool = module_from_spec(spec)
    spec.loader.exec_module(tool)
    (tmp_path / 'here').mkdir()
    monkeypatch.chdir(tmp_path / 'here')

    def run(*args):
        monkeypatch.setattr(sys, 'argv', ['swap.py', *map(str, args)])
        tool.main()
        return capsys.readouterr().out
    return run


def put(path, text=LAZY):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def assert_swapped(path, base, names=('neck', )):
    """The file is the base with new upsampling at these places, and builds what it built."""
    expected, found = plain(Config.fromfile(base).model), plain(Config.fromfile(path).model)
    for name in names:
        node = expected
        for key in name.split('.'):
            node = node[int(key) if key.isdigit() else key]
        node.update(SWAPPED)
    assert same(expected, found)


GROUPS = ('--upsampler-options', 'groups=2')
#: base, --out
PLACES = [
    ('lazy.py', 'x.py'), ('lazy.py', 'below/x.py'), ('lazy.py', '../x.py'),
    ('sub/lazy.py', 'x.py'), ('sub/lazy.py', 'sub/x.py'), ('sub/a/b/lazy.py', '../c/d/x.py'),
    ('../lazy.py', 'x.py'), ('../sibling/lazy.py', 'x.py'), ('../../lazy.py', 'x.py'),
    ('with-dash/lazy.py', 'with-dash/x.py'), ('1st/lazy.py', '1st/sub/deep/x.py'),
    ('a b/lazy.py', 'a b/x-with-dash.py'), ('ümlaut.py', 'x.py'), ('lazy.py', '1-x y.py'),
]


@pytest.mark.parametrize(('base', 'out'), PLACES)
@pytest.mark.parametrize('text', [LAZY, TEXT], ids=['lazy', 'text'])
def test_any_base_anywhere(base, out, text, command):
    put(base, text)
    before = Path(base).read_bytes()
    assert f'{out} written' in command(base, 'DySample', *GROUPS, '--out', out)
    assert_swapped(out, base, SITES[text])
    assert Path(base).read_bytes() == before
    assert sorted(path.name for path in Path(out).parent.glob('*.py')) == sorted(
        {Path(out).name} | {path.name for path in Path(out).parent.glob(Path(base).name)})


@pytest.mark.parametrize('base', ['with-dash/lazy.py', '1st/lazy.py', 'a b/lazy.py',
                                  'class/lazy.py', '../with.dot/lazy.py'])
def test_folders_that_no_import_names(base, command):
    """Said before anything is written; the way out that the message names is one."""
    put(base)
    with pytest.raises(SystemExit, match=f'{Path(base).parent.name!r} is no name that can be '
                                         'imported: choose an --out in ') as error:
        command(base, 'DySample', '--out', 'x.py')
    assert not Path('x.py').exists()
    folder = str(error.value).rpartition('choose an --out in ')[2]
    command(base, 'DySample', *GROUPS, '--out', f'{folder}/x.py')
    assert_swapped(f'{folder}/x.py', base, SITES[LAZY])


@pytest.mark.parametrize('base', ['with-dash.py', '1st.py', 'a b.py', 'class.py', 'a.b.py'])
def test_files_that_no_import_names(base, command):
    put(base)
    with pytest.raises(SystemExit, match=r'^swap.py: .* can be imported: rename the file$'):
        command(base, 'DySample', '--out', 'x.py')
    assert [path.name for path in Path().iterdir()] == [base]


def test_links_to_folders(command):
    """Import statements follow folders as they are, ``_base_`` as they are called."""
    for text, base in ((LAZY, 'far/off/lazy.py'), (TEXT, 'far/off/text.py')):
        put(base, text)
        Path('link').unlink(missing_ok=True)
        Path('deep/er').mkdir(parents=True, exist_ok=True)
        Path('link').symlink_to('deep/er')
        command(base, 'DySample', *GROUPS, '--out', 'link/x.py', '--force')
        assert_swapped('link/x.py', base, SITES[text])


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An importable package with pure-Python configs, out of reach of a relative import."""
    put(tmp_path / 'site-packages/somepackage/__init__.py', '')
    monkeypatch.syspath_prepend(str(tmp_path / 'site-packages'))
    return put(tmp_path / 'site-packages/somepackage/configs/retina/lazy.py')


def test_configs_of_a_package(package, command):
    command(package, 'DySample', *GROUPS, '--out', 'x.py')
    assert 'from somepackage.configs.retina.lazy import *' in Path('x.py').read_text()
    assert_swapped('x.py', package, SITES[LAZY])


def test_stock_names_of_pure_python_configs(package, command, monkeypatch):
    """As mmdet:: finds its configs in a checkout, where .mim is a link to the repository's."""
    mim = put(package.parents[2] / '.mim/model-index.yml', 'Import: []\n').parent
    (mim / 'configs').symlink_to('../configs')
    monkeypatch.setitem(__import__('mmengine.config.utils').config.utils.MODULE2PACKAGE,
                        'somepackage', 'somepackage')
    assert 'mmdet.FPN' in command('somepackage::retina/lazy.py')
    command('somepackage::retina/lazy.py', 'DySample', *GROUPS, '--out', 'x.py')
    assert_swapped('x.py', package, SITES[LAZY])


@pytest.mark.parametrize('name', ['base.json', 'base.yaml', 'base.yml'])
def test_data_as_base(name, command):
    put(name, DATA)
    command(name, 'DySample', *GROUPS, '--out', 'x.py')
    assert_swapped('x.py', name)


def test_generations(command):
    """A swap of a swap; an inner one of the same file by another upsampler."""
    put('lazy.py')
    command('lazy.py', 'carafe', '--out', 'one.py')
    command('one.py', 'DySample', *GROUPS, '--out', 'sub/two.py')
    assert_swapped('sub/two.py', 'lazy.py', SITES[LAZY])
    command('sub/two.py', 'dysample', '--sites', 'heads.0', '--out', 'three.py')
    model = Config.fromfile('three.py').model
    assert model.neck.upsampler == SWAPPED['upsampler']
    assert model.heads[0].upsampler.style == 'lp'
    assert model.heads[2][1].upsampler == SWAPPED['upsampler'] and model.heads[1] == 3


def test_variables_of_the_base_keep_their_values(command):
    """Names that the child would import are those of the base first."""
    put('lazy.py', LAZY + "\nDySample = 'precious'\n")
    cfg = Config.fromfile('lazy.py')
    swapped = swap_upsampler(cfg, dict(type=DySample, groups=2))
    put('x.py', child_config('.lazy', cfg, swapped))
    child = Config.fromfile('x.py')
    assert child.DySample == 'precious' and child.fpn == cfg.fpn
    assert child.model.neck.upsampler.type is DySample


class Outer:

    class Inner(DySample):
        """Of a class."""


def function(x):
    return x


VALUES = {
    'class': dict(type=DySample),
    'name': dict(type='DySample', groups=4),
    'inner class': dict(type=Outer.Inner),
    'objects': dict(type='T', f=function, c=torch.nn.ReLU, n=torch.nn.functional.relu, m=torch.nn),
    'no finite number': dict(type='T', f=float('inf'), g=-math.inf, h=math.nan),
    'containers': dict(type='T', a=(), b=(1, ), c=[(1, [2, dict(d=None)])], e={}, f=[]),
    'keys': {'type': 'T', 'class': 1, 'with-dash': 2, 3: 4, (5, 6): 7, "it's": '"',
             'lambda': None},
    'scalars': dict(type='T', a='a\nb\\"\'', b=b'\0', c={1, 2}, d=1j, e=True, f=-0.5,
                    g=np.float64(0.25), h=np.int64(3), i=np.bool_(True)),
}


@pytest.mark.parametrize('value', VALUES.values(), ids=VALUES)
def test_values_of_a_pure_python_config(value, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _this())
    cfg = Config.fromfile(put(tmp_path / 'lazy.py'))
    swapped = Config.fromfile(tmp_path / 'lazy.py')
    swapped.model.neck.upsampler = value
    text = child_config('.lazy', cfg, swapped)
    write_config(tmp_path / 'x.py', text, swapped)
    assert same(plain(Config.fromfile(tmp_path / 'x.py').model.neck.upsampler), plain(value))


@pytest.mark.parametrize('value', [VALUES[name] for name in VALUES if name != 'objects'],
                         ids=[name for name in VALUES if name != 'objects'])
def test_values_of_a_text_config(value, tmp_path, monkeypatch):
    """Classes as types are named."""
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _this())
    cfg = Config.fromfile(put(tmp_path / 'text.py', TEXT))
    swapped = Config.fromfile(tmp_path / 'text.py')
    swapped.model.neck.upsampler = value
    write_config(tmp_path / 'x.py', child_config('text.py', cfg, swapped), swapped)
    found = Config.fromfile(tmp_path / 'x.py').model.neck.upsampler
    assert same(plain(found), plain(value))
    assert isinstance(found.type, str)


def _this():
    """This module, which pytest imports without naming it."""
    return sys.modules.setdefault(__name__, type(sys)(__name__))


@pytest.mark.parametrize(('value', 'text'), [
    (torch.zeros(2), "x=tensor"), (np.zeros(2), 'x=array'), (object(), 'x=<object'),
    (lambda x: x, 'x=<function'), (torch.relu, 'x=<built-in'), (torch.nn.ReLU(), r'x=ReLU\(\)'),
    ([dict(x=range(3))], 'x=range'),
], ids=['tensor', 'array', 'object', 'lambda', 'built-in', 'module', 'range'])
def test_values_that_no_config_can_say(value, text, tmp_path):
    for base, name in ((LAZY, '.base'), (TEXT, 'base.py')):
        cfg = Config.fromfile(put(tmp_path / 'base.py', base))
        swapped = Config.fromfile(tmp_path / 'base.py')
        swapped.model.neck.upsampler = dict(type='T', x=value)
        with pytest.raises(ValueError, match=f'{text}.* cannot be written into a config; a number'):
            child_config(name, cfg, swapped)


def test_a_whole_part_replaced(tmp_path):
    """Keys that vanish, a list of another length, a dict in place of none."""
    for base, name in ((LAZY, '.base'), (TEXT, 'base.py')):
        put(tmp_path / 'base.py', base)
        cfg, swapped = (Config.fromfile(tmp_path / 'base.py') for _ in range(2))
        swapped.model.neck = dict(type='Other', deep=dict(er=[dict(a=1)]))
        swapped.model.none = dict(a=1)
        if base is LAZY:
            swapped.model.heads = [5, *swapped.model.heads[1:], 6]
        write_config(tmp_path / 'x.py', child_config(name, cfg, swapped), swapped)
        assert same(plain(Config.fromfile(tmp_path / 'x.py').model), plain(swapped.model))


def test_same():
    """The comparison that all of this rests on can tell."""
    pairs = [(1, 2), ([1], (1, )), (dict(a=1), dict(a=1, b=2)), (np.zeros(2), np.zeros(3)),
             (np.zeros(2), np.ones(2)), (torch.zeros(2), np.zeros(2)), (math.nan, 0.),
             (torch.nn.ReLU, torch.nn.GELU), (0., np.zeros(2)), (None, dict()), ('a', DySample),
             (np.zeros(2), np.zeros(2, dtype=int)), ([dict(a=[1])], [dict(a=[2])])]
    assert not any(same(a, b) or same(b, a) for a, b in pairs)
    assert all(same(a, a) for pair in pairs for a in pair)
    assert same(DySample, f'{DySample.__module__}.DySample') and same(math.nan, -math.nan)
    assert same(np.array([math.nan]), np.array([math.nan]))
    assert expression(dict(b=1, a=[math.inf])) == "dict(a=[float('inf')], b=1)"


# --- where it is written -------------------------------------------------------------------------


@pytest.mark.parametrize('out', ['x.json', 'x.yml', 'x', 'x.PY', 'folder', 'folder.py', '.'])
def test_places_that_take_no_config(out, command):
    put('base.py', TEXT)
    Path('folder').mkdir()
    Path('folder.py').mkdir()
    with pytest.raises(SystemExit, match='^swap.py: --out is the file to write, NAME.py; got '):
        command('base.py', 'DySample', '--out', out, '--force')
    assert sorted(path.name for path in Path().iterdir()) == ['base.py', 'folder', 'folder.py']


def base_itself(base):
    return base


def other_spelling(base):
    return f'../here/./sub/../{base}'


def soft_link(base):
    os.symlink(base, 'soft.py')
    return 'soft.py'


def hard_link(base):
    os.link(base, 'hard.py')
    return 'hard.py'


def linked_folder(base):
    os.symlink('.', 'same')
    return f'same/{base}'


CHILD = {LAZY: 'from mmengine.config import read_base\nwith read_base():\n    from .{} import *\n',
         TEXT: '_base_ = "{}.py"\n'}


@pytest.mark.parametrize('spell', [base_itself, other_spelling, Path.absolute, soft_link,
                                   hard_link, linked_folder])
@pytest.mark.parametrize('text', [LAZY, TEXT], ids=['lazy', 'text'])
@pytest.mark.parametrize('generation', ['base', 'parent', 'grandparent'])
@pytest.mark.parametrize('force', [[], ['--force']], ids=['', 'force'])
def test_never_over_what_it_inherits(spell, text, generation, force, command):
    put('sub/nothing', '')
    put('grandparent.py', text)
    put('parent.py', CHILD[text].format('grandparent'))
    put('base.py', CHILD[text].format('parent'))
    before = {path: path.read_bytes() for path in Path().glob('*.py')}
    out = spell(Path(f'{generation}.py'))
    with pytest.raises(SystemExit, match='^swap.py: .* is what the new config inherits, or a part'):
        command('base.py', 'DySample', '--out', out, *force)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize('name', ['base.json', 'base.yaml'])
def test_never_over_data_that_it_inherits(name, command):
    put(name, DATA)
    os.symlink(name, 'x.py')
    with pytest.raises(SystemExit, match='is what the new config inherits'):
        command(name, 'DySample', '--out', 'x.py', '--force')
    assert Path(name).read_text() == DATA


def test_never_over_a_stock_config(command, tmp_path):
    """Here of mmups, in a copy, as the files of a host are not for a test to touch."""
    name = 'mmups::_base_/upsamplers/dysample.py'
    path = Path(read_config(name).filename)
    before = path.read_bytes()
    put('base.py', f'_base_ = {name!r}\n{TEXT}')
    os.symlink(path, 'x.py')
    with pytest.raises(SystemExit, match='is what the new config inherits'):
        command('base.py', 'DySample', '--out', 'x.py', '--force')
    assert path.read_bytes() == before


def test_a_base_that_reads_differently_each_time(command):
    """Nothing is reported, nor written, that is not what was swapped; the old file stays."""
    put('base.py', f'import time\n{TEXT}model["at"] = time.perf_counter()\n')
    put('x.py', 'precious')
    with pytest.raises(SystemExit, match='^swap.py: x.py is not written: its model would not be'):
        command('base.py', 'DySample', '--out', 'x.py', '--force')
    assert Path('x.py').read_text() == 'precious'
    assert sorted(path.name for path in Path().glob('*.py')) == ['base.py', 'x.py']


def test_a_text_that_cannot_be_read(tmp_path):
    put(tmp_path / 'x.py', 'precious')
    with pytest.raises(ValueError, match='x.py is not written: it could not be read'):
        write_config(tmp_path / 'x.py', 'model = (', Config(dict(model={})))
    assert (tmp_path / 'x.py').read_text() == 'precious'
    assert len(list(tmp_path.iterdir())) == 1


def test_names_of_mmups(command):
    """Configs by name, and presets."""
    pytest.importorskip('mmseg')
    name = 'mmups::segformer/segformer_mit-b0_dysample_1xb8-600it_digit-scenes-128x128.py'
    command(name, 'mmups::_base_/upsamplers/fade.py')
    path, = Path().iterdir()
    assert path.name == f'{Path(name).stem}_fade.py'
    assert path.read_text().startswith('_base_ = ')
    assert Config.fromfile(path).model.decode_head.upsampler.type == 'FADE'

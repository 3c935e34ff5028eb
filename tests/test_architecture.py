"""The arrows between the rooms of the package, read from the imports; and what no file may do."""
import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'mmups'
FILES = sorted(path for folder in ('mmups', 'tools') for path in (ROOT / folder).rglob('*.py'))
SOURCES = [path for path in FILES if PACKAGE in path.parents]
MODELS = {'upsamplers', 'layers', 'det', 'seg', 'restoration', 'models'}
TOOLBOX = {'evaluation', 'analysis', 'visualization', 'datasets'}

#: Room -> rooms that it may import, besides itself and mmups.registry (the first match counts).
ARROWS = {
    'mmups/ops': {'_C'},  # registers torch.ops.mmups, through which alone it is used
    'mmups/models/upsamplers': {'ops'},
    'mmups/models/layers': {'upsamplers', 'ops'},
    'mmups/models/det': {'layers', 'upsamplers', 'ops', 'hosts'},
    'mmups/models/seg': {'layers', 'upsamplers', 'ops', 'hosts'},
    'mmups/models/restoration': {'layers', 'upsamplers', 'ops'},
    'mmups/models': MODELS,
    'mmups/attacks': set(),
    'mmups/evaluation': {'panoptic_png'},
    'mmups/panoptic_png.py': set(),
    'mmups/child_config.py': {'config_values'},
    'mmups/config_values.py': set(),
    'mmups/analysis': {'upsamplers', 'ops', 'models', 'version'},
    'mmups/visualization': {'analysis', 'upsamplers', 'ops', 'models'},
    'mmups/datasets': {'panoptic_png'},
    'mmups/engine': MODELS | TOOLBOX | {'attacks', 'ops', 'swap', 'version', 'preset_files'},
    'mmups/swap.py': MODELS | {'preset_files', 'sites', 'generic'},
    'mmups/generic.py': MODELS | {'sites', 'probe'},
    'mmups/preset_files.py': MODELS,
    'mmups/sites.py': MODELS | {'probe'},
    'mmups/probe.py': MODELS,
    'mmups/__init__.py': {'version', 'swap', 'hosts'},
    'mmups/version.py': set(),
    'mmups/hosts.py': set(),
    'mmups/registry.py': {'hosts'},
    'tools': MODELS | TOOLBOX | {'attacks', 'ops', 'swap', 'engine', 'version', 'mmups', 'registry',
                                 'preset_files', 'child_config'},
}
#: Hosts and heavy packages: only these rooms may import them, besides tools.
HOSTS = {
    'mmdet': {'det', 'datasets', 'evaluation'},  # a metric that extends mmdet's
    'mmseg': {'seg', 'datasets'},
    # In ops and upsamplers, inside functions: a faster kernel, and the norms of IndexNet.
    'mmcv': {'det', 'seg', 'engine', 'ops', 'upsamplers'},
}
#: Rooms with a closed list of third parties, besides the standard library. Shells of
#: metrics use mmengine and, to read files, its dependencies cv2 and PIL; one extends mmdet's.
THIRD_PARTIES = {
    'mmups/ops': {'torch', 'mmcv', 'triton'},
    'mmups/models/upsamplers': {'torch', 'mmengine', 'mmcv'},
    'mmups/models/layers': {'torch', 'mmengine'},
    'mmups/models/restoration': {'torch', 'mmengine'},
    'mmups/attacks': {'torch'},
    'mmups/evaluation': {'torch', 'numpy', 'mmengine', 'cv2', 'PIL', 'mmdet', 'pycocotools'},
    'mmups/registry.py': {'mmengine'},
    'mmups/__init__.py': set(),
    'mmups/version.py': set(),
    'mmups/hosts.py': set(),
}


def relative(path):
    return path.relative_to(ROOT).as_posix()


def place(path):
    """The key of ARROWS under which a file lies."""
    name = relative(path)
    return next((key for key in ARROWS if name == key or name.startswith(f'{key}/')), None)


def room_of(module):
    """Short name of the room of a dotted module of this project."""
    parts = module.split('.')
    if parts[0] == 'tools' or parts == ['mmups']:
        return parts[0]
    if parts[1] == 'models' and len(parts) > 2 and parts[2] in MODELS:
        return parts[2]
    return parts[1]


def module_of(path):
    """The dotted name under which a file is imported."""
    return relative(path).removesuffix('.py').replace('/', '.').removesuffix('.__init__')


def imports(path):
    """Dotted names that a file imports, wherever it does; relative ones resolved."""
    package = relative(path)[:-len('.py')].removesuffix('/__init__').split('/')
    if path.name != '__init__.py':
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else []
            module = '.'.join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = (ROOT / module.replace('.', '/') / alias.name)
                is_module = inner.is_dir() or inner.with_suffix('.py').exists()
                yield f'{module}.{alias.name}' if is_module else module
        elif (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)
              and getattr(node.func, 'id', getattr(node.func, 'attr', '')) == 'import_module'):
            yield str(node.args[0].value)


@pytest.mark.parametrize('path', FILES, ids=relative)
def test_imports_follow_the_arrows(path):
    key = place(path)
    assert key is not None, f'{relative(path)} lies in no room; give it a row in ARROWS'
    own = room_of(module_of(path))
    allowed = ARROWS[key] | {own} | ({'registry'} if key != 'mmups/ops' else set())
    for module in imports(path):
        if module.split('.')[0] in ('mmups', 'tools'):
            assert room_of(module) in allowed, f'{relative(path)} imports {module}'


@pytest.mark.parametrize('path', SOURCES, ids=relative)
def test_hosts_stay_in_their_rooms(path):
    own = room_of(module_of(path))
    for module in imports(path):
        rooms = HOSTS.get(module.split('.')[0])
        assert rooms is None or own in rooms, f'{relative(path)} imports {module}'


@pytest.mark.parametrize('path', [path for path in FILES if place(path) in THIRD_PARTIES],
                         ids=relative)
def test_third_parties_of_closed_rooms(path):
    allowed = THIRD_PARTIES[place(path)] | sys.stdlib_module_names | {'mmups'}
    for module in imports(path):
        assert module.split('.')[0] in allowed, f'{relative(path)} imports {module}'


def test_every_row_says_something():
    """A row without a file, and a room that is not there, would forbid and allow nothing."""
    assert set(map(place, FILES)) >= ARROWS.keys() >= THIRD_PARTIES.keys()
    rooms = {room_of(module_of(path)) for path in FILES} | {'_C'}  # built from csrc
    assert set().union(*ARROWS.values()) <= rooms
    for host, allowed in HOSTS.items():
        users = {room_of(module_of(path)) for path in SOURCES
                 for module in imports(path) if module.split('.')[0] == host}
        assert users == allowed, host


def test_the_reader_of_imports_reads(tmp_path, monkeypatch):
    """Absolute, relative, inside a function, by import_module: nothing escapes."""
    monkeypatch.setattr(f'{__name__}.ROOT', tmp_path)
    for name in ('mmups/models/upsamplers/a.py', 'mmups/models/det/b.py', 'mmups/ops/c.py'):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    file = tmp_path / 'mmups/models/upsamplers/a.py'
    file.write_text('import torch.nn as nn\nfrom mmups import ops\nfrom . import b\n'
                    'from ..det.b import B\nfrom .. import det\n'
                    'def f():\n    from mmups.ops.c import C\n    import_module("mmdet.x")\n')
    assert list(imports(file)) == ['torch.nn', 'mmups.ops', 'mmups.models.upsamplers',
                                   'mmups.models.det.b', 'mmups.models.det', 'mmups.ops.c',
                                   'mmdet.x']
    assert [room_of(module) for module in ('mmups.ops.c', 'mmups.models.det.b', 'mmups.models',
                                           'mmups.registry', 'mmups', 'tools.train')] == [
        'ops', 'det', 'models', 'registry', 'mmups', 'tools']


UPSAMPLERS = PACKAGE / 'models' / 'upsamplers'
PAPERS = sorted(path for path in UPSAMPLERS.glob('*.py')
                if path.stem not in ('__init__', 'base', 'builder', 'checks', 'keys', 'norm'))
CLASSES = {node.name for path in PAPERS
           for node in ast.parse(path.read_text(encoding='utf-8')).body
           if isinstance(node, ast.ClassDef)}


def names_in(node):
    return {getattr(n, 'id', getattr(n, 'attr', None)) for n in ast.walk(node)}


@pytest.mark.parametrize('path', SOURCES, ids=relative)
def test_no_print_no_cuda_and_nobody_asks_which_upsampler(path):
    known = {name.casefold() for name in CLASSES}
    may_print = path.name == '__main__.py'  # python -m
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        where = f'{relative(path)}:{getattr(node, "lineno", "")}'
        if isinstance(node, ast.Call):
            name = getattr(node.func, 'id', getattr(node.func, 'attr', None))
            assert may_print or not (isinstance(node.func, ast.Name) and name == 'print'), where
            assert not (isinstance(node.func, ast.Attribute) and name == 'cuda'), where
            if name in ('isinstance', 'issubclass') and len(node.args) == 2:
                assert not names_in(node.args[1]) & CLASSES, where
        if isinstance(node, ast.Compare) and UPSAMPLERS not in path.parents:
            constants = {n.value.casefold() for n in ast.walk(node)
                         if isinstance(n, ast.Constant) and isinstance(n.value, str)}
            assert not constants & known, f'{where} compares with the name of an upsampler'


def test_there_are_upsamplers_to_check():
    assert {'DySample', 'LCTC', 'Deconv', 'PixelShuffle', 'Interpolate'} <= CLASSES
    assert len(SOURCES) > 20


@pytest.mark.parametrize('path', PAPERS, ids=lambda path: path.stem)
def test_a_paper_is_named_and_deviations_stated(path):
    header = ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))) or ''
    assert re.search(r'arXiv:\d{4}\.\d{4,5}|https?://|``torch\.', header), 'no arXiv id, no source'
    assert re.search(r'^Deviations', header, re.MULTILINE), 'no statement on deviations'


@pytest.mark.parametrize('path', FILES, ids=relative)
def test_files_fit_on_a_few_screens(path):
    assert len(path.read_text(encoding='utf-8').splitlines()) <= 350

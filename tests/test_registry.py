"""A registry whose types load with their hosts, with a toy host."""
import re
import sys
from types import SimpleNamespace

import pytest
from mmengine import registry as mmengine_registry

from mmups.registry import Registry

MODULE = '''
from toy_registry import TOYS

@TOYS.register_module()
class Neck:
    pass

@TOYS.register_module()
class Head:
    pass
'''


@pytest.fixture
def root():
    return mmengine_registry.Registry('toy', scope='toys')


@pytest.fixture
def registry(root, tmp_path, monkeypatch):
    """Of scope ``toy``; its types Neck and Head are in the module toy_slots."""
    registry = Registry('toy', parent=root, scope='toy')
    (tmp_path / 'toy_host.py').touch()
    (tmp_path / 'toy_slots.py').write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, 'toy_registry', SimpleNamespace(TOYS=registry))
    registry.register_hosted('toy_host', 'toy_slots', ('Neck', 'Head'))
    yield registry
    sys.modules.pop('toy_slots', None)


class Own:
    pass


@pytest.mark.parametrize('key', ['Neck', 'toy.Neck'])
def test_types_load_when_one_is_asked_for(key, registry):
    assert registry.get('toy.Nothing') is None
    assert 'toy_slots' not in sys.modules and not registry.module_dict
    assert registry.get(key).__module__ == 'toy_slots'
    assert set(registry.module_dict) == {'Neck', 'Head'}


def test_types_load_from_the_parent(registry, root):
    assert root.get('toy.Head').__name__ == 'Head'
    assert root.build(dict(type='toy.Neck')).__module__ == 'toy_slots'


@pytest.mark.parametrize('name', ['Neck', ['Mine', 'Head']])
def test_a_name_is_taken_before_it_is_loaded(name, registry):
    with pytest.raises(KeyError, match='is already registered in toy at toy_slots'):
        registry.register_module(name=name, module=Own)
    assert 'toy_slots' not in sys.modules
    assert registry.get('Neck').__module__ == registry.get('Head').__module__ == 'toy_slots'


@pytest.mark.parametrize('loaded', [False, True])
def test_force_replaces_one_type_and_no_other(loaded, registry):
    if loaded:
        registry.load_hosts()
    registry.register_module(name='Neck', module=Own, force=True)
    assert registry.get('Neck') is Own
    assert registry.get('Head').__module__ == 'toy_slots'


def test_a_name_that_a_user_took_first(registry):
    registry.register_module(module=Own)
    with pytest.raises(KeyError, match=f'Own is already registered in toy at {__name__}'):
        registry.register_hosted('toy_host', 'toy_slots', ('Own', ))


def test_announcing_again_is_allowed(registry):
    registry.load_hosts()
    registry.register_hosted('toy_host', 'toy_slots', ('Neck', 'Head'))
    assert registry.get('Neck').__module__ == 'toy_slots'


def test_keys_are_strings(registry):
    with pytest.raises(TypeError, match='must be a str'):
        registry.get(3)


@pytest.mark.parametrize(('kind', 'scope', 'host'), [
    ('toy.Neck', 'mmdet', 'toy_host'), ('Neck', 'toy', 'toy_host'), ('Neck', 'mmdet', 'mmdet'),
    ('mmseg.Neck', 'mmdet', 'mmseg'), ('toy.Other', None, 'toy'),
    (SimpleNamespace, None, 'types')])
def test_host_of(kind, scope, host, registry):
    assert registry.host_of(kind, scope) == host


def test_what_cannot_be_used(registry):
    """An absent host's types say so, all of them, and no other type is in the way."""
    registry.register_hosted('toy_absent.models', 'toy_more', ('More', ))
    error, = registry.load_hosts().values()
    text = 'extends toy_absent, which is not installed: pip install "mmups[toy_absent]"'
    assert str(error) == f'toy {text}'
    with pytest.raises(ImportError) as raised:
        registry.build(dict(type='More'))
    assert str(raised.value) == f'toy.More {text}'
    assert registry.get('Neck').__name__ == 'Neck'


def test_a_file_that_does_not_fit_its_host(registry, tmp_path):
    """Of a host of another version: its types say so, and take no other file down."""
    (tmp_path / 'toy_old.py').write_text('from toy_host import Gone')
    registry.register_hosted('toy_host', 'toy_old', ('Old', ))
    text = r"toy.Old does not fit toy_host .*cannot import name 'Gone' from 'toy_host'"
    with pytest.raises(ImportError, match=text):
        registry.build(dict(type='toy.Old'))
    failed = registry.load_hosts()
    assert list(failed) == ['toy_host.Old'] and re.match(text, str(failed['toy_host.Old']))
    assert registry.get('Neck').__name__ == 'Neck'


def test_a_package_of_files(registry, tmp_path):
    """A name is imported with its file, and no other file."""
    folder = tmp_path / 'toy_package'
    folder.mkdir()
    (folder / '__init__.py').write_text(
        'from toy_registry import TOYS\n'
        '__getattr__, __all__ = TOYS.register_package(__name__, "toy_host", '
        'dict(one="A", two="C B"))')
    for file, names in {'one': 'A', 'two': 'BC'}.items():
        (folder / f'{file}.py').write_text('from toy_registry import TOYS\n' + ''.join(
            f'@TOYS.register_module()\nclass {name}: pass\n' for name in names))
    try:
        import toy_package
        assert toy_package.__all__ == ['A', 'B', 'C'] and 'toy_package.one' not in sys.modules
        from toy_package import B
        assert registry.get('toy.B') is B and 'toy_package.one' not in sys.modules
        assert registry.get('A').__module__ == 'toy_package.one'
        with pytest.raises(ImportError, match='cannot import name'):
            from toy_package import D  # noqa: F401
    finally:
        for name in [name for name in sys.modules if name.startswith('toy_package')]:
            del sys.modules[name]

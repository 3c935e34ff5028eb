"""Mistakes that users make end the tools in one line that says what to do."""
import os
import re
import subprocess
import sys
import venv
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmups.engine.cli import message_of

pytest.importorskip('mmseg')

CONFIG = (Path(__file__).parents[2] / 'configs/segformer'
          / 'segformer_mit-b0_dysample_1xb8-600it_digit-scenes-128x128.py')


def last_line(tool, *args, cwd):
    done = tool(*args, cwd=cwd, check=False)
    assert done.returncode == 1
    assert 'Traceback' not in done.stderr
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize('args, message', [
    (['no_such_config.py'], "no config 'no_such_config.py'; give a path, or mmdet::"),
    (['mmseg::segformer/no_such_config.py'], 'no_such_config.py'),
    (['nosuchpackage::segformer/x.py'], 'nosuchpackage'),
    ([CONFIG, '--cfg-options', 'model.decode_head.upsampler.type=DySampel'],
     "'DySampel' is not an upsampler of mmups (did you mean type='DySample'?); registered: A2U"),
    ([CONFIG, '--cfg-options', 'model.decode_head.upsampler.group=4'],
     "DySample does not take ['group']; its keys are"),
    ([CONFIG, '--cfg-options', 'model.decode_head.type=mmups.SegformerHaed'],
     'mmups.SegformerHaed is not in the'),
], ids=str)
def test_training(args, message, scenes, tool, tmp_path):
    assert message in last_line(tool, 'train.py', *args, '--work-dir', tmp_path, cwd=scenes)


def test_checkpoint_of_another_model(scenes, tool, tmp_path):
    path = tmp_path / 'other.pth'
    torch.save(dict(state_dict={'weight': torch.zeros(2)}), path)
    for script in (['test.py'], ['visualize.py', 'predictions']):
        message = last_line(tool, *script, CONFIG, path, '--work-dir', tmp_path, cwd=scenes)
        assert "other.pth is no checkpoint of this config's model: of " in message
    message = last_line(tool, 'test.py', CONFIG, tmp_path / 'none.pth', '--work-dir', tmp_path,
                        cwd=scenes)
    assert 'none.pth' in message


def test_host_is_not_installed(tmp_path):
    """An environment with the packages of this one, but without mmseg."""
    venv.create(tmp_path / 'env', with_pip=False)
    packages = tmp_path / 'packages'
    packages.mkdir()
    for path in Path(find_spec('mmengine').origin).parents[1].iterdir():
        if not path.name.removeprefix('onedl_').startswith('mmseg'):
            (packages / path.name).symlink_to(path)
    folder, = (tmp_path / 'env').glob('lib/python*/site-packages')
    (folder / 'packages.pth').write_text(str(packages))
    done = subprocess.run(
        [tmp_path / 'env/bin/python', CONFIG.parents[2] / 'tools/train.py', CONFIG], cwd=tmp_path,
        capture_output=True, text=True, env=dict(os.environ, PYTHONPATH=str(CONFIG.parents[2])))
    assert done.returncode == 1
    assert 'Traceback' not in done.stderr
    assert 'mmsegmentation is not installed' in done.stderr.splitlines()[-1]


# --- mistakes of every kind in a config ----------------------------------------------------------


@pytest.fixture
def ends(tmp_path, monkeypatch):
    """``ends(script, *args)``: what a tool ended with, run in a folder without anything; a script
    may be one of its commands."""
    monkeypatch.chdir(tmp_path)

    def run(script, *args):
        script, *command = script.split()
        spec = spec_from_file_location('tool', CONFIG.parents[2] / 'tools' / script)
        tool = module_from_spec(spec)
        spec.loader.exec_module(tool)
        monkeypatch.setattr(sys, 'argv', [f'some/where/{script}', *command, *map(str, args)])
        with pytest.raises(SystemExit) as error:
            tool.main()
        return error.value.code
    return run


MODEL = "model = dict(type='mmdet.RetinaNet')\n"
#: name of the config, files, what is said
MISTAKES = {
    'syntax': ('c.py', {'c.py': 'model = dict(\n'}, 'SyntaxError: .*c.py|SyntaxError: .*line 1'),
    'syntax of a base': ('c.py', {'c.py': "_base_ = 'b.py'", 'b.py': 'x ='}, 'SyntaxError: '),
    'missing base': ('c.py', {'c.py': "_base_ = 'b.py'"}, 'FileNotFoundError: .*b.py'),
    'base of another kind': ('c.py', {'c.py': '_base_ = 3'}, 'TypeError: '),
    'itself': ('c.py', {'c.py': "_base_ = './c.py'"}, 'it inherits itself'),
    'each other': ('c.py', {'c.py': "_base_ = 'b.py'", 'b.py': "_base_ = 'c.py'"},
                   'it inherits itself'),
    'itself, imported': ('c.py', {'c.py': 'from mmengine.config import read_base\n'
                                          'with read_base():\n    from .c import *\n'},
                         'it inherits itself'),
    'duplicate keys': ('c.py', {'c.py': "_base_ = ['a.py', 'b.py']", 'a.py': MODEL, 'b.py': MODEL},
                       'KeyError: Duplicate key is not allowed among bases.*model'),
    'package without configs': ('nosuch::a.py', {}, 'ValueError: .*please specify the package'),
    'unknown package': ('nosuch::a/b.py', {}, 'does not support to load nosuch config'),
    'unknown stock config': ('mmseg::a/b.py', {}, 'FileNotFoundError: .*b.py'),
    'missing custom import': ('c.py', {'c.py': MODEL + "custom_imports = dict(imports='nosuch')"},
                              "Failed to import custom modules(.|\n)*No module named 'nosuch'|"
                              "nosuch"),
    'missing import': ('c.py', {'c.py': 'from nosuch import Neck\nmodel = dict(type=Neck)'},
                       'nosuch'),
    'name error': ('c.py', {'c.py': 'model = dict(type=FPN)'}, "NameError: name 'FPN'"),
    'attribute error': ('c.py', {'c.py': MODEL + "x = model.neck"}, 'AttributeError: .*neck'),
    'zero': ('c.py', {'c.py': 'x = 1 / 0'}, 'ZeroDivisionError: division by zero'),
    'stops': ('c.py', {'c.py': 'raise RuntimeError("not today")'}, 'RuntimeError: not today'),
    'json': ('c.json', {'c.json': '{"model": '}, 'JSONDecodeError: '),
    'empty json': ('c.json', {'c.json': ''}, 'JSONDecodeError: '),
    'yaml': ('c.yaml', {'c.yaml': 'a: [1'}, 'ParserError: '),
    'list': ('c.json', {'c.json': '[1, 2]'}, 'AttributeError: '),
    'other suffix': ('c.txt', {'c.txt': MODEL}, 'OSError: Only py/yml/yaml/json'),
    'bytes': ('c.py', {'c.py': b'# \xff\xfe\n'}, "UnicodeDecodeError: 'utf-8' codec"),
    'empty': ('c.py', {'c.py': ''}, 'no model'),
    'empty yaml': ('c.yaml', {'c.yaml': ''}, 'AttributeError: |no model'),
    'no model': ('c.py', {'c.py': 'lr = 1'}, 'no model'),
    'folder': ('folder', {'folder/c.py': MODEL}, "no config 'folder'; give a path, or mmdet::"),
    'nothing': ('', {}, "no config ''; give a path"),
    'placeholder': ('c.py', {'c.py': MODEL + "x = '{{$NO_SUCH_VARIABLE:}}'"},
                    'NO_SUCH_VARIABLE'),
}
TOOLS = {'train.py': (), 'test.py': ('checkpoint.pth', ), 'swap.py': ('dysample', ),
         'visualize.py predictions': ('checkpoint.pth', )}


@pytest.mark.parametrize('script', TOOLS)
@pytest.mark.parametrize('kind', MISTAKES)
def test_mistakes_in_a_config(script, kind, ends, tmp_path):
    name, files, message = MISTAKES[kind]
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    said = ends(script, name, *TOOLS[script])
    assert said.startswith(f'{script.split()[0]}: ') and re.search(message, said), said
    assert name in said or 'this config has no model' in said
    assert 'Traceback' not in said
    assert sorted(path.name for path in tmp_path.glob('*.*')) == sorted(
        path for path in files if '/' not in path)


@pytest.mark.parametrize('error', ['ImportError("no wheels")', 'AssertionError("no wheels")',
                                   'AttributeError("no wheels")', 'RuntimeError("no wheels")',
                                   'OSError("no wheels")', 'Exception("no wheels")',
                                   'KeyError("no wheels")'])
@pytest.mark.parametrize('script', ['train.py', 'swap.py'])
def test_packages_that_are_installed_and_broken(error, script, ends, tmp_path, monkeypatch):
    (tmp_path / 'broken_package.py').write_text(f'raise {error}\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / 'c.py').write_text(
        MODEL + "custom_imports = dict(imports=['broken_package'], allow_failed_imports=False)")
    said = ends(script, 'c.py', *TOOLS[script])
    assert said.startswith(f'{script}: c.py cannot be read: ') and 'no wheels' in said


@pytest.mark.skipif(os.geteuid() == 0, reason='root may read everything')
def test_a_config_that_one_may_not_read(ends, tmp_path):
    (tmp_path / 'c.py').write_text(MODEL)
    (tmp_path / 'c.py').chmod(0)
    for script, more in TOOLS.items():
        assert 'PermissionError' in ends(script, 'c.py', *more)


@pytest.mark.parametrize(('config', 'said'), [
    (dict(model=dict(type='NoSuchModel')), 'NoSuchModel is not in the'),
    (dict(model=dict(neck=1)), 'type'), (dict(model=[1]), ''), (dict(model='FPN'), '')], ids=str)
def test_models_that_are_none(config, said, ends, tmp_path):
    Config(dict(config, default_scope='mmseg')).dump(tmp_path / 'c.py')
    for script in ('train.py', 'swap.py'):
        message = ends(script, 'c.py', *TOOLS[script])
        assert message.startswith(f'{script}: ') and 'Traceback' not in message
    assert said in ends('train.py', 'c.py')


@pytest.mark.parametrize('content', [b'', b'no checkpoint', 'list', 'folder'], ids=str)
def test_checkpoints_that_are_none(content, scenes, tool, tmp_path):
    path = tmp_path / 'c.pth'
    if content == 'folder':
        path.mkdir()
    elif content == 'list':
        torch.save([1], path)
    else:
        path.write_bytes(content)
    last_line(tool, 'test.py', CONFIG, path, '--work-dir', tmp_path, cwd=scenes)


def test_resuming_with_another_upsampler(scenes, tool, tmp_path):
    """A sentence, before the optimizer sees the state of other weights."""
    short = ['--cfg-options', 'train_cfg.max_iters=1', 'param_scheduler.total_steps=1',
             'train_cfg.val_interval=1', 'default_hooks.checkpoint.interval=1',
             'train_dataloader.batch_size=2']
    tool('train.py', CONFIG, '--work-dir', tmp_path, *short, cwd=scenes)
    for option, message in (('style=pl', 'have another shape'),
                            ('type=Interpolate', 'it has 18 besides')):
        upsampler = f'model.decode_head.upsampler.{option}'
        more = [] if '=pl' in option else ['model.decode_head.upsampler._delete_=True']
        said = last_line(tool, 'train.py', CONFIG, '--work-dir', tmp_path, '--resume', *short,
                         upsampler, *more, cwd=scenes)
        assert f"{tmp_path}/iter_1.pth is no checkpoint of this config's model: " in said
        assert message in said and 'Was it trained with another config?' in said


def test_messages_keep_their_cause():
    def raised(error, cause=None):
        try:
            raise error from cause
        except Exception as caught:
            return message_of(caught)

    assert raised(ValueError('it is wrong')) == 'it is wrong'
    assert raised(KeyError('neck')) == 'KeyError: neck'
    assert raised(KeyError('a key of it')) == 'a key of it'
    assert raised(AssertionError()) == 'AssertionError' and raised(KeyError()) == 'KeyError'
    assert raised(ImportError('no it cannot'), ImportError('for lack of x')) == (
        'no it cannot: for lack of x')
    assert raised(ImportError('lacks x, no'), ImportError('lacks x')) == 'lacks x, no'


def test_tracebacks_on_demand(tmp_path):
    done = subprocess.run([sys.executable, '-X', 'dev', CONFIG.parents[2] / 'tools/swap.py', 'no'],
                          cwd=tmp_path, capture_output=True, text=True,
                          env=dict(os.environ, PYTHONPATH=str(CONFIG.parents[2]),
                                   PYTHONWARNINGS='ignore'))
    assert done.returncode == 1
    assert 'Traceback' in done.stderr
    assert "FileNotFoundError: there is no config 'no'" in done.stderr

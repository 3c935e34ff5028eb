"""From the arguments of a tool to a runner."""
import argparse
import os
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.runner import CheckpointLoader

from mmups.engine.cli import build_runner, common_parser, load_config, read_config

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(path.relative_to(ROOT / 'configs').as_posix()
                 for path in (ROOT / 'configs').glob('[a-z]*/*.py'))
DEMO = 'segformer/segformer_mit-b0_dysample_1xb8-600it_digit-scenes-128x128.py'


@MODELS.register_module()
class OfTestCli(BaseModel):

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(2, 2)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return self.linear(inputs)


def load(*words):
    return load_config(common_parser('').parse_args(list(map(str, words))))


@pytest.fixture
def written(tmp_path):
    """``written(text)``: path of a config with a small model and this besides."""

    def write(text=''):
        path = tmp_path / 'small.py'
        path.write_text(f"model = dict(type='OfTestCli')\nwork_dir = {str(tmp_path / 'w')!r}\n"
                        f'{text}')
        return path
    return write


FLEXIBLE = "runner_type = 'FlexibleRunner'\nenv_cfg = dict()\n"


def test_flexible_runner_has_its_model(written):
    """Where mmengine would still have the config, whose weights no checkpoint can be held to."""
    assert isinstance(build_runner(load(written(FLEXIBLE))).model, OfTestCli)


@pytest.mark.skipif(find_spec('deepspeed') is not None, reason='deepspeed is installed')
def test_deepspeed_is_asked_for(written):
    config = written(f"{FLEXIBLE}strategy = dict(type='DeepSpeedStrategy')")
    with pytest.raises(AssertionError, match='DeepSpeed is not installed'):
        build_runner(load(config))


@pytest.mark.parametrize(('text', 'expected'), [
    ('', {}), ('randomness = {}', {}), ('randomness = None', {}), ('randomness = dict()', {}),
    ('randomness = dict(seed=None)', {}), ('randomness = dict(seed=5)', dict(seed=5)),
    ('randomness = dict(deterministic=True)', dict(deterministic=True)),
    ('randomness = dict(diff_rank_seed=True, seed=3)', dict(diff_rank_seed=True, seed=3)),
])
def test_seed(text, expected, written):
    """The runner has it, and what else a config says of randomness."""
    for words, seed in (([], {}), (['--seed', 7], dict(seed=7)), (['--seed', 0], dict(seed=0)),
                        (['--cfg-options', 'randomness.seed=9'], dict(seed=9))):
        if words[:1] == ['--cfg-options'] and 'None' in text.partition('(')[0]:
            continue  # mmengine refuses to set a key of None
        cfg = load(written(text), *words)
        assert cfg.randomness == {'seed': None, **expected, **seed}
        runner = build_runner(cfg)
        if wanted := cfg.randomness.seed is not None and cfg.randomness.seed:
            assert runner.seed == wanted
        assert runner.deterministic == expected.get('deterministic', False)
        torch.use_deterministic_algorithms(False)
    assert torch.equal(*(seeded_weight(written(text), 7) for _ in range(2)))
    assert not torch.equal(seeded_weight(written(text), 7), seeded_weight(written(text), 8))


def seeded_weight(path, seed):
    runner = build_runner(load(path, '--seed', seed))
    torch.use_deterministic_algorithms(False)
    return runner.model.linear.weight.detach().clone()


@pytest.mark.parametrize('name', [DEMO, *CONFIGS[::9]])
def test_seed_of_every_kind_of_config(name):
    assert load(ROOT / 'configs' / name, '--seed', 3).randomness.seed == 3


@pytest.mark.parametrize('name', [
    'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py',
    'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', f'mmups::{DEMO}',
    str(ROOT / 'configs' / DEMO)])
def test_names_of_configs(name, tmp_path):
    """The file in the work directory, the run and the default work directory have them."""
    if '::' in name:
        pytest.importorskip(name.partition('::')[0])
    stem = Path(name.partition('::')[2] or name).stem
    assert load(name).work_dir in (f'work_dirs/{stem}', str(Path('work_dirs', stem)))
    for _ in range(2):  # the same each time
        cfg = read_config(name)
        assert Path(cfg.filename).stem == stem and Path(cfg.filename).is_file()
        cfg = Config(dict(model=dict(type='OfTestCli'), work_dir=str(tmp_path)),
                     filename=cfg.filename)
        assert build_runner(cfg).experiment_name.startswith(f'{stem}_2')
    assert [path.name for path in tmp_path.glob('*.py')] == [f'{stem}.py']


@pytest.mark.parametrize('name', list({Path(name).parent: name for name in CONFIGS}.values()))
def test_configs_of_mmups_by_name(name, tmp_path):
    """Inherited by name they are what they are by their path."""
    path = ROOT / 'configs' / name
    try:
        expected = Config.fromfile(path)
    except ModuleNotFoundError as error:
        pytest.skip(str(error))
    (tmp_path / 'child.py').write_text(f"_base_ = 'mmups::{name}'\n")
    assert Config.fromfile(tmp_path / 'child.py').to_dict() == expected.to_dict()
    assert read_config(f'mmups::{name}').to_dict() == expected.to_dict()


def test_presets_of_mmups_by_name(tmp_path):
    pytest.importorskip('mmseg')
    (tmp_path / 'child.py').write_text(
        "_base_ = ['mmseg::_base_/models/segformer_mit-b0.py',\n"
        "          'mmups::_base_/upsamplers/dysample-s-plus.py']\n"
        "model = dict(decode_head=dict(type='mmups.SegformerHead', upsampler=_base_.upsampler))")
    upsampler = Config.fromfile(tmp_path / 'child.py').model.decode_head.upsampler
    assert upsampler == Config.fromfile(
        ROOT / 'configs/_base_/upsamplers/dysample-s-plus.py').upsampler
    assert upsampler.groups == 8


@pytest.mark.parametrize('name', ['mmups::nothing/x.py', 'mmups::', 'mmups::segformer'])
def test_no_config_of_mmups(name, tmp_path):
    with pytest.raises(ValueError, match=f'{name} cannot be read: .*no config {name!r}'):
        read_config(name)
    (tmp_path / 'child.py').write_text(f'_base_ = {name!r}\n')
    with pytest.raises(FileNotFoundError, match=f'no config {name!r}: there is no '):
        Config.fromfile(tmp_path / 'child.py')


class Harmful:

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path), )


def test_a_runner_reads_no_code(written, tmp_path, monkeypatch):
    """Where mmengine's own reader would run it, as the fork's does."""
    if not hasattr(torch.serialization, 'get_unsafe_globals_in_checkpoint'):
        pytest.skip('PyTorch before 2.6 is left as mmengine has it')
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    CheckpointLoader.register_scheme(
        prefixes='', force=True, loader=lambda filename, map_location: torch.load(
            filename, map_location=map_location, weights_only=False))
    for name in ('first', 'second'):
        torch.save(dict(state_dict={}, evil=Harmful(tmp_path / name)), tmp_path / f'{name}.pth')
    CheckpointLoader.load_checkpoint(str(tmp_path / 'first.pth'))
    assert (tmp_path / 'first').is_dir()

    runner = build_runner(load(written()))
    with pytest.raises(Exception, match='eights only load failed'):
        runner.load_checkpoint(str(tmp_path / 'second.pth'))
    assert not (tmp_path / 'second').exists()


@pytest.mark.parametrize('words', [['--cfg-options', 'lr'], ['--cfg-options', 'a=1', '=2'],
                                   ['--cfg-options', 'a=[1,2'], ['--seed', 'one']], ids=str)
def test_wrong_words(words, capsys):
    with pytest.raises(SystemExit, match='^2$'):
        common_parser('').parse_args(['c.py', *words])
    assert f'error: argument {words[0]}: ' in capsys.readouterr().err.splitlines()[-1]


def test_a_config_without_a_model(tmp_path):
    (tmp_path / 'c.py').write_text('lr = 1')
    with pytest.raises(ValueError, match='c.py has no model'):
        load_config(argparse.Namespace(config=str(tmp_path / 'c.py'), launcher='none',
                                       cfg_options={}, work_dir=None, seed=None, local_rank=0))


@pytest.mark.parametrize(('name', 'slot'), [
    ('FPN_UPSAMPLE', 'mmups.FPN'), ('mmups.FPN_UPSAMPLE', 'mmups.FPN'),
    ('SegformerHead_Upsample', 'mmups.SegformerHead')])
def test_a_class_of_a_fork_is_named_anew(name, slot, written):
    path = written(f"model['necks'] = [dict(type={name!r}, upsample_cfg=dict(type='dysample'))]\n")
    with pytest.raises(ValueError, match=rf"type='{name}' is a class .* type='{slot}' with "
                                         r"upsampler=dict\(type='DySample', \.\.\.\)"):
        load(path)
    load(path, '--cfg-options', 'model.necks.0.type=mmups.FPN')


def test_a_class_that_is_called_like_one_of_a_fork(written):
    """One that the user brought along is the user's."""
    path = written("model['neck'] = dict(type='FPN_UPSAMPLE')\n")
    MODELS.register_module(name='FPN_UPSAMPLE', module=torch.nn.Identity)
    try:
        assert load(path).model.neck.type == 'FPN_UPSAMPLE'
    finally:
        del MODELS.module_dict['FPN_UPSAMPLE']

"""Training, resuming and testing by the commands that the README names."""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import mmups.engine  # noqa: F401  allow-lists the training state

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs'
DEMO = 'segformer/segformer_mit-b0_dysample_1xb8-600it_digit-scenes-128x128.py'
ITERATIONS = ['train_cfg.val_interval=4', 'default_hooks.checkpoint.interval=2',
              'default_hooks.logger.interval=1', 'train_dataloader.batch_size=2']


def options(max_iters, *more):
    return ['--cfg-options', f'train_cfg.max_iters={max_iters}',
            f'param_scheduler.total_steps={max_iters}', *ITERATIONS, *more]


def digit_scenes_configs():
    return sorted(str(path.relative_to(CONFIGS)) for path in CONFIGS.glob('*/*digit-scenes*.py'))


#: What an evaluation prints, of models of mmdet.
METRICS = {'faster_rcnn': ('coco/bbox_mAP', ), 'mask_rcnn': ('coco/segm_mAP', 'coco/boundary_mAP'),
           'mask2former': ('coco_panoptic/PQ', 'coco_panoptic/boundary_PQ'),
           'panoptic_fpn': ('coco_panoptic/PQ', 'coco_panoptic/boundary_PQ'),
           'retinanet': (),  # finds nothing yet
           'rtmdet': ('coco/bbox_mAP', )}
#: Likewise of models of mmseg.
SEG_METRICS = {'depthformer': ('abs_rel', 'silog')}


def short(name):
    """Options for a few iterations of a config."""
    if Path(name).parts[0] not in METRICS:
        return options(4)
    return ['--cfg-options', 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1',
            'train_dataloader.batch_size=4', 'param_scheduler.total_steps=1']


@pytest.mark.parametrize('name', [name for name in digit_scenes_configs() if '_swap_' not in name])
def test_trains_and_tests(name, scenes, tool, tmp_path):
    """A few iterations, then the evaluation of the checkpoint, whose metrics are printed."""
    tool('train.py', CONFIGS / name, '--work-dir', tmp_path, *short(name), cwd=scenes)
    checkpoint = (tmp_path / 'last_checkpoint').read_text()
    done = tool('test.py', CONFIGS / name, checkpoint, '--work-dir', tmp_path / 'test', cwd=scenes)
    metrics = {**METRICS, **SEG_METRICS}.get(Path(name).parts[0], ('mIoU', 'mBIoU'))
    for metric in metrics:
        assert f' {metric}: ' in done.stdout, metric


@pytest.mark.parametrize(('name', 'broken'), [
    ('faster_rcnn/faster-rcnn_r18_fpn-dysample_1xb8-8e_digit-scenes-128x128.py', 'mmseg'),
    (DEMO, 'mmdet')])
def test_trains_beside_a_broken_host(name, broken, scenes, tool, tmp_path):
    """mmseg imports mmdet where it is installed, and knows no error but its absence."""
    package = tmp_path / 'packages' / broken
    package.mkdir(parents=True)
    (package / '__init__.py').write_text("raise AssertionError('this mmcv is refused')")
    tool('train.py', CONFIGS / name, '--work-dir', tmp_path, *short(name), cwd=scenes,
         PYTHONPATH=f'{package.parent}{os.pathsep}{ROOT}')
    assert (tmp_path / 'last_checkpoint').exists()


SWEEP = DEMO.replace('dysample', 'sweep')
PRESETS = sorted(path.stem for path in (CONFIGS / '_base_/upsamplers').glob('*.py'))


@pytest.mark.slow
@pytest.mark.parametrize('preset', PRESETS)
def test_one_epoch_lowers_the_loss(preset, all_scenes, tool, tmp_path):
    """The sweep config takes its upsampler from the environment; 100 iterations of 8 scenes."""
    tool('train.py', CONFIGS / SWEEP, '--work-dir', tmp_path, '--cfg-options',
         'train_cfg.max_iters=100', 'train_cfg.val_interval=100', 'param_scheduler.total_steps=100',
         'default_hooks.logger.interval=1', cwd=all_scenes, UPSAMPLER=preset)
    scalars, = tmp_path.glob('*/vis_data/scalars.json')
    losses = [row['loss'] for row in map(json.loads, scalars.read_text().splitlines())
              if 'loss' in row]
    assert len(losses) == 100
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])


def wait_for(path, process, timeout=240):
    deadline = time.time() + timeout
    while not path.exists():
        if process.poll() is not None or time.time() > deadline:
            raise AssertionError(process.communicate()[0][-3000:])
        time.sleep(0.05)


def test_resume_after_kill(scenes, tool, tmp_path):
    """kill -9 in mid-training: --resume goes on from the last checkpoint to the same end."""
    args = [str(CONFIGS / DEMO), '--work-dir', str(tmp_path), '--resume', *options(20)]
    process = subprocess.Popen([sys.executable, str(ROOT / 'tools/train.py'), *args], cwd=scenes,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               env=dict(os.environ, PYTHONPATH=str(ROOT)), start_new_session=True)
    wait_for(tmp_path / 'iter_4.pth', process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / 'iter_20.pth').exists()
    last = Path((tmp_path / 'last_checkpoint').read_text())

    done = tool('train.py', *args, cwd=scenes)
    assert f'Load checkpoint from {last}' in done.stdout
    state = torch.load(tmp_path / 'iter_20.pth', weights_only=True)
    assert state['meta']['iter'] == 20
    assert len(state['message_hub']['log_scalars']['train/loss'].data[0]) == 20


def test_same_seed_same_losses(scenes, tool, tmp_path):
    losses = []
    for seed in (1, 1, 2):
        work_dir = tmp_path / str(len(losses))
        tool('train.py', CONFIGS / DEMO, '--work-dir', work_dir, '--seed', seed, *options(2),
             cwd=scenes)
        state = torch.load(work_dir / 'iter_2.pth', weights_only=True)
        losses.append(list(state['message_hub']['log_scalars']['train/loss'].data[0]))
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


def test_broken_image_stops_the_run_and_keeps_the_checkpoint(own_scenes, tool):
    work_dir = own_scenes / 'run'
    tool('train.py', CONFIGS / DEMO, '--work-dir', work_dir, *options(2), cwd=own_scenes)
    before = (work_dir / 'iter_2.pth').read_bytes()
    for image in (own_scenes / 'data/digit_scenes/images/train').iterdir():
        image.write_bytes(b'not a picture')
    done = tool('train.py', CONFIGS / DEMO, '--work-dir', work_dir, '--resume', *options(6),
                cwd=own_scenes, check=False)
    assert done.returncode != 0
    assert 'images/train/' in done.stderr.splitlines()[-1] + done.stderr[-1500:]
    assert (work_dir / 'iter_2.pth').read_bytes() == before


def test_stock_config(scenes, tool, tmp_path):
    """A stock mmseg config, by its name, with SyncBN and on a CPU; only its data are replaced."""
    data = [f'{loader}.dataset.{key}' for loader in ('train_dataloader', 'val_dataloader')
            for key in ('type=mmups.DigitScenesSegDataset', 'data_root=data/digit_scenes')]
    for loader, split in (('train_dataloader', 'train'), ('val_dataloader', 'val')):
        data += [f'{loader}.dataset.data_prefix.img_path=images/{split}',
                 f'{loader}.dataset.data_prefix.seg_map_path=annotations/{split}',
                 f'{loader}.num_workers=0', f'{loader}.persistent_workers=False']
    done = tool('train.py', 'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py',
                '--work-dir', tmp_path, '--cfg-options', *data, 'train_cfg.max_iters=1',
                'train_dataloader.dataset.pipeline.1.reduce_zero_label=False',
                'val_dataloader.dataset.pipeline.2.reduce_zero_label=False',
                'model.backbone.init_cfg=None', 'default_hooks.logger.interval=1', cwd=scenes)
    assert 'Saving checkpoint at 1 iterations' in done.stdout
    assert [path.name for path in tmp_path.glob('*.py')] == [
        'segformer_mit-b0_8xb2-160k_ade20k-512x512.py']


@pytest.mark.parametrize('script', ['train.py', 'test.py', 'visualize.py predictions'])
def test_help(script, tool, tmp_path):
    text = tool(*script.split(), '--help', cwd=tmp_path).stdout
    assert '--cfg-options' in text and '--work-dir' in text and '--launcher' in text


def test_unknown_config_is_a_readable_error(tool, tmp_path):
    done = tool('train.py', 'nothing.py', cwd=tmp_path, check=False)
    assert done.returncode != 0
    assert "no config 'nothing.py'" in done.stderr and 'mmseg::FOLDER/NAME.py' in done.stderr

"""Training in two processes is training in one on the joint batch."""
import os
import subprocess
import sys

import pytest
import torch

from mmups.models import registered_upsamplers

pytest.importorskip('mmseg')

# Two steps: DistributedDataParallel notices a parameter that had no gradient at the second one.
WORKER = '''
import sys
import torch
import torch.distributed as dist
import mmups.engine
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from mmups.models import BaseUpsampler
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.fsdp.wrap import ModuleWrapPolicy
from torch.nn.parallel import DistributedDataParallel

rank, folder, kind, *upsamplers = int(sys.argv[1]), *sys.argv[2:]
torch.set_num_threads(1)
device = torch.device('cuda', rank) if kind == 'nccl' else torch.device('cpu')


def sharded(net):
    return FullyShardedDataParallel(net, device_id=device, use_orig_params=True,
                                    auto_wrap_policy=ModuleWrapPolicy({BaseUpsampler}))


def gradients(net):
    with FullyShardedDataParallel.summon_full_params(net, with_grads=True):
        return {name.replace('_fsdp_wrapped_module.', '').removeprefix('module.'): p.grad.clone()
                for name, p in net.named_parameters()}


wrap = dict(ddp=DistributedDataParallel, nccl=DistributedDataParallel, fsdp=sharded)[kind]
cfg = Config.fromstring("""
_base_ = 'mmseg::_base_/models/segformer_mit-b0.py'
model = dict(
    data_preprocessor=dict(size=(64, 64)),
    backbone=dict(embed_dims=8, num_layers=[1, 1, 1, 1], drop_path_rate=0),
    decode_head=dict(type='mmups.SegformerHead', in_channels=[8, 16, 40, 64], channels=32,
                     num_classes=3, norm_cfg=dict(type='BN'), dropout_ratio=0,
                     upsampler=dict(type='DySample')))
""", '.py')


def train(upsampler, indices, distribute):
    """Losses of two steps, and the gradients of the second one."""
    torch.manual_seed(0)
    options = dict(dyscope=True) if upsampler == 'DySample' else {}
    cfg.model.decode_head.upsampler = dict(type=upsampler, **options)
    model = MODELS.build(cfg.model)
    model.init_weights()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()  # its statistics would be those of one half
    model.to(device)
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    labels = torch.randint(0, 3, (2, 1, 64, 64))
    batch = dict(inputs=[images[i] for i in indices], data_samples=[
        SegDataSample(gt_sem_seg=PixelData(data=labels[i])) for i in indices])
    net = distribute(model)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    losses = []
    for _ in range(2):
        optimizer.zero_grad()
        loss, _ = model.parse_losses(net(**model.data_preprocessor(batch, True), mode='loss'))
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
    return dict(losses=losses, grads=gradients(net))


dist.init_process_group('nccl' if kind == 'nccl' else 'gloo', init_method=f'file://{folder}/store',
                        rank=rank, world_size=2)
torch.save({name: dict(mine=train(name, [rank], wrap), joint=train(name, [0, 1], lambda net: net))
            for name in upsamplers}, f'{folder}/{rank}.pth')
dist.destroy_process_group()
'''


@pytest.mark.skipif(not torch.distributed.is_available()
                    or not torch.distributed.is_gloo_available(), reason='needs gloo')
@pytest.mark.parametrize(('kind', 'upsamplers'), [
    ('ddp', ['DySample']),
    pytest.param('nccl', ['DySample'], marks=[pytest.mark.cuda, pytest.mark.skipif(
        torch.cuda.device_count() < 2, reason='needs two GPUs')]),
    pytest.param('fsdp', sorted(name for name, cls in registered_upsamplers().items()
                                if not cls.image_guided), marks=pytest.mark.slow)],
    ids=['ddp', 'nccl', 'fsdp'])
def test_two_processes_equal_one(kind, upsamplers, tmp_path):
    """No unused parameter, and the averaged losses and gradients of both halves.

    Sharded, every upsampler is a unit of its own.
    """
    (tmp_path / 'worker.py').write_text(WORKER)
    workers = [subprocess.Popen(
        [sys.executable, tmp_path / 'worker.py', str(rank), str(tmp_path), kind, *upsamplers],
        env=dict(os.environ, OMP_NUM_THREADS='1'), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True) for rank in range(2)]
    try:
        for worker in workers:
            output, _ = worker.communicate(timeout=300)
            assert worker.returncode == 0, output
    finally:
        for worker in workers:
            worker.kill()
    results = [torch.load(tmp_path / f'{rank}.pth', map_location='cpu') for rank in range(2)]
    for name in upsamplers:
        first, second = (result[name]['mine'] for result in results)
        joint = results[0][name]['joint']
        for a, b, both in zip(first['losses'], second['losses'], joint['losses']):
            assert a != b
            assert (a + b) / 2 == pytest.approx(both, rel=1e-5)
        if name == 'DySample':
            assert sum('upsample_modules' in key for key in joint['grads']) == 6 * 4
        for key, grad in joint['grads'].items():
            assert torch.equal(first['grads'][key], second['grads'][key]), (name, key)
            torch.testing.assert_close(first['grads'][key], grad, rtol=1e-3, atol=1e-6)
        assert name == 'Interpolate' or any(
            grad.any() for key, grad in joint['grads'].items() if 'upsample_modules' in key)

"""Training in two processes is training in one on the joint batch."""
import os
import subprocess
import sys

import pytest
import torch

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
from torch.nn.parallel import DistributedDataParallel

rank, folder = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
cfg = Config.fromstring("""
_base_ = 'mmseg::_base_/models/segformer_mit-b0.py'
model = dict(
    data_preprocessor=dict(size=(64, 64)),
    backbone=dict(embed_dims=8, num_layers=[1, 1, 1, 1], drop_path_rate=0),
    decode_head=dict(type='mmups.SegformerHead', in_channels=[8, 16, 40, 64], channels=32,
                     num_classes=3, norm_cfg=dict(type='BN'), dropout_ratio=0,
                     upsampler=dict(type='DySample', dyscope=True)))
""", '.py')


def train(indices, distribute):
    """Losses of two steps, and the gradients of the second one."""
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()  # its statistics would be those of one half
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    labels = torch.randint(0, 3, (2, 1, 64, 64))
    batch = dict(inputs=[images[i] for i in indices], data_samples=[
        SegDataSample(gt_sem_seg=PixelData(data=labels[i])) for i in indices])
    net = distribute(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for _ in range(2):
        optimizer.zero_grad()
        loss, _ = model.parse_losses(net(**model.data_preprocessor(batch, True), mode='loss'))
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
    return dict(losses=losses, grads={name: p.grad for name, p in model.named_parameters()})


dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
mine = train([rank], lambda net: DistributedDataParallel(net, find_unused_parameters=False))
joint = train([0, 1], lambda net: net)
torch.save(dict(mine=mine, joint=joint), f'{folder}/{rank}.pth')
dist.destroy_process_group()
'''


@pytest.mark.skipif(not torch.distributed.is_available()
                    or not torch.distributed.is_gloo_available(), reason='needs gloo')
def test_two_processes_equal_one(tmp_path):
    """No unused parameter, and the averaged losses and gradients of both halves."""
    (tmp_path / 'worker.py').write_text(WORKER)
    workers = [subprocess.Popen(
        [sys.executable, tmp_path / 'worker.py', str(rank), str(tmp_path)],
        env=dict(os.environ, OMP_NUM_THREADS='1'), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True) for rank in range(2)]
    try:
        for worker in workers:
            output, _ = worker.communicate(timeout=120)
            assert worker.returncode == 0, output
    finally:
        for worker in workers:
            worker.kill()
    results = [torch.load(tmp_path / f'{rank}.pth') for rank in range(2)]
    first, second = (result['mine'] for result in results)
    joint = results[0]['joint']
    for a, b, both in zip(first['losses'], second['losses'], joint['losses']):
        assert a != b
        assert (a + b) / 2 == pytest.approx(both, rel=1e-5)
    assert sum('upsample_modules' in name for name in joint['grads']) == 6 * 4
    for name, grad in joint['grads'].items():
        assert torch.equal(first['grads'][name], second['grads'][name]), name
        torch.testing.assert_close(first['grads'][name], grad, rtol=1e-3, atol=1e-6)
    assert any(grad.any() for name, grad in joint['grads'].items() if 'upsample_modules' in name)

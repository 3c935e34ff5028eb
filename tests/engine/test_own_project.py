"""Types of mmups in an OpenMMLab-style project with registries of its own, and none of ours."""
import os
import subprocess
import sys

FILES = {
    'depthlab/__init__.py': '',
    'depthlab/registry.py': '''
from mmengine import registry as root

MODELS = root.Registry('model', parent=root.MODELS, scope='depthlab', locations=['depthlab.net'])
DATASETS = root.Registry('dataset', parent=root.DATASETS, scope='depthlab',
                         locations=['depthlab.net'])
''',
    'depthlab/net.py': '''
import torch
from mmengine.model import BaseModel
from torch import nn
from depthlab.registry import DATASETS, MODELS


@DATASETS.register_module()
class Ramps(torch.utils.data.Dataset):

    def __len__(self):
        return 16

    def __getitem__(self, index):
        depth = torch.linspace(0, 1, 24).expand(1, 20, 24) * (1 + index / 16)
        return dict(image=depth.repeat(3, 1, 1), depth=depth)


@MODELS.register_module()
class DepthNet(BaseModel):

    def __init__(self, upsampler):
        super().__init__()
        self.down = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.up = MODELS.build(dict(upsampler, in_channels=16))
        self.out = nn.Conv2d(16, 1, 1)

    def forward(self, image, depth, mode='tensor'):
        found = self.out(self.up(self.down(image)))
        if mode == 'loss':
            return dict(loss=(found - depth).abs().mean())
        return found
''',
    'config.py': '''
default_scope = 'depthlab'
model = dict(type='DepthNet', upsampler=dict(type='mmups.DySample'))
train_dataloader = dict(batch_size=4, num_workers=0, dataset=dict(type='Ramps'),
                        collate_fn=dict(type='default_collate'),
                        sampler=dict(type='DefaultSampler', shuffle=True))
optim_wrapper = dict(optimizer=dict(type='Adam', lr=0.02))
train_cfg = dict(by_epoch=True, max_epochs=5)
randomness = dict(seed=0)
''',
    'train.py': '''
from mmengine.config import Config
from mmengine.runner import Runner

cfg = Config.fromfile('config.py')
cfg.work_dir = 'out'
runner = Runner.from_cfg(cfg)
runner.train()
losses = runner.message_hub.get_scalar('train/loss').data[0]
print(type(runner.model.up).__name__, len(losses), losses[-1] < 0.7 * losses[0])
''',
}


def test_trains(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    done = subprocess.run([sys.executable, 'train.py'], cwd=tmp_path, capture_output=True,
                          text=True, env=dict(os.environ, OMP_NUM_THREADS='1',
                                              PYTHONPATH=str(tmp_path)))
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == 'DySample 20 True'
    assert (tmp_path / 'out/epoch_5.pth').exists()

"""Checkpoints of mmengine load with weights_only, and still cannot run code."""
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.registry import PARAM_SCHEDULERS

import mmups.engine  # noqa: F401  allow-lists the training state

ROOT = Path(__file__).parents[2]


def training_state():
    hub = MessageHub.get_instance('test_checkpoint')
    hub.update_scalar('train/loss', 1.5)
    hub.update_scalar('train/loss', 0.5)
    hub.update_info('iter', 2)
    return dict(state_dict=dict(weight=torch.ones(2)), message_hub=hub.state_dict(),
                meta=dict(iter=2, cfg='model = 1'))


def test_training_state_round_trip(tmp_path):
    torch.save(training_state(), tmp_path / 'last.pth')
    state = torch.load(tmp_path / 'last.pth', weights_only=True)
    history = state['message_hub']['log_scalars']['train/loss']
    assert list(history.data[0]) == [1.5, 0.5]
    assert history.mean() == 1.0


# A schedule of each kind that mmengine has; what is not named takes no argument here.
SCHEDULES = {
    'OneCycleLR': dict(eta_max=0.1, total_steps=5), 'StepLR': dict(step_size=2),
    'MultiStepLR': dict(milestones=[2]), 'ConstantLR': {}, 'ExponentialLR': dict(gamma=0.9),
    'LinearLR': {}, 'PolyLR': {}, 'CosineAnnealingLR': dict(T_max=5),
    'CosineRestartLR': dict(periods=[5], eta_min=0), 'ReduceOnPlateauLR': dict(monitor='loss'),
}


@pytest.mark.parametrize('name', SCHEDULES)
def test_schedules_round_trip(name, tmp_path):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1, momentum=0.9)
    schedule = PARAM_SCHEDULERS.build(dict(SCHEDULES[name], type=name, optimizer=optimizer))
    torch.save(schedule.state_dict(), tmp_path / 'schedule.pth')
    state = torch.load(tmp_path / 'schedule.pth', weights_only=True)
    schedule.load_state_dict(state)


class Harmful:

    def __reduce__(self):
        return os.system, ('echo harm',)


class Reaches:
    """Uses the one thing that ``getattr`` was replaced by."""

    def __reduce__(self):
        return getattr, (torch.nn.Module, 'forward')


@pytest.mark.parametrize('content', [Harmful(), Reaches()])
def test_code_is_refused(content, tmp_path):
    torch.save(dict(state_dict={}, evil=content), tmp_path / 'evil.pth')
    with pytest.raises(Exception, match='nsupported|not fetch|weights_only'):
        torch.load(tmp_path / 'evil.pth', weights_only=True)


def test_a_type_of_mmups_is_enough(tmp_path):
    """Stock commands import nothing of mmups; the first look-up of a type allow-lists."""
    torch.save(training_state(), tmp_path / 'last.pth')
    code = ('import torch; from mmengine.registry import MODELS; MODELS.get("mmups.DySample"); '
            f'torch.load({str(tmp_path / "last.pth")!r}, weights_only=True)')
    subprocess.run([sys.executable, '-c', code], check=True, cwd=ROOT,
                   env=dict(os.environ, PYTHONPATH=str(ROOT)))

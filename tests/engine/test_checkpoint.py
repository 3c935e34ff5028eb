"""Checkpoints of mmengine load with weights_only, and still cannot run code."""
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.logging import MessageHub

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

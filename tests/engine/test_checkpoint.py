"""Checkpoints of mmengine load with weights_only, and still cannot run code."""
import os
import re
import subprocess
import sys
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.model import (
    BaseModel,
    BaseTTAModel,
    ExponentialMovingAverage,
    MMDistributedDataParallel,
    MMSeparateDistributedDataParallel,
)
from mmengine.registry import PARAM_SCHEDULERS

import mmups.engine  # noqa: F401  allow-lists the training state
from mmups.engine.checkpoint import check_weights

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
    assert state and state == schedule.state_dict()
    schedule.load_state_dict(state)


def test_publishing_example(tmp_path, monkeypatch):
    """The lines of docs/faq.md, word for word, leave what needs no allow-list."""
    block, = (block for block in re.findall(
        r'```python\n(.*?)```', (ROOT / 'docs/faq.md').read_text(encoding='utf-8'), re.S)
        if 'import mmups.engine' in block)
    last, = re.findall(r"'(work_dirs/\S+)'", block)
    (tmp_path / last).parent.mkdir(parents=True)
    torch.save(training_state(), tmp_path / last)
    monkeypatch.chdir(tmp_path)
    exec(block, {})
    code = "import torch; print(sorted(torch.load('published.pth', weights_only=True)))"
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['meta', 'state_dict']"


class Harmful:

    def __reduce__(self):
        return os.mkdir, ('harm', )


class Reaches:
    """Uses the one thing that ``getattr`` was replaced by."""

    def __init__(self, owner, name):
        self.found = owner, name

    def __reduce__(self):
        return getattr, self.found


@pytest.mark.parametrize('content, message', [
    (Harmful(), 'mkdir'),
    (Reaches(np.ndarray, 'tofile'), "may not fetch 'tofile' of .*ndarray|getattr"),
    (Reaches(HistoryBuffer, '__init__'), "may not fetch '__init__' of .*HistoryBuffer|getattr"),
], ids=['call', 'another class', 'another function'])
def test_code_is_refused(content, message, tmp_path, monkeypatch):
    """PyTorch before 2.6 fetches nothing at all, in its own words."""
    monkeypatch.chdir(tmp_path)
    torch.save(dict(state_dict={}, evil=content), 'evil.pth')
    with pytest.raises((UnpicklingError, ValueError), match=message):
        torch.load('evil.pth', weights_only=True)
    assert not Path('harm').exists()


def net():
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))


@pytest.fixture
def check(tmp_path):
    """``check(net, state)``: what ``check_weights`` does with a file of these weights."""

    def run(model, state):
        torch.save(dict(state_dict=state), tmp_path / 'weights.pth')
        check_weights(model, str(tmp_path / 'weights.pth'))

    return run


def test_weights_of_the_model_are_taken(check):
    """Those that it has besides do not matter."""
    model, trained = net(), net()
    trained(torch.randn(4, 2))  # moves the statistics of the norm
    check(model, dict(trained.state_dict(), more=torch.zeros(1)))
    for key, value in trained.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key


@pytest.mark.parametrize('key, shape', [
    ('0.weight', (3, 4)), ('0.weight', (2, 3)), ('0.weight', (3, 2, 1)), ('0.bias', (1, )),
    ('0.bias', ()), ('1.running_mean', (5, )), ('1.num_batches_tracked', (1, ))], ids=str)
def test_weight_of_another_shape_is_refused(check, key, shape):
    """Of a parameter or a buffer; it would broadcast, or be left out by a host without a word."""
    model = net()
    own = tuple(model.state_dict()[key].shape)
    state = dict(net().state_dict(), **{key: torch.zeros(shape)})
    with pytest.raises(ValueError) as error:
        check(model, state)
    message = str(error.value)
    assert 'weights.pth' in message and '0 are missing and 1 have another shape' in message
    assert f'{key!r} has the shape {shape}, not {own}' in message


@pytest.mark.parametrize('gone', ['0.weight', '1.bias', '1.running_var'])
def test_missing_weight_is_refused(check, gone):
    state = {key: value for key, value in net().state_dict().items() if key != gone}
    with pytest.raises(ValueError, match='of 7 weights 1 are missing and 0 have another shape'
                                         f' .*{gone!r} is missing'):
        check(net(), state)


def test_missing_and_misshapen_weights_are_counted_apart(check):
    state = dict(net().state_dict(), **{'0.bias': torch.zeros(9), '1.bias': torch.zeros(9)})
    del state['0.weight']
    with pytest.raises(ValueError, match='of 7 weights 1 are missing and 2 have another shape'):
        check(net(), state)


def test_weights_of_a_parallel_training_are_taken(check):
    """Their names begin with ``module.``."""
    model, trained = net(), net()
    check(model, {f'module.{key}': value for key, value in trained.state_dict().items()})
    assert torch.equal(model[0].weight, trained[0].weight)


def test_bare_state_dict_is_taken(tmp_path):
    model, trained = net(), net()
    torch.save(trained.state_dict(), tmp_path / 'bare.pth')
    check_weights(model, str(tmp_path / 'bare.pth'))
    assert torch.equal(model[0].weight, trained[0].weight)


def test_absent_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.pth'):
        check_weights(net(), str(tmp_path / 'none.pth'))


def test_a_type_of_mmups_is_enough(tmp_path):
    """Stock commands import nothing of mmups; the first look-up of a type allow-lists."""
    torch.save(training_state(), tmp_path / 'last.pth')
    code = ('import torch; from mmengine.registry import MODELS; MODELS.get("mmups.DySample"); '
            f'torch.load({str(tmp_path / "last.pth")!r}, weights_only=True)')
    subprocess.run([sys.executable, '-c', code], check=True, cwd=ROOT,
                   env=dict(os.environ, PYTHONPATH=str(ROOT)))


# --- whether a checkpoint is one of a model ------------------------------------------------------


class Net(BaseModel):
    """A model in the shape of a detector; ``module`` is a name like any other."""

    def __init__(self):
        super().__init__()
        self.backbone = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
        self.module = torch.nn.Linear(3, 1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return self.module(self.backbone(inputs))


class TTANet(BaseTTAModel):

    def merge_preds(self, data_samples_list):
        return data_samples_list


@pytest.fixture(scope='module')
def process_group(tmp_path_factory):
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip('needs gloo')
    store = tmp_path_factory.mktemp('group') / 'store'
    torch.distributed.init_process_group('gloo', init_method=f'file://{store}', rank=0,
                                         world_size=1)
    yield
    torch.distributed.destroy_process_group()


def compiled_part(model):
    model.backbone = torch.compile(model.backbone)
    return model


def fully_sharded(model):
    from torch.distributed.fsdp import FullyShardedDataParallel
    return FullyShardedDataParallel(model, device_id=torch.device('cpu'))


WRAPPERS = {
    'none': lambda model: model,
    'DataParallel': torch.nn.DataParallel,
    'DistributedDataParallel': torch.nn.parallel.DistributedDataParallel,
    'MMDistributedDataParallel': MMDistributedDataParallel,
    'MMSeparateDistributedDataParallel': MMSeparateDistributedDataParallel,
    'FullyShardedDataParallel': fully_sharded,
    'tta': lambda model: TTANet(module=model),
    'tta in ddp': lambda model: MMDistributedDataParallel(TTANet(module=model)),
    'compile': torch.compile,
    'compile of a part': compiled_part,
    'compile in ddp': lambda model: MMDistributedDataParallel(torch.compile(model)),
    'ddp in compile': lambda model: torch.compile(MMDistributedDataParallel(model)),
}
#: Names that a checkpoint may have for one weight.
FORMS = {
    'plain': '{}', 'ddp': 'module.{}', 'twice': 'module.module.{}', 'compile': '_orig_mod.{}',
    'compile in ddp': 'module._orig_mod.{}', 'ddp in compile': '_orig_mod.module.{}',
}


def saved(path, state, **more):
    torch.save(dict(state_dict=state, **more), path)
    return str(path)


@pytest.mark.parametrize('wrapper', WRAPPERS)
@pytest.mark.parametrize('form', FORMS)
def test_every_wrapper_takes_every_form(wrapper, form, process_group, tmp_path):
    weights = {key: torch.rand_like(value) if value.is_floating_point() else value + 7
               for key, value in Net().state_dict().items()}
    path = saved(tmp_path / 'net.pth', {FORMS[form].format(key): value
                                        for key, value in weights.items()})
    net = Net()
    wrapped = WRAPPERS[wrapper](net)
    check_weights(wrapped, path, exact=True)
    inputs = torch.rand(5, 2)
    expected = torch.nn.functional.linear(torch.nn.functional.batch_norm(
        torch.nn.functional.linear(inputs, weights['backbone.0.weight'],
                                   weights['backbone.0.bias']),
        weights['backbone.1.running_mean'], weights['backbone.1.running_var'],
        weights['backbone.1.weight'], weights['backbone.1.bias']),
        weights['module.weight'], weights['module.bias'])
    if wrapper == 'FullyShardedDataParallel':
        net = wrapped
    with torch.no_grad():
        torch.testing.assert_close(net.eval()(inputs), expected)


@pytest.mark.parametrize('wrapper', WRAPPERS)
@pytest.mark.parametrize(('change', 'message'), [
    (lambda state: state.pop('backbone.0.bias'),
     r"of 9 weights 1 are missing and 0 have another shape \('backbone.0.bias' is missing\)"),
    (lambda state: state.update({'module.weight': torch.zeros(2, 3)}),
     r"of 9 weights 0 are missing and 1 have another shape \('module.weight' has the shape "
     r'\(2, 3\), not \(1, 3\)\)'),
], ids=['missing', 'shape'])
def test_every_wrapper_is_refused_by_the_plain_name(wrapper, change, message, process_group,
                                                    tmp_path):
    if wrapper == 'FullyShardedDataParallel':
        pytest.skip('PyTorch itself stops where weights are missing')
    state = Net().state_dict()
    change(state)
    with pytest.raises(ValueError, match=message):
        check_weights(WRAPPERS[wrapper](Net()), saved(tmp_path / 'net.pth', state))


def test_weights_besides(tmp_path):
    path = saved(tmp_path / 'net.pth', {**Net().state_dict(), 'neck.weight': torch.zeros(1)})
    check_weights(Net(), path)
    with pytest.raises(ValueError, match=r"0 have another shape; it has 1 besides \('neck.weight'"):
        check_weights(Net(), path, exact=True)


def test_averaged_weights_count(tmp_path):
    """mmengine puts the average where a test looks for the weights, the rest besides."""
    averaged = ExponentialMovingAverage(Net())
    path = saved(tmp_path / 'a.pth', Net().state_dict(), ema_state_dict=averaged.state_dict())
    check_weights(Net(), path, exact=True)
    check_weights(Net(), saved(tmp_path / 'b.pth', averaged.state_dict()))


@pytest.mark.parametrize('content', [[1, 2], torch.zeros(2), dict(state_dict=[1]), 'weights'],
                         ids=['list', 'tensor', 'list of weights', 'text'])
def test_no_checkpoint_at_all(content, tmp_path):
    torch.save(content, tmp_path / 'net.pth')
    with pytest.raises(ValueError, match='net.pth is no checkpoint: it holds no dict of weights'):
        check_weights(Net(), str(tmp_path / 'net.pth'))


@pytest.mark.parametrize('content', [{}, dict(epoch=3), dict(state_dict={})], ids=str)
def test_nothing_of_the_model(content, tmp_path):
    """PyTorch starts the counter of a batch norm anew, which is the ninth."""
    torch.save(content, tmp_path / 'net.pth')
    with pytest.raises(ValueError, match='of 9 weights 8 are missing'):
        check_weights(Net(), str(tmp_path / 'net.pth'))

"""What slots and whole models put out here, for an environment with other packages to equal.

    python tests/family_outputs.py write FILE
    python tests/family_outputs.py compare FILE

``compare`` loads the weights in the file, takes the same inputs, and fails where one output
differs in one bit.
"""
import sys
from pathlib import Path

import torch
from mmengine.registry import MODELS
from slot_cases import SLOTS
from slot_cases.case import flatten
from sweep.trial import make_batch

from mmups.engine.cli import read_config

torch.set_num_threads(1)
CONFIGS = Path(__file__).parents[1] / 'configs'
UPSAMPLERS = ('DySample', 'FADE')


class SlotRun:
    """A slot with an upsampler, on random maps."""

    def __init__(self, name, upsampler):
        self.case = SLOTS[name]
        self.module = self.case.build(upsampler)
        self.module.eval()  # mmseg's UNet returns nothing here
        self.inputs = self.case.maps()

    def outputs(self, inputs):
        return self.case.run(self.module, inputs)


class ModelRun:
    """The model of a config, on random pictures: all that it predicts."""

    def __init__(self, path):
        cfg = read_config(str(path))
        cfg.model._scope_ = cfg.default_scope
        torch.manual_seed(0)
        self.module = MODELS.build(cfg.model)
        self.module.init_weights()
        self.module.eval()
        self.batch = make_batch(cfg)
        self.inputs = self.batch['inputs']

    def outputs(self, inputs):
        samples = self.module.test_step(dict(self.batch, inputs=inputs))
        return [value for sample in samples for key, found in sorted(sample.items())
                if key.startswith(('pred_', 'seg_logits')) for value in tensors(found)]


def tensors(found):
    return flatten([value for _, value in sorted(found.items()) if torch.is_tensor(value)])


def runs():
    """Name -> what builds it."""
    for name, case in SLOTS.items():
        for upsampler in UPSAMPLERS[:1 + case.guided]:
            if upsampler not in case.unfit:
                yield f'{name} {upsampler}', lambda n=name, u=upsampler: SlotRun(n, u)
    for path in sorted(CONFIGS.glob('*/*digit-scenes*.py')):
        yield path.stem, lambda p=path: ModelRun(p)


@torch.no_grad()
def write(path):
    content = {}
    for name, make in runs():
        run = make()
        content[name] = dict(state=run.module.state_dict(), inputs=run.inputs,
                             outputs=list(run.outputs(run.inputs)))
    torch.save(content, path)


@torch.no_grad()
def compare(path):
    content = torch.load(path, weights_only=True)
    different, count = [], 0
    for name, make in runs():
        run, other = make(), content.pop(name)
        run.module.load_state_dict(other['state'])
        outputs = list(run.outputs(other['inputs']))
        count += len(outputs)
        if not outputs or len(outputs) != len(other['outputs']) or not all(
                map(torch.equal, outputs, other['outputs'])):
            different.append(name)
    if different or content:
        sys.exit(f'differ: {different}; only in {path}: {sorted(content)}')
    print(f'{count} outputs are equal')


if __name__ == '__main__':
    dict(write=write, compare=compare)[sys.argv[1]](sys.argv[2])

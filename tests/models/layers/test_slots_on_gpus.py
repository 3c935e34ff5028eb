"""Mixed precision trains every slot on a GPU."""
import pytest
import torch
from slot_cases import SLOTS

from mmups import ops
from mmups.models.upsamplers import registered_upsamplers
from mmups.ops.backend import missing

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(),
                                                   reason='needs a GPU')]
#: One of each kind: moving points, guided windows, a large kernel.
PAIRS = [(slot, name) for slot, case in SLOTS.items() for name in ('DySample', 'FADE', 'LCTC')
         if name not in case.unfit and (case.guided or not registered_upsamplers()[name].guided)]


@pytest.fixture(params=['auto', 'triton'])
def backend(request):
    if reason := missing(request.param) if request.param != 'auto' else None:
        pytest.skip(reason)
    with ops.use_backend(request.param):
        yield


def run(case, module, maps):
    """The slot's outputs; tensors that the case makes are the GPU's, too."""
    try:
        with torch.device('cuda'):
            return case.run(module, maps)
    except (ImportError, RuntimeError) as error:
        if 'mmcv' not in str(error) and 'Not compiled with' not in str(error):
            raise
        pytest.skip(f'an operator of mmcv was not built for CUDA: {error}')


@pytest.mark.parametrize('slot, name', PAIRS)
def test_amp_training(slot, name, backend):
    """Two steps in float16 with a scaler; then bfloat16 gives about what float32 gives."""
    case = SLOTS[slot]
    module, maps = case.build(name).cuda(), [x.cuda() for x in case.maps()]
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-6)
    scaler = torch.amp.GradScaler('cuda', init_scale=16.)
    for _ in range(2):
        optimizer.zero_grad()
        with torch.autocast('cuda', dtype=torch.float16):
            loss = sum(out.float().square().mean() for out in run(case, module, maps))
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    assert loss.isfinite()
    assert [key for key, p in module.named_parameters()
            if p.grad is None or not p.grad.isfinite().all()] == []
    if case.bfloat16_error is None:
        return
    module.eval()  # some hosts' eval() returns nothing
    with torch.no_grad():
        expected = run(case, module, maps)
        with torch.autocast('cuda', dtype=torch.bfloat16):
            outs = run(case, module, maps)
    for out, reference in zip(outs, expected):
        assert (out.float() - reference).norm() <= case.bfloat16_error * reference.norm()

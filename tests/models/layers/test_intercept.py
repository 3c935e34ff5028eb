"""A host without a slot: its own flow runs, and its interpolations go to upsamplers, in order."""
import copy
import inspect
import pickle

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import MODELS as ROOT
from torch import nn
from torch.utils.checkpoint import checkpoint

from mmups.models.layers import Intercept, InterceptedStep, NoSite, traced_steps
from mmups.models.upsamplers import BaseUpsampler, registered_upsamplers

UNGUIDED = [name for name, cls in registered_upsamplers().items() if not cls.guided]
CHANNELS = (8, 16, 24, 32)
#: Two sizes and two batches, by which calls that depend on them are found out.
SIZES = [((32, 48), 1), ((64, 96), 2)]


def pyramid(size=(32, 48), batch=1):
    return [torch.randn(batch, c, *(-(-n // 2**i) for n in size)) for i, c in enumerate(CHANNELS)]


def steps_of(module, maps=pyramid):
    return traced_steps(module, *(lambda s=s, n=n: module(maps(s, n)) for s, n in SIZES))


def intercepted(host, steps, upsampler='DySample', **kwargs):
    return Intercept(host=host, steps=steps, upsampler=dict(type=upsampler), **kwargs)


@pytest.fixture
def outputs():
    """``outputs(modules)``: the list that what they return is appended to."""
    def record(modules):
        kept = []
        for module in modules:
            module.register_forward_hook(lambda module, args, out: kept.append(out))
        return kept
    return record


# --- hosts that nobody knows ---------------------------------------------------------------------


class Pooled(nn.Module):
    """A PPM, whose factors are those of the image."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(32, 16, 1) for _ in range(4))

    def forward(self, x):
        return sum(F.interpolate(conv(F.adaptive_avg_pool2d(x, scale)), size=x.shape[2:])
                   for conv, scale in zip(self.convs, (1, 2, 3, 6)))


class Neck(nn.Module):
    """Every way to ask for a size, and what no upsampler can take."""

    def __init__(self, width=16):
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in CHANNELS)
        self.pooled = Pooled()
        self.up = nn.Upsample(scale_factor=2, mode='bilinear', align_corners=False)

    def forward(self, maps):
        a, b, c, d = (conv(x) for conv, x in zip(self.lateral, maps))
        d = d + self.pooled(maps[3])
        mask = F.interpolate((d[:, :1] > 0).int().to(torch.uint8), scale_factor=2)
        F.interpolate(d.flatten(2), scale_factor=2)  # (N, C, L)
        F.interpolate(d[:, :, None], scale_factor=2)  # (N, C, D, h, w)
        c = c + self.fit(self.up(d * (mask[..., ::2, ::2] >= 0)), c)
        b = b + F.interpolate(c, b.shape[2:], None, 'bilinear')
        low = F.interpolate(input=F.interpolate(a, scale_factor=1), scale_factor=(0.5, 0.5))
        b = b + self.fit(low, b)
        out = a + F.interpolate(input=b, size=a.shape[-2:], mode='bicubic', align_corners=True)
        return [out + F.interpolate(c, size=out.shape[2:]), self.fit(F.interpolate(
            d, scale_factor=8.0, mode='bilinear'), a), F.interpolate(maps[0], scale_factor=3)]

    @staticmethod
    def fit(x, other):
        if x.shape[2:] == other.shape[2:]:
            return x
        return F.interpolate(x, size=other.shape[2:], mode='nearest')


NECK = [*[(16, None)] * 4, (16, 2), (16, 2), (16, 1), (16, None), (16, 2), (16, 4),
        (16, 8), (8, None)]


def test_traced_steps():
    """What has another ratio, or one by accident, is the host's; what is no float map is not
    listed."""
    neck = Neck()
    before = copy.deepcopy(vars(neck))
    assert steps_of(neck) == NECK
    assert type(neck) is Neck and vars(neck).keys() == before.keys()
    once = traced_steps(neck, lambda: neck(pyramid((37, 53))))
    assert [step for step in once if step[1]] != [step for step in NECK if step[1]]  # by accident


@pytest.mark.parametrize('size', [(32, 48), (37, 53), (64, 40), (43, 97), (128, 128)], ids=str)
@pytest.mark.parametrize('name', UNGUIDED)
def test_unknown_neck(name, size):
    """Sizes and channels are the host's, and everything learns."""
    neck = intercepted(Neck, NECK, name)
    assert [type(m).__name__ for m in neck.upsample_modules] == [name] * (1 + 1 + 1 + 2 + 3)
    assert [name for name, p in neck.named_parameters()
            if not name.startswith('upsample_modules')] == [n for n, _ in Neck().named_parameters()]
    maps = pyramid(size)
    outs = neck(maps)
    assert [x.shape for x in outs] == [x.shape for x in Neck()(maps)]
    sum(x.square().sum() for x in outs).backward()
    assert [key for key, p in neck.named_parameters() if p.grad is None] == []


def test_host_interpolation_as_upsampler():
    """Interpolate jumps to any size, as the host does."""
    class Nearest(Neck):
        def forward(self, maps):
            a, b, _, d = (conv(x) for conv, x in zip(self.lateral, maps))
            return (F.interpolate(d, size=a.shape[2:]), F.interpolate(b, size=a.shape[2:]),
                    F.interpolate(d, scale_factor=4))

    host = Nearest()
    steps = steps_of(host)
    assert steps == [(16, 8), (16, 2), (16, 4)]
    ours = Intercept(host=Nearest, steps=steps, upsampler=dict(mode='nearest'))
    ours.load_state_dict(host.state_dict())
    for size in [(32, 48), (37, 53)]:
        maps = pyramid(size)
        assert all(map(torch.equal, ours(maps), host(maps)))


@pytest.mark.parametrize('size', [(n, m) for n in range(33, 41) for m in (32, 47)], ids=str)
def test_chains_pass_the_sizes_of_a_pyramid(size, outputs):
    """Three rungs of two end at any size whose pyramid has this map, whichever way it rounds."""
    for up in (0, 1):
        sizes = [size]
        for _ in range(3):
            sizes.append(tuple((n + up) // 2 for n in sizes[-1]))
        module = intercepted(nn.Upsample, [(8, 8)], size=size)
        passed = outputs(module.upsample_modules)
        module(torch.randn(1, 8, *sizes[-1]))
        assert [x.shape[2:] for x in passed] == sizes[-2::-1]


# --- hosts that have slots -----------------------------------------------------------------------

FPN = dict(in_channels=list(CHANNELS), out_channels=16, num_outs=5)


def fpn(upsampler='DySample', **kwargs):
    """mmdet's FPN, intercepted by its config."""
    pytest.importorskip('mmdet.models')
    return ROOT.build(dict(type='mmups.Intercept', host='mmdet.FPN', steps=[(16, 2)] * 3,
                           upsampler=upsampler and dict(type=upsampler), **FPN, **kwargs))


@pytest.mark.parametrize('name', UNGUIDED)
def test_equals_the_slot(name):
    """The same weights give the same numbers, also at odd sizes; the slot counts from the finest
    level."""
    ours = fpn(name).eval()
    host = ROOT.build(dict(type='mmdet.FPN', **FPN))
    slot = ROOT.build(dict(type='mmups.FPN', upsampler=dict(type=name), **FPN)).eval()
    assert steps_of(host) == [(16, 2)] * 3
    assert isinstance(ours, type(host)) and type(ours).__name__ == 'FPN'
    assert list(ours.state_dict()) == list(slot.state_dict())
    for module, source in zip(ours.upsample_modules, reversed(slot.upsample_modules)):
        module.load_state_dict(source.state_dict())
    ours.load_state_dict({key: value for key, value in slot.state_dict().items()
                          if 'upsample_modules' not in key}, strict=False)
    for size in [(32, 48), (37, 53)]:
        maps = pyramid(size)
        assert all(map(torch.equal, ours(maps), slot(maps)))


def test_shapes_of_the_segformer_head():
    """A head that climbs in one step to any size; the slot has guides for its rungs."""
    pytest.importorskip('mmseg.models')
    cfg = dict(in_channels=list(CHANNELS), in_index=[0, 1, 2, 3], channels=16, num_classes=3)
    host = ROOT.build(dict(type='mmseg.SegformerHead', **cfg))
    steps = steps_of(host)
    assert steps == [(16, 1), (16, 2), (16, 4), (16, 8)]
    ours = ROOT.build(dict(type='mmups.Intercept', host='mmseg.SegformerHead', steps=steps,
                           upsampler=dict(type='DySample'), **cfg))
    slot = ROOT.build(dict(type='mmups.SegformerHead', upsampler=dict(type='DySample'), **cfg))
    assert len(ours.upsample_modules) == len(slot.upsample_modules) == 6
    for size in [(32, 48), (37, 53)]:
        assert ours(pyramid(size, 2)).shape == slot(pyramid(size, 2)).shape
    logits = ours.predict(pyramid(), [dict(img_shape=(128, 192))], {})  # calls forward by itself
    assert logits.shape == (1, 3, 128, 192)
    assert ours.num_classes == 3


def test_ppm_stays_with_the_host():
    """At no size a pooled map takes an upsampler that is another one's."""
    pytest.importorskip('mmseg.models')
    cfg = dict(in_channels=list(CHANNELS), in_index=[0, 1, 2, 3], channels=16, num_classes=3)
    steps = steps_of(ROOT.build(dict(type='mmseg.UPerHead', **cfg)).eval())
    assert steps == [*[(16, None)] * 4, *[(16, 2)] * 3, (16, 8), (16, 4), (16, 2)]
    head = ROOT.build(dict(type='mmups.Intercept', host='mmseg.UPerHead', steps=steps,
                           upsampler=dict(type='DySample'), **cfg)).eval()
    for n in (32, 48, 64, 96, 128):  # pooled maps of 6 to one of 4, of 6 to 6, of 2 to 16...
        assert head(pyramid((n, n))).shape == (1, 3, n, n)


# --- what a module goes through ------------------------------------------------------------------


def my_fpn():
    """A class that derives from a host's and has a flow of its own."""
    pytest.importorskip('mmdet.models')
    from mmdet.models.necks import FPN as Host

    @ROOT.register_module(name='MyFPN', force=True)
    class MyFPN(Host):
        def forward(self, inputs):
            x, outs = None, []
            for conv, out, y in reversed([*zip(self.lateral_convs, self.fpn_convs, inputs)]):
                y = conv(y)
                x = y if x is None else torch.relu(y + F.interpolate(x, size=y.shape[2:]))
                outs.append(out(x))
            return outs[::-1]

    return MyFPN


def test_config_round_trip(tmp_path):
    """As text and back; a subclass of a host's class, with the host's keys where they were."""
    host = my_fpn()
    steps = steps_of(host(**FPN))
    assert steps == [(16, 2)] * 3
    cfg = Config(dict(neck=dict(type='mmups.Intercept', host='MyFPN', steps=steps,
                                upsampler=dict(type='CARAFE'), **FPN)))
    for suffix in ('py', 'json', 'yaml'):
        cfg.dump(tmp_path / f'config.{suffix}')
        read = Config.fromfile(tmp_path / f'config.{suffix}')
        read.merge_from_dict({'neck.out_channels': 16})
        neck = ROOT.build(read.neck)
        assert isinstance(neck, host)
        assert [step.channels for step in neck.steps()] == [16, 16, 16]
        outs = neck(pyramid((37, 53)))
        assert [x.shape[2:] for x in outs] == [x.shape[2:] for x in pyramid((37, 53))]


def test_without_an_upsampler():
    """The host as it is, with its keys and numbers."""
    ours, host = fpn(upsampler=None), ROOT.build(dict(type='mmdet.FPN', **FPN))
    assert ours.steps() == [InterceptedStep(16)] * 3
    ours.load_state_dict(host.state_dict())
    maps = pyramid()
    assert all(map(torch.equal, ours(maps), host(maps)))


def test_initial_weights():
    """Those of the upsamplers come after a host's that draws everything anew."""
    neck = fpn(init_cfg=dict(type='Constant', val=7, layer='Conv2d'))
    neck.init_weights()
    assert all((conv.conv.weight == 7).all() for conv in neck.lateral_convs)
    assert all(m.offset.weight.std() < 0.01 for m in neck.upsample_modules)


@pytest.mark.parametrize('make', [fpn, lambda: intercepted(Neck, NECK)], ids=['FPN', 'Neck'])
def test_copies(make):
    """EMA copies a module, and tools pickle one."""
    module, maps = make().eval(), pyramid()
    expected = module(maps)
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert type(twin) is type(module)
        assert all(map(torch.equal, twin(maps), expected))
        for parameter in twin.parameters():
            parameter.data.add_(1)
    assert all(map(torch.equal, module(maps), expected))


def test_signature():
    """Tools that ask for names of arguments find the host's."""
    assert list(inspect.signature(fpn().forward).parameters) == ['inputs']


@pytest.mark.parametrize('reentrant', [False, True])
def test_activation_checkpointing(reentrant):
    grads = []
    for recompute in (False, True):
        torch.manual_seed(0)
        neck, maps = fpn(), [x.requires_grad_() for x in pyramid()]
        outs = checkpoint(lambda *maps: neck(maps), *maps,  # noqa: B023
                          use_reentrant=reentrant) if recompute else neck(maps)
        sum(x.square().sum() for x in outs).backward()
        grads.append([p.grad for p in (*neck.parameters(), *maps)])
    assert all(map(torch.equal, *grads))


class Checkpointed(Neck):
    """Which throws away what is inside of it."""

    reentrant = True

    def forward(self, maps):
        x = self.lateral[3](maps[3])
        return checkpoint(self.up, x, use_reentrant=self.reentrant)


@pytest.mark.parametrize('reentrant, message', [
    (True, 'Checkpointed upsamples where no gradients are kept.*with_cp=False'),
    (False, 'different number of tensors')])  # PyTorch's own
@pytest.mark.filterwarnings('ignore:None of the inputs')
def test_checkpoint_inside_the_host(reentrant, message, monkeypatch):
    """The recomputation would be the host's, outside of its forward."""
    monkeypatch.setattr(Checkpointed, 'reentrant', reentrant)
    module = intercepted(Checkpointed, [(16, 2)])
    with torch.no_grad():
        assert module(pyramid()).shape == (1, 16, 8, 12)
    with pytest.raises((ValueError, RuntimeError), match=message):
        module(pyramid()).sum().backward()


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_autocast(dtype):
    neck, maps = fpn().eval(), pyramid()
    expected = neck(maps)
    with torch.autocast('cpu', dtype=dtype):
        outs = neck(maps)
    sum(x.float().sum() for x in outs).backward()
    assert all((x.float() - y).norm() < 0.05 * y.norm() for x, y in zip(outs, expected))


# --- graphs --------------------------------------------------------------------------------------


@pytest.mark.parametrize('make', [fpn, lambda: intercepted(Neck, NECK)], ids=['FPN', 'Neck'])
def test_graphs(make):
    """One graph, compiled or exported, with the numbers of the module."""
    module, maps = make().eval(), pyramid()
    expected = module(maps)
    torch._dynamo.reset()
    graphs = [torch.compile(module, fullgraph=True, backend='aot_eager'),
              torch.export.export(module, (maps, ), strict=False).module()]
    for graph in graphs:
        torch.testing.assert_close(list(graph(maps)), list(expected), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('name', [
    name if name == 'DySample' else pytest.param(name, marks=pytest.mark.slow)
    for name in UNGUIDED])
@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning')
def test_graphs_of_other_sizes(name):
    """A recorded graph is not bound to the sizes of its example."""
    module = intercepted(SegformerLike, [(16, 8), (16, 2)], name).eval()
    maps = pyramid()
    auto = tuple({2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO} for _ in maps)
    graphs = [torch.jit.trace(module, maps),
              torch.export.export(module, tuple(maps), dynamic_shapes=auto, strict=False).module()]
    for size in [(64, 96), (37, 53), (43, 91)]:
        maps = pyramid(size)
        for graph in graphs:
            torch.testing.assert_close(graph(*maps), module(*maps), rtol=1e-4, atol=1e-4)


class SegformerLike(Neck):
    def forward(self, a, b, c, d):
        d, b = self.lateral[3](d), self.lateral[1](b)
        return F.interpolate(d, size=a.shape[2:]) + F.interpolate(b, size=a.shape[2:])


# --- upsamplers that interpolate, modules in modules ---------------------------------------------


class Interpolating(BaseUpsampler):
    """What an upsampler asks for by itself is not the host's."""

    def upsample(self, x, guide):
        return F.interpolate(x, scale_factor=2.0) * self.in_channels


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = intercepted(nn.Upsample, [(8, 2)], Interpolating, scale_factor=2)

    def forward(self, x):
        return F.interpolate(F.interpolate(self.inner(F.interpolate(x, scale_factor=2)),
                                           scale_factor=3), scale_factor=2)


def test_nested():
    """Each call has one owner: the innermost module that lists it."""
    host, x = Nested(), torch.ones(1, 8, 4, 4)
    steps = traced_steps(host, lambda: host(x))
    assert steps == [(8, 2), (8, None), (8, 2)]
    module = intercepted(Nested, steps, Interpolating)
    out = module(x)
    assert out.shape == (1, 8, 96, 96) and (out == 8**3).all()
    torch._dynamo.reset()
    assert torch.equal(torch.compile(module, fullgraph=True, backend='eager')(x), out)


# --- mistakes ------------------------------------------------------------------------------------


class Gated(Interpolating):
    includes_guide = True


class Guided(Interpolating):
    guided = True


@pytest.mark.parametrize('upsampler, message', [
    (Guided, 'Guided needs a guide, and this slot has none.*DySample'),
    (Gated, 'holds its guide, which the host adds by itself; a slot can leave that out'),
    ('DySampel', "'DySampel' is not an upsampler")])
def test_refused_upsamplers(upsampler, message):
    with pytest.raises(ValueError, match=message):
        intercepted(Neck, NECK, upsampler)


def test_nothing_to_upsample():
    conv = nn.Sequential(nn.Conv2d(8, 8, 1), nn.Upsample(scale_factor=3))
    with pytest.raises(NoSite, match='Sequential, without an interpolation by 2, 4 or 8, has no'):
        traced_steps(conv, lambda: conv(torch.rand(1, 8, 4, 4)))
    with pytest.raises(NoSite, match='Upsample has no upsampling step for upsampler'):
        intercepted(nn.Upsample, [(8, None)], scale_factor=3)
    with pytest.raises(ValueError, match='Sequential was not run'):
        traced_steps(conv)
    assert type(conv) is nn.Sequential


class PerImage(nn.Module):
    """One call per image, and in training one more."""

    def forward(self, x):
        out = torch.cat([F.interpolate(image[None], scale_factor=2) for image in x])
        return F.interpolate(out, scale_factor=2) if self.training else out


def test_calls_that_cannot_be_counted():
    host = PerImage()
    runs = [lambda n=n: host(torch.rand(n, 8, 4, 4)) for n in (1, 2)]
    assert traced_steps(host.eval(), runs[0]) == [(8, 2)]
    with pytest.raises(ValueError, match='PerImage interpolates other maps in one forward'):
        traced_steps(host, *runs)

    def fails():
        raise RuntimeError
    with pytest.raises(RuntimeError):
        traced_steps(host, fails)
    assert type(host) is PerImage


def test_forwards_that_fail_do_not_count():
    """Such as on the meta device, before the same one on the CPU."""
    host = Neck()

    def run():
        with pytest.raises(RuntimeError):
            host([*pyramid()[:3], torch.rand(1, 1, 4, 6)])
        with torch.no_grad():
            return copy.deepcopy(host)(pyramid())

    assert traced_steps(host, run) == traced_steps(host, lambda: host(pyramid()))


@pytest.mark.parametrize('training, batch, steps, message', [
    (False, 2, [(8, 2)], 'PerImage interpolates 8 channels from 4x6 to 8x12 in evaluation, where '
                         'there are no more steps'),
    (True, 1, [(8, 2)], 'from 8x12 to 16x24 in training, where there are no more steps'),
    (False, 1, [(8, 2)] * 3, r'ends in evaluation, where steps\[1:\] are \[\(8, 2\), \(8, 2\)\]'),
    (False, 1, [(16, 2)], r'8 channels from 4x6 to 8x12 .* steps\[0:\] are \[\(16, 2\)\]'),
    (False, 1, [(8, 4)], r'8 channels from 4x6 to 8x12 .* steps\[0:\] are \[\(8, 4\)\]: it is not '
                         'as it was'),
])
def test_calls_that_are_not_listed(training, batch, steps, message):
    module = intercepted(PerImage, steps).train(training)
    with pytest.raises(ValueError, match=message):
        module(torch.rand(batch, 8, 4, 6))
    assert intercepted(PerImage, [(8, 2)] * 2).eval()(torch.rand(2, 8, 4, 6)).shape[2] == 8


@pytest.mark.parametrize('steps', [None, 3, [8], [(8, 3)], [(0, 2)], [(8.5, 2)], [('8', 2)],
                                   [(8, 2, 2)]], ids=str)
def test_steps_in_words(steps):
    with pytest.raises(ValueError, match='steps must be pairs of channels and a factor'):
        intercepted(Neck, steps)


class WithSteps(nn.Upsample):
    def __init__(self, steps):
        super().__init__(scale_factor=2)


class WithParts(nn.Upsample):
    def parts(self):
        return []


class WithModules(nn.Upsample):
    def __init__(self):
        super().__init__(scale_factor=2)
        self.upsample_modules = nn.ModuleList()


@pytest.mark.parametrize('host, message', [
    ('mmdet.NoNeck', 'host must be a class of modules.*NoNeck'),
    (Neck(), 'host must be a class of modules'),
    (F.interpolate, 'host must be a class of modules'),
    (dict, 'host must be a class of modules'),
    (WithSteps, r"WithSteps has \['steps'\] of its own"),
    (WithParts, r"WithParts has \['parts'\] of its own"),
    (WithModules, r"WithModules has \['upsample_modules'\] of its own"),
    ('mmups.FPN', r'FPN has .* of its own, which mmups.Intercept needs'),
], ids=['unknown', 'module', 'function', 'dict', 'steps', 'parts', 'modules', 'slot'])
def test_hosts_in_words(host, message):
    with pytest.raises(ValueError, match=message):
        intercepted(host, [(8, 2)])

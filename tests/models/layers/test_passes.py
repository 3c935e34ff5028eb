"""The two ways through a pyramid, on modules that write down what they are given."""
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmups.models.layers import climb, hand_down, ladder_steps, lift_onto, summands, top_down


class Recorder(nn.Module):
    """Nearest interpolation to ``size`` that keeps what it was called with."""

    enhances_guide = False

    def __init__(self, any_size=False, includes_guide=False):
        super().__init__()
        self.any_size = any_size
        self.includes_guide = includes_guide
        self.calls = []

    def forward(self, x, guide=None, size=None):
        self.calls.append((x, guide, tuple(size)))
        return F.interpolate(x, size=size)


@pytest.fixture
def maps():
    return [torch.randn(1, 2, n, n + 1) for n in (21, 11, 6, 3)]


@pytest.fixture
def recorders():
    return lambda count, **kwargs: nn.ModuleList(Recorder(**kwargs) for _ in range(count))


def test_top_down(maps, recorders):
    """Module i takes merged map i+1 to the size of map i, guided by map i as it came in."""
    modules = recorders(3)
    merged = top_down(iter(maps), modules)
    assert len(merged) == 4 and merged[3] is maps[3]
    for i, module in enumerate(modules):
        (x, guide, size), = module.calls
        assert x is merged[i + 1]
        assert guide is maps[i]
        assert size == tuple(maps[i].shape[2:])
        assert torch.equal(merged[i], maps[i] + F.interpolate(x, size=size))


def test_top_down_does_not_add_a_guide_twice(maps, recorders):
    """What holds the guide already replaces the sum."""
    modules = recorders(3, includes_guide=True)
    merged = top_down(maps, modules)
    for i in range(3):
        assert torch.equal(merged[i], F.interpolate(merged[i + 1], size=maps[i].shape[2:]))


def test_top_down_refines_sums(maps, recorders):
    """Each sum, and not the coarsest map, is refined before it goes on."""
    modules = recorders(3)
    merged = top_down(maps, modules, refine=lambda x: 2 * x)
    assert merged[3] is maps[3]
    for i, module in enumerate(modules):
        assert module.calls[0][0] is merged[i + 1]
        total = maps[i] + F.interpolate(merged[i + 1], size=maps[i].shape[2:])
        assert torch.equal(merged[i], 2 * total)


def test_top_down_leaves_its_input_alone(maps, recorders):
    before = [x.clone() for x in maps]
    merged = top_down(maps, recorders(3))
    assert all(map(torch.equal, maps, before)) and not torch.equal(merged[0], maps[0])


def test_climb(maps, recorders):
    """0, 1, 2 lift map 3, then 3, 4 lift map 2, and 5 lifts map 1; each rung is guided by the
    map of the next finer level as it came in, not by what has climbed there before."""
    modules = recorders(6)
    lifted = climb(maps, modules)
    assert [tuple(x.shape[2:]) for x in lifted] == [(21, 22)] * 4
    assert lifted[0] is maps[0]
    calls = []
    for module in modules:
        (x, guide, size), = module.calls
        assert size == tuple(guide.shape[2:])
        calls.append((x, guide))
    for index, (start, guides) in {0: (3, (2, 1, 0)), 3: (2, (1, 0)), 5: (1, (0, ))}.items():
        x = maps[start]
        for (given, guide), level in zip(calls[index:], guides):
            assert torch.equal(given, x)
            assert guide is maps[level]
            x = F.interpolate(x, size=maps[level].shape[2:])
        assert torch.equal(lifted[start], x)


class Enhancer(Recorder):
    """Returns another guide than it was given."""

    enhances_guide = True

    def forward(self, x, guide, size, fuse):
        assert fuse
        return super().forward(x, guide, size), 10 * guide


def test_climb_takes_the_enhanced_guide(maps):
    """Each map is enhanced once, by the coarser neighbour's first rung, and climbs on like that;
    all guides are the maps as they came in."""
    modules = [Enhancer() for _ in range(6)]
    lifted = climb(maps, modules)
    assert torch.equal(lifted[0], 10 * maps[0])
    for level, index, scale in ((3, 0, 1), (2, 3, 10), (1, 5, 10)):
        assert torch.equal(modules[index].calls[0][0], scale * maps[level])
        plain = climb(maps, [Recorder() for _ in range(6)])
        assert torch.equal(lifted[level], scale * plain[level])
    assert [call[1] is maps[level] for module, level in zip(modules, (2, 1, 0, 1, 0, 0))
            for call in module.calls] == [True] * 6


def test_climb_jumps_where_it_can(maps, recorders):
    """What reaches any size goes there in one step, with the module of its last rung."""
    modules = recorders(6, any_size=True)
    lifted = climb(maps, modules)
    assert [len(module.calls) for module in modules] == [0, 0, 1, 0, 1, 1]
    assert torch.equal(lifted[3], F.interpolate(maps[3], size=(21, 22)))
    assert not torch.equal(lifted[3], climb(maps, recorders(6))[3])


def test_a_guided_method_climbs_though_it_reaches_any_size(maps, recorders):
    """Every rung has its own weights, which are to learn."""
    modules = recorders(6, any_size=True)
    for module in modules:
        module.guided = True
    plain = recorders(6)
    assert all(map(torch.equal, climb(maps, modules), climb(maps, plain)))
    assert [len(module.calls) for module in modules] == [1] * 6


@pytest.mark.parametrize('any_size', [False, True])
def test_climb_directly(maps, recorders, any_size):
    """One module per coarser map, the coarsest map's first, guided by the finest map."""
    modules = recorders(3, any_size=any_size)
    lifted = climb(maps, modules)
    for module, level in zip(modules, (3, 2, 1)):
        (x, guide, size), = module.calls
        assert x is maps[level] and guide is maps[0] and size == (21, 22)
        assert torch.equal(lifted[level], F.interpolate(x, size=(21, 22)))
    assert lifted[0] is maps[0]


def test_climb_directly_sharpens_the_finest_map_once():
    """Every direct step is guided by the map as it came in; what the last one, from the next
    coarser map, makes of it lies beside the others."""
    class Enhancing(Recorder):
        enhances_guide = True

        def forward(self, x, guide=None, size=None, fuse=False):
            assert fuse
            return super().forward(x, guide, guide.shape[2:]), guide * self.factor

    maps = [torch.randn(1, 2, n, n + 1) for n in (21, 11, 6)]
    modules = nn.ModuleList(Enhancing() for _ in range(2))
    modules[0].factor, modules[1].factor = 2, 4
    finest, *lifted = climb(maps, modules)
    for module, level in zip(modules, (2, 1)):
        (x, guide, _), = module.calls
        assert x is maps[level] and guide is maps[0]
        assert torch.equal(lifted[level - 1], F.interpolate(x, size=(21, 22)))
    assert torch.equal(finest, 4 * maps[0])


@pytest.mark.parametrize('levels', [2, 3, 4])
def test_direct_steps(levels):
    """As many as :func:`climb` takes, coarsest map first: x8, x4, x2."""
    steps = ladder_steps([10, 20, 30, 40][:levels], direct=True, key='name')
    assert [(s.channels, s.guide_channels, s.factor, s.key) for s in steps] == [
        (40, 10, 8, 'name'), (30, 10, 4, 'name'), (20, 10, 2, 'name')][4 - levels:]


def test_lift_onto(maps, recorders):
    """What holds the last guide already replaces the sum; every rung has its own guide."""
    total, *guides, x = maps
    modules, holding = recorders(3), recorders(3, includes_guide=True)
    lifted = lift_onto(total, x, guides[::-1], holding)
    assert torch.equal(lift_onto(total, x, guides[::-1], modules), total + lifted)
    assert [module.calls[0][1] for module in modules] == [*guides[::-1], total]


@pytest.mark.parametrize('function', [climb, top_down])
def test_one_map(maps, function):
    assert function(maps[:1], nn.ModuleList()) == maps[:1]


class Sum(Recorder):
    """Returns what a slot would add: the guide, and the map."""

    def forward(self, x, guide=None, size=None):
        return guide + super().forward(x, guide, size)


@pytest.mark.parametrize('levels', [1, 2, 3, 4])
def test_sums_count_every_map_once(levels):
    """Whether or not a method's output holds its guide."""
    maps = [torch.randn(1, 2, n, n, dtype=torch.double) for n in (32, 16, 8, 4)[:levels]]
    expected = sum(F.interpolate(x, size=(32, 32)) for x in maps)
    rungs = levels * (levels - 1) // 2
    for modules in ([Recorder() for _ in range(rungs)],
                    [Sum(includes_guide=True) for _ in range(rungs)],
                    [Sum(includes_guide=True) for _ in range(levels - 1)]):
        torch.testing.assert_close(sum(summands(maps, modules)), expected)


@pytest.mark.parametrize('levels', [1, 2, 3])
def test_a_map_handed_down_is_added_once(levels):
    maps = [torch.randn(1, 2, n, n, dtype=torch.double) for n in (4, 8, 16, 32)[:levels + 1]]
    expected = [F.interpolate(maps[0], size=y.shape[2:]) + y for y in maps[1:]]
    for modules in ([Recorder() for _ in range(levels)],
                    [Sum(includes_guide=True) for _ in range(levels)]):
        torch.testing.assert_close(hand_down(maps[0], maps[1:], modules), expected)

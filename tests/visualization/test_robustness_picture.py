"""The picture of a robustness run shows the numbers of its table."""
import pytest
from matplotlib.figure import Figure

from mmups.visualization.robustness import draw_robustness


def row(kind, name, value, eps=None, steps=None, severity=None):
    return dict(kind=kind, name=name, norm='linf', eps=eps, steps=steps, severity=severity,
                metrics=dict(mIoU=value, aAcc=99))


CLEAN = row('clean', 'clean', 80)
ATTACKED = [row('attack', 'pgd', 10 * eps + steps, eps, steps)
            for eps in (1, 2) for steps in (5, 3)]
CORRUPTED = [row('corruption', 'fog', 60, severity=1), row('corruption', 'fog', 20, severity=3),
             row('corruption', 'zoom_blur', 30, severity=1)]


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, 'savefig',
                        lambda figure, *args, **kw: (figures.append(figure),
                                                     save(figure, *args, **kw)))

    def drawn(rows):
        out = draw_robustness(rows, tmp_path / 'new' / 'picture.png')
        assert out.read_bytes().startswith(b'\x89PNG')
        return figures[-1].axes
    return drawn


def points(line):
    return list(zip(*map(list, line.get_data())))


def test_curves_start_at_the_clean_metric(drawn):
    over_eps, over_steps = drawn([CLEAN, *ATTACKED, row('transfer', 'pgd', 70, 2, 5)])
    assert [points(line) for line in over_eps.lines] == [
        [(0, 80), (1, 15), (2, 25)], [(0, 80), (2, 70)]]
    assert [points(line) for line in over_steps.lines] == [
        [(0, 80), (3, 13), (5, 15)], [(0, 80), (3, 23), (5, 25)]]
    assert over_eps.get_ylabel() == 'mIoU'


def test_bars_are_means_over_severities(drawn):
    axis, = drawn([CLEAN, *CORRUPTED])
    bars = axis.containers[-1] if hasattr(axis.containers[-1], 'patches') else axis.containers[0]
    assert [bar.get_height() for bar in bars] == [40, 30]
    assert [bar.get_hatch() for bar in bars] == [None, '//']
    assert len(drawn([CLEAN, *ATTACKED, *CORRUPTED])) == 3


def test_nothing_to_draw(tmp_path):
    with pytest.raises(ValueError, match='needs an attack or a corruption'):
        draw_robustness([CLEAN], tmp_path / 'picture.png')

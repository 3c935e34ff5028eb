"""Pictures of times: what is drawn of the numbers."""
import pytest

from mmups.visualization import draw_bars, draw_growth


def row(preset, ratio, kind='forward', backend='auto'):
    return {'preset': preset, 'backend': backend, 'pass': kind, 'ratio': ratio,
            'quartiles': [0.5 * ratio, 2 * ratio]}


def test_bars(drawn, tmp_path):
    """From fast to slow by the fastest backend, with the quartiles as whiskers."""
    rows = [row('slow', 9.), row('slow', 4., backend='native'), row('fast', 3.),
            row('fast', 6., 'forward+backward')]
    out = draw_bars(rows, 'a title', tmp_path / 'new/bars.png')
    assert out.stat().st_size > 1000
    forward, training = drawn[0].axes
    assert drawn[0].get_suptitle() == 'a title'
    assert [text.get_text() for text in forward.get_xticklabels()] == ['fast', 'slow']
    bars = {bars.get_label(): [(round(bar.get_x() + bar.get_width() / 2, 3), bar.get_height())
                               for bar in bars] for bars in forward.containers
            if hasattr(bars, 'patches')}
    assert bars == {'auto': [(0.8, 9), (-0.2, 3)], 'native': [(1.2, 4)]}
    (low, high), *_ = [segment[:, 1] for segment in forward.collections[0].get_segments()]
    assert (low, high) == (4.5, 18)
    assert {text.get_text() for text in forward.texts} == {'9', '4', '3'}
    assert {text.get_text() for text in training.texts} == {'6'}


def test_growth(drawn, tmp_path):
    curves = dict(size={'a': [(10, 2.), (1, 1.)], 'b': [(1, 5.)]}, channels={'a': [(1, 1.)]})
    out = draw_growth(curves, dict(size=dict(a=0.3, b=None), channels={}), 'a title',
                      tmp_path / 'growth.png')
    assert out.stat().st_size > 1000
    size, channels = drawn[0].axes
    assert [line.get_label() for line in size.lines] == ['a: 0.30', 'b']
    assert [list(map(tuple, line.get_xydata())) for line in size.lines] == [
        [(1, 1), (10, 2)], [(1, 5)]]
    assert channels.get_title() == 'growing channels'


def test_nothing_to_draw(tmp_path):
    with pytest.raises(ValueError, match='got none'):
        draw_bars([], '', tmp_path / 'a.png')
    with pytest.raises(ValueError, match='got none'):
        draw_growth(dict(size={}), {}, '', tmp_path / 'a.png')

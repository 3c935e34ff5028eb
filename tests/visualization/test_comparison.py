"""Pictures of a comparison: what is drawn of the numbers."""
import itertools

import numpy as np
import pytest
from comparison_folder import CLASSES, PALETTE, write_folder
from matplotlib.figure import Figure

pytest.importorskip('scipy')

from mmups.analysis.comparison import Comparison, Measure  # noqa: E402
from mmups.analysis.disagreement import choose_scenes  # noqa: E402
from mmups.visualization.comparison import draw_attacks, draw_costs, draw_differences, looks  # noqa: E402
from mmups.visualization.disagreement import draw_disagreement  # noqa: E402
from mmups.visualization.labels import label_points  # noqa: E402

MIOU = Measure('mIoU')


@pytest.fixture
def comparison(tmp_path):
    write_folder(tmp_path / 'folder', skip=[('lctc-11-3', 1), ('lctc-11-3', 2)])
    return Comparison.read(tmp_path / 'folder')


def lines(axis, length):
    return [line for line in axis.lines if len(line.get_xdata()) == length]


def test_differences(drawn, comparison, tmp_path):
    assert draw_differences(comparison, tmp_path / 'new/a.png').stat().st_size > 1000
    axis = drawn[0].axes[0]
    assert [text.get_text() for text in axis.get_yticklabels()] == ['dysample', 'lctc-11-3']
    difference = comparison.difference(MIOU, 'dysample')
    seeds, = lines(axis, 3)
    assert list(seeds.get_xdata()) == list(difference.by_seed.values())
    interval, zero = lines(axis, 2)
    assert tuple(interval.get_xdata()) == difference.interval
    assert tuple(interval.get_ydata()) == (0, 0) and tuple(zero.get_xdata()) == (0, 0)
    means = [line for line in lines(axis, 1) if line.get_marker() != '.']
    assert [line.get_xdata()[0] for line in means] == [
        difference.mean, comparison.difference(MIOU, 'lctc-11-3').mean]
    # One seed: no interval, and an empty mark.
    assert means[1].get_markerfacecolor() == 'white'
    assert (means[0].get_markerfacecolor() != 'white') == difference.excludes_zero
    assert drawn[0].axes[1].get_title() == 'mBIoU ↑'


def test_nothing_to_draw(tmp_path):
    write_folder(tmp_path / 'folder', ['bilinear'], cost=False, robustness=False)
    comparison = Comparison.read(tmp_path / 'folder')
    for draw, message in ((lambda out: draw_differences(comparison, out), 'besides the baseline'),
                          (lambda out: draw_costs(comparison, out), 'times or multiply-adds'),
                          (lambda out: draw_attacks(comparison, MIOU, out), 'under an attack')):
        with pytest.raises(ValueError, match=message):
            draw(tmp_path / 'a.png')


def test_costs(drawn, comparison, tmp_path):
    draw_costs(comparison, tmp_path / 'a.png')
    assert len(drawn[0].axes) == 4
    times, macs = drawn[0].axes[:2]
    for axis, costs in ((times, [1, 1.2, 1.4]), (macs, [1.2, 1.24, 1.28])):
        points = {marks.get_label(): marks for marks in axis.collections
                  if marks.get_label() in comparison.upsamplers}
        assert [tuple(marks.get_offsets()[0]) for marks in points.values()] == [
            pytest.approx((cost, comparison.summary(MIOU, name).mean))
            for cost, name in zip(costs, points)]
        assert list(points) == comparison.upsamplers
        areas = [marks.get_sizes()[0] - 25 for marks in points.values()]
        assert areas == pytest.approx([0, 175, 700])  # 0, 1000 and 4000 parameters
        assert {text.get_text() for text in axis.texts} >= set(comparison.upsamplers)


def test_costs_that_are_missing(drawn, comparison, tmp_path):
    for row in comparison.cost['rows'].values():
        row['macs'] = None
    del comparison.cost['rows']['dysample']['forward']
    draw_costs(comparison, tmp_path / 'a.png')
    times, _ = drawn[0].axes
    assert [marks.get_label() for marks in times.collections
            if marks.get_label() in comparison.upsamplers] == ['bilinear', 'lctc-11-3']


def test_attacks(drawn, comparison, tmp_path):
    draw_attacks(comparison, MIOU, tmp_path / 'a.png')
    left, right = drawn[0].axes[:2]
    assert left.get_title() == 'pgd, linf' and len(drawn[0].axes) == 4
    measures = comparison.attacked(MIOU)['pgd', 'linf']
    assert [list(map(tuple, line.get_xydata())) for line in left.lines] == [
        [(m.eps, comparison.summary(m, name).mean) for m in measures]
        for name in comparison.upsamplers]
    low, high = left.collections[0].get_paths()[0].get_extents().intervaly
    summaries = [comparison.summary(m, 'bilinear') for m in measures]
    assert low == pytest.approx(min(s.mean - s.sd for s in summaries))
    assert high == pytest.approx(max(s.mean + s.sd for s in summaries))
    intervals = [tuple(line.get_ydata()) for line in lines(right, 2)
                 if len(set(line.get_xdata())) == 1 and tuple(line.get_ydata()) != (0, 1)]
    assert intervals == [comparison.difference(m, 'dysample').interval for m in measures]
    assert [text.get_text() for text in right.get_xticklabels()] == ['clean', '0.25', '1']


def test_looks_are_those_of_a_comparison(comparison):
    """Everyone has its own, in every picture; the baseline is black."""
    about = dict(comparison.about, upsamplers={f'u{i}': {} for i in range(25)}, baseline='u0')
    found = looks(Comparison(about, []))
    assert len(set(found.values())) == len(found) == 25
    assert found['u0'].color == (0, 0, 0)
    assert looks(comparison)['dysample'].color != looks(comparison)['lctc-11-3'].color


def test_labels_do_not_overlap():
    """Twenty points, as crowded as upsamplers are."""
    draw = np.random.default_rng(0)
    points = {f'upsampler-{i}': (*draw.normal(1, 0.05, 2), 30.) for i in range(20)}
    figure = Figure(figsize=(6, 4), layout='constrained')
    axis = figure.subplots()
    axis.scatter(*np.transpose([point[:2] for point in points.values()]))
    figure.draw_without_rendering()
    label_points(axis, points)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axis.texts if text.get_text()]
    assert len(boxes) == 20
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    frame = axis.get_window_extent()
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0
               and box.y1 <= frame.y1 for box in boxes)


def test_disagreement(drawn, comparison, tmp_path):
    scene = choose_scenes(tmp_path / 'folder/predictions', comparison.upsamplers)[0]
    draw_disagreement(scene, tmp_path / 'a.png', classes=CLASSES, palette=PALETTE)
    axes = [axis for axis in drawn[0].axes if axis.images]
    assert len(axes) == 3 + 2 + 3
    top, left, side = scene.window
    assert axes[0].patches[0].get_bbox().bounds == (left - 0.5, top - 0.5, side, side)
    np.testing.assert_array_equal(axes[2].images[0].get_array(), scene.disagreement)
    np.testing.assert_array_equal(axes[3].images[0].get_array(), scene.image[scene.inside])
    right = (scene.predictions['dysample'] == scene.truth)[scene.inside].mean()
    assert axes[6].get_title() == f'dysample\n{100 * right:.1f} % right'
    legend, = drawn[0].legends
    assert [text.get_text() for text in legend.get_texts()] == ['digit_0', 'grass', 'brick']


@pytest.fixture
def quantities(tmp_path):
    """Two upsamplers on three images each: depths, a part of them not known, and colours."""
    draw = np.random.default_rng(0)

    def quantities(kind):
        shape = (24, 30) if kind == 'depth' else (24, 30, 3)
        arrays = draw.uniform(1, 200, (9, *shape))
        arrays = arrays.astype(np.float32 if kind == 'depth' else np.uint8)
        if kind == 'depth':
            arrays[:3, :4] = 0
        images = draw.integers(0, 256, (3, 24, 30, 3)).astype(np.uint8)
        np.savez(tmp_path / 'truth.npz', **{f'truth_{i:03}': arrays[i] for i in range(3)},
                 **{f'image_{i:03}': images[i] for i in range(3)})
        for place, name in enumerate(('bilinear', 'fade'), start=1):
            np.savez(tmp_path / f'{name}.npz',
                     **{f'prediction_{i:03}': arrays[3 * place + i] for i in range(3)})
        return choose_scenes(tmp_path, ['bilinear', 'fade'], kind)
    return quantities


@pytest.mark.parametrize('kind', ['depth', 'image'])
def test_disagreement_of_quantities(kind, quantities, drawn, tmp_path):
    scene = quantities(kind)[0]
    truth, (one, other) = scene.truth.astype(float), scene.predictions.values()
    apart = np.abs(one.astype(float) - other) / 2  # the standard deviation of two numbers
    if kind == 'depth':
        expected = np.where(truth > 0, 2 * apart / (one.astype(float) + other), 0)
        inside = [plane[scene.inside] for plane in (one, truth)]
        known = inside[1] > 0
        score = f'abs_rel {np.mean((np.abs(inside[0] - inside[1]) / inside[1])[known]):.3f}'
    else:
        expected = np.sqrt(np.mean(apart**2, axis=-1))
        errors = (one.astype(float) - truth)[scene.inside]
        score = f'{20 * np.log10(255 / np.sqrt(np.mean(errors**2))):.1f} dB'
    np.testing.assert_allclose(scene.disagreement, expected, rtol=1e-6)
    draw_disagreement(scene, tmp_path / 'a.png')
    axes = [axis for axis in drawn[0].axes if axis.images]
    assert len(axes) == 3 + 2 + 2 and not drawn[0].legends
    assert axes[5].get_title() == f'bilinear\n{score}'
    labels = [axis.get_ylabel() for axis in drawn[0].axes]
    assert ('depth in metres' in labels) == (kind == 'depth')


def test_equal_images_have_no_finite_psnr(quantities):
    from mmups.analysis.pixels import PIXELS
    scene = quantities('image')[0]
    assert PIXELS['image'].score(scene.truth, scene.truth) == 'equal'

"""Claims and what runs say of them."""
import json

import pytest

pytest.importorskip('scipy')

from mmups.analysis import hypotheses  # noqa: E402
from mmups.analysis.comparison import Comparison, Measure  # noqa: E402
from mmups.analysis.hypotheses import judge  # noqa: E402

#: b beats a in every seed, by 2; c is now better, now worse than a; d has one seed.
VALUES = dict(a=[70., 71., 72.], b=[72., 73.1, 73.9], c=[71., 71., 71.], d=[80.])


@pytest.fixture
def comparison():
    def attack(name, norm, value):
        return dict(kind='attack', name=name, norm=norm, eps=1, steps=3, metrics=dict(mIoU=value))
    runs = [dict(upsampler=name, seed=seed, classes={},
                 metrics=dict(mIoU=value, rmse=value, own=value),
                 robustness=[attack('pgd', 'linf', -value), attack('apgd', 'linf', value),
                             attack('apgd', 'l2', value)])
            for name, values in VALUES.items() for seed, value in enumerate(values)]
    return Comparison(dict(baseline='a', upsamplers=dict.fromkeys(VALUES), seeds=[0, 1, 2]), runs)


@pytest.fixture
def judged(comparison, tmp_path):
    def judged(metric, better, worse, **others):
        path = tmp_path / 'hypotheses.json'
        path.write_text(json.dumps([dict(id='H1', claim='Claim.', source='arXiv:2308.15085',
                                         metric=metric, better=better, worse=worse, **others)]))
        return judge(comparison, path)
    return judged


PGD = dict(metric='mIoU', attack='pgd', eps=1)


@pytest.mark.parametrize(('metric', 'better', 'worse', 'others', 'verdict'), [
    ('mIoU', 'b', 'a', {}, 'SUPPORTED'), ('mIoU', 'a', 'b', {}, 'CONTRADICTED'),
    ('rmse', 'a', 'b', {}, 'SUPPORTED'), ('rmse', 'b', 'a', {}, 'CONTRADICTED'),
    ('own', 'a', 'b', dict(larger_is_better=False), 'SUPPORTED'),
    ('own', 'b', 'a', dict(larger_is_better=True), 'SUPPORTED'),
    (PGD, 'b', 'a', {}, 'CONTRADICTED'), (dict(PGD, norm='linf'), 'a', 'b', {}, 'SUPPORTED'),
    (dict(PGD, attack='apgd', norm='l2'), 'b', 'a', {}, 'SUPPORTED'),
    ('mIoU', 'c', 'a', {}, 'UNDECIDED'), ('mIoU', 'd', 'a', {}, 'UNDECIDED'),
    ('mIoU', 'e', 'a', {}, 'UNMEASURED'), ('mAP', 'b', 'a', {}, 'UNMEASURED'),
    (dict(PGD, eps=2), 'b', 'a', {}, 'UNMEASURED'),
], ids=lambda value: value if isinstance(value, str) else '-'.join(map(str, value.values())))
def test_verdicts(judged, metric, better, worse, others, verdict):
    one, = judged(metric, better, worse, **others)
    assert one.verdict == getattr(hypotheses, verdict)
    assert (one.better, one.worse, one.id, one.claim) == (better, worse, 'H1', 'Claim.')


def test_the_interval_is_of_better_less_worse(judged):
    one, = judged('mIoU', 'a', 'b')
    assert one.difference.mean == pytest.approx(-2)
    assert one.difference.interval[0] < -2 < one.difference.interval[1] < 0
    assert one.measure == Measure('mIoU')


def test_pairs(judged):
    assert [(one.better, one.worse, one.verdict) for one in judged('mIoU', ['b', 'c'], ['a', 'd'])
            ] == [('b', 'a', hypotheses.SUPPORTED), ('b', 'd', hypotheses.UNDECIDED),
                  ('c', 'a', hypotheses.UNDECIDED), ('c', 'd', hypotheses.UNDECIDED)]


def test_what_is_no_hypothesis(judged, comparison, tmp_path):
    with pytest.raises(ValueError, match="'H1' must say the norm.*linf 1/255.*l2 1/255"):
        judged(dict(PGD, attack='apgd'), 'b', 'a')
    with pytest.raises(ValueError, match='larger_is_beter'):
        judged('mIoU', 'b', 'a', larger_is_beter=True)
    with pytest.raises(ValueError, match="'H1' has {'metric': 'mIoU'}"):
        judged(dict(metric='mIoU'), 'b', 'a')
    path = tmp_path / 'other.json'
    for text, message in (('{', 'cannot be read'), ('{}', 'must hold a list'),
                          ('[{"id": 1}]', "got {'id': 1}")):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            judge(comparison, path)
    with pytest.raises(ValueError, match='cannot be read'):
        judge(comparison, tmp_path / 'none.json')

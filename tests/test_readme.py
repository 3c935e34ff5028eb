"""README, docs/, CONTRIBUTING.md and CITATION.cff cannot drift from the package."""
import csv
import re
import runpy
from pathlib import Path

import pytest
import torch
import yaml
from mmengine.config import Config

from mmups import __version__, presets
from mmups.analysis import Maps, predict
from mmups.models import build_upsampler, registered_upsamplers

ROOT = Path(__file__).parents[1]
README = (ROOT / 'README.md').read_text(encoding='utf-8')
PAGES = sorted([*ROOT.glob('*.md'), *ROOT.glob('docs/*.md')])


def blocks(text, language):
    return re.findall(rf'```{language}\n(.*?)```', text, re.S)


def table_rows():
    """Cells of the rows of the table of upsamplers."""
    section = README.split('## Upsamplers')[1].split('\n## ')[0]
    rows = [[cell.strip() for cell in line.strip('|').split('|')]
            for line in section.splitlines() if line.startswith('| `')]
    return {row[0].strip('`'): row for row in rows}


def test_table_lists_what_is_registered():
    assert sorted(table_rows()) == sorted(registered_upsamplers())


@pytest.mark.parametrize('name', sorted(registered_upsamplers()))
def test_table_row(name):
    """Presets of a row exist and are of its type, together they are all of its presets, and its
    parameter count is that of 256 channels, or of an image beside them."""
    _, presets, guide, parameters, *_ = table_rows()[name]
    cls = registered_upsamplers()[name]
    assert guide == ('yes' if cls.guided else 'no')
    fragments = {path.stem: Config.fromfile(path).upsampler
                 for path in (ROOT / 'configs/_base_/upsamplers').glob('*.py')}
    expected = {stem for stem, cfg in fragments.items() if cfg.get('type', 'Interpolate') == name}
    assert set(re.findall(r'`([\w-]+)`', presets)) == expected
    module = build_upsampler(dict(type=name), 256, guide_channels=3 if cls.image_guided else 256)
    assert int(parameters.replace(',', '')) == sum(p.numel() for p in module.parameters())


METHODS = {row[0]: row[1:] for row in re.findall(
    r'^\| \[`([\w-]+)`\]\(#[\w-]+\) \| (\d{4}) \| (yes|no) \| (\w+) \| ([\d,]+) \| ([\d.]+) \|',
    (ROOT / 'docs/methods.md').read_text(encoding='utf-8'), re.M)}


def test_methods_are_there():
    assert {'dlu', 'lda-aqu', 'lda-aqu-lite', 'resfu'} <= METHODS.keys()


@pytest.mark.parametrize('name', METHODS)
def test_row_of_a_method(name):
    """What docs/methods.md says of a preset is what it counts."""
    _, guide, ratio, parameters, macs = METHODS[name]
    maps = Maps(1, 256, 120, 120)
    module = build_upsampler(presets()[name], 256, guide_channels=256)
    assert (guide == 'yes', ratio == 'any') == (module.guided, module.any_size)
    assert int(parameters.replace(',', '')) == sum(p.numel() for p in module.parameters())
    assert float(macs) == round(predict(presets()[name], maps).macs, 1)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_what_a_page_names_exists(page):
    """Its paths, its links and the anchors in them, its targets of make."""
    text = page.read_text(encoding='utf-8')
    names = re.findall(r'(?<![\w/.])(?:configs|tools|docs|mmups|tests|requirements)/[\w./-]+'
                       r'\.(?:py|sh|md|png|txt|yml)\b', text)
    assert len(names) > 10 or page.name != 'README.md'
    for name in names:
        assert (ROOT / name).exists() or 'CONFIG' in name, name
    for link in re.findall(r'\]\((?!http)([^)]+)\)', text):
        path, _, anchor = link.partition('#')
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or re.search(rf'^#+ {anchor}$', target.read_text(encoding='utf-8'),
                                       re.M | re.I), link
    makefile = (ROOT / 'Makefile').read_text(encoding='utf-8')
    code = '\n'.join([*re.findall(r'`[^`\n]+`', text), *blocks(text, 'bash')])
    for target in re.findall(r'^`?make ([a-z][\w-]*)', code, re.M):
        assert re.search(rf'^{target}:', makefile, re.M), target


def test_examples_in_pytorch():
    """The first blocks, word for word; their comments say the shapes."""
    examples = [block for block in blocks(README, 'python') if re.search(r'# \(1, 64', block)]
    assert len(examples) == 2 and len(examples[0].splitlines()) == 3
    for block in examples:
        namespace = {}
        exec(block, namespace)
        shape = re.search(r'# \(([\d, ]+)\)', block).group(1)
        assert namespace['y'].shape == tuple(map(int, shape.split(',')))


def test_citation():
    """Valid as far as CFF 1.2.0 requires, of this version, with the papers of the README."""
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text(encoding='utf-8'))
    assert citation['version'] == __version__
    assert citation['cff-version'] == '1.2.0'
    assert citation['license'] == 'Apache-2.0'
    assert citation['message'] and citation['title'] and citation['authors']
    papers = {paper['title']: str(paper['year']) for paper in citation['references']}
    assert papers == dict(zip(re.findall(r'^  title={(.*)},', README, re.M),
                              re.findall(r'^  year={(.*)}', README, re.M)))
    for paper in citation['references']:
        assert paper['type'] == 'conference-paper'
        assert all(author.keys() == {'family-names', 'given-names'} for author in paper['authors'])


def test_four_line_config_builds(tmp_path):
    """The README's first config, word for word, is a Mask R-CNN with three DySamples."""
    pytest.importorskip('mmdet')
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope
    block = next(b for b in blocks(README, 'python') if '_base_' in b)
    assert len([line for line in block.splitlines() if line and not line.startswith('#')]) <= 4
    path = tmp_path / 'config.py'
    path.write_text(block)
    cfg = Config.fromfile(path)
    init_default_scope('mmdet')
    neck = MODELS.build(cfg.model.neck)
    assert [type(m).__name__ for m in neck.upsample_modules] == ['DySample'] * 3


def test_config_with_a_preset_is_the_shipped_one():
    block = next(b for b in blocks(README, 'python')
                 if 'upsampler=_base_.upsampler' in b)
    path = ROOT / 'configs/segformer/segformer_mit-b1_dysample_8xb2-160k_ade20k-512x512.py'
    assert re.sub(r'\s', '', block) == re.sub(r'\s', '', path.read_text())


def test_example_for_another_project():
    block = next(b for b in blocks(README, 'python')
                 if 'from mmengine.registry import MODELS' in b)
    namespace = dict(x=torch.randn(1, 256, 22, 32))
    exec(block, namespace)
    assert namespace['y'].shape == (1, 256, 43, 64)


def test_own_upsampler_example():
    """The README's example of an upsampler of one's own runs and keeps the contract."""
    block = next(b for b in blocks(README, 'python')
                 if 'BaseUpsampler' in b)
    namespace = {}
    exec(block, namespace)
    try:
        module = build_upsampler(dict(type='NearestBlur'), 8)
        x = torch.randn(2, 8, 5, 7)
        assert module(x, size=(9, 13)).shape == (2, 8, 9, 13)
    finally:
        from mmups.registry import MODELS
        MODELS.module_dict.pop('NearestBlur')


def test_slots_are_documented():
    """docs/slots.md is what the slots say of themselves."""
    tool = runpy.run_path(str(ROOT / 'tools/slots_page.py'))
    assert (ROOT / 'docs/slots.md').read_text(encoding='utf-8') == tool['page']()


@pytest.mark.parametrize('page', ['README.md', 'docs/evidence.md', 'docs/restoration.md'])
def test_evidence_is_that_of_the_runs(page):
    """Rows of upsamplers behind a link to a report: where a column has a metric's name, means and
    deviations; where it says "less" an upsampler, differences and intervals of the one before."""
    known, header, found = None, [], 0
    for line in (ROOT / page).read_text(encoding='utf-8').splitlines():
        cells = [cell.strip() for cell in line.split('|')][1:-1]
        if line.startswith('#'):
            known = None
        if link := re.search(r'evidence/(\w+)/report\.md', line):
            with open(ROOT / 'docs/evidence' / link[1] / 'table.csv', newline='') as file:
                known = {(row['upsampler'], row['metric']): row for row in csv.DictReader(file)
                         if not row['class'] and not row['attack']}
        if known and cells and not line.startswith('| `'):
            header = header if set(cells[0]) == {'-'} else cells
        if not known or not line.startswith('| `'):
            continue
        metric = ''
        for column, cell in zip(header, cells):
            metric = metric if column.startswith('less ') else column
            row = known.get((cells[0].strip('`'), metric))
            if row is None or not row['seeds']:  # no metric, or a cost
                continue
            row = {key: float(value) for key, value in row.items()
                   if key in ('mean', 'sd', 'difference', 'low', 'high') and value}
            digits = _digits(row['mean'])
            expected = f'{row["mean"]:.{digits}f}'
            expected += f' ± {row["sd"]:.{digits}f}' if 'sd' in row else ''
            if column.startswith('less '):
                expected = f'{{difference:+.{digits}f}} [{{low:+.{digits}f}}, {{high:+.{digits}f}}]'
                expected = expected.format(**row) if 'low' in row else ''
            assert cell == expected, (cells[0], column)
            found += 1
    assert found >= 10


def test_summary_of_the_evidence_is_that_of_the_runs():
    """Rows: a report, a number of seeds, `A` less `B`, metrics with difference and interval."""
    pytest.importorskip('scipy')
    from mmups.analysis.comparison import Comparison, Measure
    page = (ROOT / 'docs/evidence.md').read_text(encoding='utf-8')
    rows = re.findall(
        r'^\| \[.*?\]\(evidence/(\w+)/report\.md\) \| (\d) \| `(\S+)` less `(\S+)` \|(.*)\|$',
        page, re.M)
    assert len(rows) == len(re.findall(r'^\| \[', page, re.M)) >= 10
    for folder, seeds, better, worse, cells in rows:
        comparison = Comparison.read(ROOT / 'docs/evidence' / folder)
        for cell in cells.split('|'):
            metric, _, number = cell.strip().partition(' ')
            difference = comparison.difference(Measure(metric), better, worse)
            low, high = difference.interval
            digits = _digits(comparison.summary(Measure(metric), worse).mean)
            expected = f'{difference.mean:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]'
            assert (number, int(seeds)) == (expected, len(difference.by_seed)), (folder, cell)


def _digits(mean):
    """Behind the point: AP of mmdet and SSIM are shares, other metrics are in percent or dB."""
    return 3 if mean < 1 else 2

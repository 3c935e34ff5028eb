"""The report of a folder of tools/compare.py, with everything and with parts missing."""
import base64
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from comparison_folder import write_folder
from PIL import Image

pytest.importorskip('scipy')

from mmups.engine.comparison import report as reports  # noqa: E402
from mmups.engine.comparison.report import write_report  # noqa: E402

BROWSER = next(filter(None, map(shutil.which, (
    'chromium', 'chromium-browser', 'google-chrome', 'chrome'))), None)
VOID = {'meta', 'img'}


class Page(HTMLParser):
    """Tags in order, attributes that lead somewhere, and the text of headings and cells."""

    def __init__(self, text):
        super().__init__()
        self.open, self.targets, self.anchors, self.text = [], [], set(), {}
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.targets += [attrs[key] for key in ('src', 'href', 'srcset', 'data', 'action')
                         if key in attrs]
        self.anchors |= {f'#{attrs["id"]}'} if 'id' in attrs else set()
        assert tag not in ('script', 'link', 'iframe', 'object')
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.text.setdefault(self.open[-1], []).append(data.replace('\xa0', ' '))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / 'folder'


def read(folder):
    return Page((folder / 'report.html').read_text(encoding='utf-8'))


def test_everything(folder):
    write_folder(folder)
    hypotheses = folder / 'hypotheses.json'
    hypotheses.write_text(json.dumps([dict(
        id='H1', claim='Sampling beats interpolation.', source='arXiv:2308.15085, Table 3',
        metric='mIoU', better=['dysample', 'fade'], worse='bilinear')]))
    assert write_report(folder, hypotheses) == folder / 'report.html'
    page = read(folder)
    assert not re.search(r'url\(|@import|https?:', page.text['style'][0])
    assert page.text['h1'] == ['Upsamplers in own_model']
    assert page.text['h2'] == [
        'Results', 'Hypotheses', 'Differences', 'Accuracy over cost', 'Under attack',
        'Predictions', 'Classes', 'Time', 'Conditions', 'How to read this']
    assert 'not measured here' in page.text['td']
    pictures = {base64.b64decode(target.split(',')[1]) for target in page.targets
                if target.startswith('data:image/png;base64,')}
    assert {target for target in page.targets if not target.startswith('data:')} <= page.anchors
    for content in pictures:
        Image.open(io.BytesIO(content)).verify()
    files = sorted((folder / 'figures').iterdir())
    assert {path.read_bytes() for path in files} == pictures
    assert [path.name for path in files] == [
        'attacks_mBIoU.png', 'attacks_mIoU.png', 'cost.png', 'differences.png',
        'predictions_1.png', 'predictions_2.png', 'predictions_3.png', 'predictions_4.png']
    text = (folder / 'report.md').read_text(encoding='utf-8')
    assert re.findall(r'\]\((.*?)\)', text) and all(
        (folder / path).is_file() for path in re.findall(r'\]\((.*?)\)', text))
    assert re.findall(r'^## (.*)', text, re.M) == page.text['h2']
    assert '\\bottomrule' in (folder / 'table.tex').read_text()
    assert len((folder / 'table.csv').read_text().splitlines()) > 50
    assert not list(folder.glob('.report*'))


def test_one_seed_and_nothing_else(folder):
    write_folder(folder, seeds=[3], cost=False, robustness=False, predictions=False,
                 classes=False)
    write_report(folder)
    page = read(folder)
    assert page.text['h2'] == ['Results', 'Differences', 'Time', 'Conditions', 'How to read this']
    assert any('What the upsamplers cost was not measured' in text for text in page.text['p'])
    assert any('There is no interval' in text for text in page.text['p'])
    assert sum('1 seed: no interval' in text for text in page.text['td']) == 4
    assert not any('[' in text for text in page.text['td'])


@pytest.mark.parametrize('gone', ['bilinear', 'dysample'])
def test_runs_of_an_upsampler_are_missing(folder, gone):
    """Of the baseline, too."""
    write_folder(folder, skip=[(gone, seed) for seed in range(3)], predictions=False)
    write_report(folder)
    assert any(f'{gone} with seed 0, {gone} with seed 1, {gone} with seed 2' in text
               for text in read(folder).text['li'])
    assert any('Finished: 6 of 9 runs' in text for text in read(folder).text['li'])


def test_the_baseline_alone(folder):
    write_folder(folder, ['bilinear'], robustness=False)
    write_report(folder)
    assert 'Predictions' not in read(folder).text['h2']
    assert 'Differences' not in read(folder).text['h2']


def test_costs_without_times_and_counts(folder):
    write_folder(folder, robustness=False, predictions=False)
    cost = json.loads((folder / 'cost.json').read_text())
    for row in cost['rows'].values():
        row.update(macs=None)
        del row['forward'], row['forward+backward']
    (folder / 'cost.json').write_text(json.dumps(cost))
    write_report(folder)
    assert 'Accuracy over cost' not in read(folder).text['h2']


def test_a_failed_report_leaves_the_old_one(folder, monkeypatch):
    write_folder(folder, robustness=False, predictions=False)
    write_report(folder)
    before = {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}

    def fails(*args):
        raise OSError('no space left')
    monkeypatch.setattr(reports, 'write_csv', fails)
    with pytest.raises(OSError, match='no space left'):
        write_report(folder)
    assert {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()} == before


def test_a_second_report_replaces_the_first(folder):
    write_folder(folder, robustness=False, predictions=False)
    write_report(folder)
    (folder / 'cost.json').unlink()
    write_report(folder)
    assert [path.name for path in (folder / 'figures').iterdir()] == ['differences.png']
    assert 'Accuracy over cost' not in read(folder).text['h2']


def test_names_are_text(folder):
    """Neither HTML nor LaTeX takes a name for its own."""
    name = '<b>50%_&'
    write_folder(folder, ['bilinear', name], robustness=False, predictions=False)
    write_report(folder)
    assert name in read(folder).text['th'] and 'b' not in read(folder).text
    assert r'$<$b$>$50\%\_\&' in (folder / 'table.tex').read_text()


def test_no_report_of_nothing(folder):
    folder.mkdir()
    with pytest.raises(ValueError, match='has no comparison.json'):
        write_report(folder)
    assert not list(folder.iterdir())


#: What a browser makes of the page: pictures, those that it could read, how wide the page is.
LOOK = """<script>addEventListener('load', () => {
const pictures = [...document.images];
document.body.dataset.seen = [pictures.length, pictures.filter(i => i.naturalWidth > 100).length,
document.documentElement.scrollWidth, document.documentElement.clientWidth].join();
});</script>"""


@pytest.mark.skipif(BROWSER is None, reason='no Chromium is installed')
@pytest.mark.parametrize('width', [500, 1200])
def test_a_browser_shows_it(folder, tmp_path, width):
    """On a phone and on a desk: pictures are there, and only tables and pictures are too wide."""
    write_folder(folder, robustness=False, predictions=False)
    page = tmp_path / 'page.html'
    page.write_text(write_report(folder).read_text(encoding='utf-8') + LOOK, encoding='utf-8')
    seen = subprocess.run(
        [BROWSER, '--headless', '--no-sandbox', '--disable-gpu', f'--window-size={width},2000',
         f'--user-data-dir={tmp_path / "profile"}', '--dump-dom', page.as_uri()],
        check=True, timeout=120, capture_output=True, text=True).stdout
    pictures, read, needed, there = map(int, re.search(r'data-seen="(.*?)"', seen)[1].split(','))
    assert (pictures, read) == (2, 2)
    assert needed <= there <= width

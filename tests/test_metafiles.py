"""The metafiles list every config once, and give the authors' numbers as the authors'."""
import re
import runpy
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
INDEX = yaml.safe_load((ROOT / 'model-index.yml').read_text())
METAFILES = {path: yaml.safe_load((ROOT / path).read_text()) for path in INDEX['Import']}
MODELS = {model['Name']: model for metafile in METAFILES.values() for model in metafile['Models']}
README = (ROOT / 'README.md').read_text()
DEPTH = ('a1', 'a2', 'a3', 'abs_rel', 'rmse', 'log10', 'rmse_log', 'sq_rel')
METRIC = re.compile(rf'(?P<metric>mIoU|bIoU|box AP|mask AP|PQ|PSNR|SSIM|{"|".join(DEPTH)})'
                    r' \((?P<source>DySample paper, Table \d|(FADE|SAPA|LDA-AQU|DLU|FreqFusion) '
                    r'repository, (README|training log|figure)|MMagic repository, metafile)\)')
#: Data sets that the project makes, by what names of configs call them.
OWN_DATA = {'digit-scenes': 'DigitScenes', 'photo-noise': 'PhotoNoise', 'photo-blur': 'PhotoBlur'}

# Config, source and metrics -> rows of the table: upsampler, then its numbers.
TABLES = {
    ('segformer_mit-b1_{}_', 'DySample paper, Table 4', ('mIoU', 'bIoU')): """
        deconv 40.71 25.94
        pixel-shuffle 41.50 26.58
        carafe 42.82 29.84
        indexnet 41.50 28.27
        a2u 41.45 27.31
        fade 43.06 31.68
        sapa-base 43.20 30.96
        dysample-s 43.23 29.53
        dysample-s-plus 43.58 29.93
        dysample 43.21 29.12
        dysample-plus 43.28 29.23""",
    ('maskformer_swin-b-in22k-384x384-pre_{}_', 'DySample paper, Table 5', ('mIoU', )): """
        nearest 52.70
        carafe 53.53
        dysample-s-plus 53.91""",
    ('maskformer_swin-l-in22k-384x384-pre_{}_', 'DySample paper, Table 5', ('mIoU', )): """
        nearest 54.10
        carafe 54.61
        dysample-s-plus 54.90""",
    ('faster-rcnn_r50_fpn-p6-{}_', 'DySample paper, Table 6', ('box AP', )): """
        deconv 37.3
        pixel-shuffle 37.5
        carafe 38.6
        indexnet 37.6
        a2u 37.3
        fade 38.5
        sapa-base 37.8
        dysample-s 38.5
        dysample-s-plus 38.6
        dysample 38.6
        dysample-plus 38.7""",
    ('faster-rcnn_r101_fpn-p6-{}_', 'DySample paper, Table 6', ('box AP', )): """
        dysample-plus 40.5""",
    ('mask-rcnn_r50_fpn-{}_', 'DySample paper, Table 7', ('box AP', 'mask AP')): """
        deconv 37.9 34.5
        pixel-shuffle 38.5 34.8
        carafe 39.2 35.4
        indexnet 38.4 34.7
        a2u 38.2 34.6
        fade 39.1 35.1
        sapa-base 38.7 35.1
        dysample-s 39.3 35.4
        dysample-s-plus 39.3 35.5
        dysample 39.2 35.4
        dysample-plus 39.6 35.7""",
    ('mask-rcnn_r101_fpn-{}_', 'DySample paper, Table 7', ('box AP', 'mask AP')): """
        dysample-plus 41.0 36.8""",
    ('panoptic-fpn_r50_fpn-{}_', 'DySample paper, Table 8', ('PQ', )): """
        deconv 39.6
        pixel-shuffle 40.0
        carafe 40.8
        indexnet 40.2
        a2u 40.1
        fade 40.9
        sapa-base 40.6
        dysample-s 40.6
        dysample-s-plus 41.1
        dysample 41.4
        dysample-plus 41.5""",
    ('panoptic-fpn_r101_fpn-{}_', 'DySample paper, Table 8', ('PQ', )): """
        dysample-plus 43.0""",
    ('depthformer_swin-t_{}_', 'DySample paper, Table 9', DEPTH): """
        bilinear 0.873 0.978 0.994 0.120 0.402 0.050 0.148 0.071
        deconv 0.872 0.980 0.995 0.117 0.401 0.050 0.147 0.067
        pixel-shuffle 0.874 0.979 0.995 0.117 0.395 0.049 0.146 0.068
        carafe 0.877 0.978 0.995 0.116 0.397 0.049 0.146 0.069
        indexnet 0.873 0.980 0.995 0.117 0.401 0.049 0.147 0.067
        a2u 0.874 0.979 0.995 0.118 0.397 0.049 0.147 0.068
        fade 0.874 0.978 0.994 0.118 0.399 0.049 0.147 0.071
        sapa-base 0.870 0.978 0.995 0.117 0.406 0.050 0.149 0.069
        dysample-s 0.871 0.979 0.995 0.118 0.402 0.050 0.148 0.069
        dysample-s-plus 0.872 0.978 0.994 0.119 0.398 0.050 0.148 0.070
        dysample 0.872 0.979 0.995 0.117 0.400 0.050 0.147 0.068
        dysample-plus 0.878 0.980 0.995 0.116 0.393 0.049 0.145 0.068""",
    ('segformer_mit-b1_{}_', 'FADE repository, README', ('mIoU', 'bIoU')): """
        fade-gate 44.41 32.65
        fade-lite-gate 43.49 31.55""",
    ('segformer_mit-b1_{}_', 'FADE repository, training log', ('mIoU', )): """
        indexnet-m2o 41.50""",
    ('segformer_mit-b1_{}_', 'SAPA repository, README', ('mIoU', 'bIoU')): """
        sapa-inner 43.05 30.25
        sapa-gated 44.39
        sapa-deform 44.68 31.74""",
    ('faster-rcnn_r50_fpn-p6-{}_', 'SAPA repository, README', ('box AP', )): 'sapa-deform 39.2',
    ('faster-rcnn_r101_fpn-p6-{}_', 'SAPA repository, README', ('box AP', )): 'sapa-deform 40.6',
    ('faster-rcnn_r50_fpn-p6-{}_', 'LDA-AQU repository, README', ('box AP', )): 'lda-aqu 39.2',
    ('faster-rcnn_r50_fpn-p6-{}_', 'LDA-AQU repository, figure', ('box AP', )): 'lda-aqu-lite 38.9',
    ('faster-rcnn_r50_fpn-p6-{}_', 'DLU repository, README', ('box AP', )): 'dlu 38.6',
    ('upernet_r50_{}_', 'SAPA repository, README', ('mIoU', 'bIoU')): """
        deconv 41.43 27.72
        pixel-shuffle 41.35 27.49
        carafe 41.49 28.29
        fade 41.83 27.92
        sapa-deform 42.60 28.97""",
    ('faster-rcnn_r50_fpn-p6-{}_', 'FreqFusion repository, README', ('box AP', )): """
        freqfusion 39.4""",
    ('faster-rcnn_r101_fpn-p6-{}_', 'FreqFusion repository, README', ('box AP', )): """
        freqfusion-g8 41.0""",
    ('mask-rcnn_r50_fpn-p6-{}_', 'FreqFusion repository, README', ('box AP', 'mask AP')): """
        freqfusion 40.0 36.0""",
    ('panoptic-fpn_r50_fpn-p6-{}_', 'FreqFusion repository, README', ('PQ', )): """
        freqfusion-panoptic 42.7""",
    ('segnext_mscan-t_{}_', 'FreqFusion repository, README', ('mIoU', )): 'freqfusion 43.5',
    ('nafnet_{}_8xb8', 'MMagic repository, metafile', ('PSNR', 'SSIM')): 'w64 33.7246 0.9479',
    ('{}_8xb8', 'MMagic repository, metafile', ('PSNR', 'SSIM')): 'restormer 32.9295 0.9496',
}


def own_data(name):
    """The data set of this project that a config is for; None: it is for another."""
    return next((data for part, data in OWN_DATA.items() if part in name), None)


def metrics_of(model):
    return {key: value for result in model.get('Results', [])
            for key, value in result['Metrics'].items()}


def test_every_config_has_one_entry():
    """Named as its file, in the metafile of its folder; no entry without its config."""
    listed = [(Path(path).parent, model['Name'], model['Config'])
              for path, metafile in METAFILES.items() for model in metafile['Models']]
    files = [path.relative_to(ROOT) for path in ROOT.glob('configs/*/*.py')
             if path.parent.name != '_base_']
    assert sorted(config for _, _, config in listed) == sorted(map(str, files))
    assert all(Path(config) == folder / f'{name}.py' for folder, name, config in listed)
    assert all(name == name.lower() for _, name, _ in listed)
    assert len(MODELS) == len(listed)
    assert sorted(METAFILES) == sorted(
        str(path.relative_to(ROOT)) for path in ROOT.glob('configs/*/metafile.yml'))


@pytest.mark.parametrize('name', MODELS)
def test_entry(name):
    """The upsampler is the config's; whose the numbers are is in their keys, where no tool that
    reads the index loses it; no weights, which mmups does not publish."""
    model = MODELS[name]
    folder = Path(model['Config']).parent
    collection, = METAFILES[str(folder / 'metafile.yml')]['Collections']
    assert model['In Collection'] == collection['Name']
    assert 'Weights' not in model
    assert (ROOT / model.get('Code', '')).exists()
    own = own_data(name)
    upsampler = model['Metadata']['Upsampler']
    assert re.search(rf'[_-]{upsampler}_', name) or 'UPSAMPLER' in upsampler
    assert f'/{upsampler}.py' in (ROOT / model['Config']).read_text() or 'UPSAMPLER' in upsampler
    measured = own is not None and 'Results' in model
    assert (model['Metadata']['Results measured by mmups'] == 'none') == (not measured)
    for key in metrics_of(model):
        assert ('(' not in key) if own else METRIC.fullmatch(key)
    for result in model.get('Results', []):
        assert result['Dataset'] == model['Metadata']['Training Data']
        assert own == (result['Dataset'] if result['Dataset'] in OWN_DATA.values() else None)


def test_numbers_are_the_tables():
    """Each number of the tables is in its entry, and no entry has another one."""
    expected = {}
    for (stem, source, metrics), text in TABLES.items():
        for name, *numbers in map(str.split, text.strip().splitlines()):
            config, = (key for key in MODELS if key.startswith(stem.format(name)))
            expected.update({(config, f'{metric} ({source})'): float(number)
                             for metric, number in zip(metrics, numbers)})
    assert {(name, key): value for name, model in MODELS.items() if not own_data(name)
            for key, value in metrics_of(model).items()} == expected


def test_baselines():
    """Rows of the tables without an upsampler."""
    assert [text for metafile in METAFILES.values()
            for text in metafile['Collections'][0]['Metadata'].get('Baselines', [])] == [
        'nearest, R50: box AP 37.5 (DySample paper, Table 6)',
        'nearest, R101: box AP 39.4 (DySample paper, Table 6)',
        'nearest, R50: box AP 38.3, mask AP 34.7 (DySample paper, Table 7)',
        'nearest, R101: box AP 40.0, mask AP 36.0 (DySample paper, Table 7)',
        'nearest, R50: PQ 40.2 (DySample paper, Table 8)',
        'nearest, R101: PQ 42.2 (DySample paper, Table 8)',
        'bilinear, MiT-B1: mIoU 41.68, bIoU 27.80 (DySample paper, Table 4)',
        'bilinear, MiT-B1: mIoU 42.11, bIoU 28.16 (SAPA repository, README)',
        'bilinear, MSCAN-T: mIoU 41.1 (FreqFusion repository, README)',
        'bilinear, R50: mIoU 41.09, bIoU 28.04 (SAPA repository, README)']


@pytest.mark.parametrize('name', [name for name in MODELS if 'digit-scenes' in name
                                  and (f'| `{name}` |' in README or 'depth' not in name)])
def test_measured_numbers_are_the_readmes(name):
    row = re.search(rf'^\| `{name}` \| (.*) \|$', README, re.M)
    numbers = re.findall(r'\d+\.\d+', row[1]) if row else []
    assert [str(value) for value in metrics_of(MODELS[name]).values()] == numbers


def test_model_index_loads():
    """As mim reads it."""
    modelindex = pytest.importorskip('modelindex')
    index = modelindex.load(str(ROOT / 'model-index.yml'))
    assert {model.name for model in index.models} == set(MODELS)
    assert index.check(silent=True) == []
    for model in index.models:
        metrics = {key: value for result in model.results or []
                   for key, value in result.metrics.items()}
        assert metrics == metrics_of(MODELS[model.name])


def test_page_is_that_of_the_metafiles():
    tool = runpy.run_path(str(ROOT / 'tools/config_page.py'))
    assert (ROOT / 'docs/configs.md').read_text() == tool['page']()

"""Write docs/configs.md from the metafiles of the configs."""
import argparse
import re
from pathlib import Path

import yaml

from mmups.engine.cli import one_line_errors

ROOT = Path(__file__).parents[1]
HEAD = """# Configs

Each config inherits a stock one of mmdet or mmseg and puts an upsampler into its slots; NAFNet and
Restormer are networks of mmups ([restoration.md](restoration.md)).

**A number with a paper or a repository beside it is that of its authors: none of them was measured
with mmups.** Numbers measured with mmups are on DigitScenes, PhotoNoise and PhotoBlur only, and
say so.

Several GPUs: `bash tools/dist_train.sh CONFIG GPUS`. This page is written by
`python tools/config_page.py` from the `metafile.yml` in each folder.
"""


def rows(model):
    """A row for each source of results, one without numbers where there is none."""
    measured = model['Metadata']['Results measured by mmups']
    sources = {}
    for result in model.get('Results', []):
        for key, value in result['Metrics'].items():
            metric, source = re.fullmatch(r'([^(]+?)(?: \((.+)\))?', key).groups()
            source = source or f'measured with mmups: {measured}'
            sources.setdefault(source, []).append(f'{metric} {value}')
    note = model['Metadata'].get('Note')
    for source, metrics in (sources or {'': []}).items():
        text = '; '.join(filter(None, (source, note)))
        yield (f"| `{model['Name']}` | {model['Metadata']['Upsampler']} | {', '.join(metrics)} | "
               f'{text} |')


def section(folder, metafile):
    collection, = metafile['Collections']
    metadata, paper = collection['Metadata'], collection['Paper']
    lines = [f"## {collection['Name']}", '', f"[{paper['Title']}]({paper['URL']})", '',
             '```bash', f'python tools/train.py {folder}/CONFIG.py', '```', '',
             '| CONFIG | Upsampler | Numbers | Whose |', '|---|---|---|---|']
    for model in metafile['Models']:
        lines += rows(model)
    for text in metadata.get('Baselines', []):
        lines += ['', f'Baseline with {text}.']
    if 'Note' in metadata:
        lines += ['', metadata['Note']]
    return '\n'.join(lines)


def page():
    paths = yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']
    sections = [section(Path(path).parent, yaml.safe_load((ROOT / path).read_text()))
                for path in paths]
    return '\n\n'.join([HEAD.rstrip(), *sections]) + '\n'


if __name__ == '__main__':
    argparse.ArgumentParser(description=__doc__).parse_args()
    with one_line_errors():
        (ROOT / 'docs/configs.md').write_text(page())

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
# The hosts are extras: a maintained fork of OpenMMLab (onedl-*) provides the same modules, and
# mmups must not pull the other distribution in beside it.
EXTRAS = ('mmdet', 'mmseg', 'demo', 'tests', 'mim')


def requirements(name):
    return (ROOT / 'requirements' / f'{name}.txt').read_text().split()


version = {}
exec((ROOT / 'mmups' / 'version.py').read_text(), version)
extras = {name: requirements(name) for name in EXTRAS}
extras['all'] = sorted(set(sum(extras.values(), [])))

setup(
    name='mmups',
    version=version['__version__'],
    description='Feature upsampling for OpenMMLab: DySample, LCTC and their competitors',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['mmups', 'mmups.*']),
    python_requires='>=3.9',
    install_requires=requirements('runtime'),
    extras_require=extras,
)

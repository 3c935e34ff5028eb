"""Package of mmups. The repository's ``configs/``, ``tools/`` and ``model-index.yml`` travel in it
as ``mmups/.mim``, where OpenMMLab's installer looks for them."""
import shutil
import tempfile
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

ROOT = Path(__file__).parent
# The hosts are extras: a maintained fork of OpenMMLab (onedl-*) provides the same modules, and
# mmups must not pull the other distribution in beside it.
EXTRAS = ('mmdet', 'mmseg', 'demo', 'tests', 'mim')


def requirements(name):
    return (ROOT / 'requirements' / f'{name}.txt').read_text().split()


def copy_mim_files(package):
    """Fill ``.mim`` in the folder of a package that is being built."""
    target = Path(package) / '.mim'
    shutil.rmtree(target, ignore_errors=True)
    for name in ('configs', 'tools'):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns('__pycache__'))
    shutil.copy(ROOT / 'model-index.yml', target)


class BuildWithMim(build_py):

    def run(self):
        super().run()
        if not self.editable_mode:
            copy_mim_files(Path(self.build_lib) / 'mmups')


class EditableWithMim(editable_wheel):
    """Beside the link to the repository, mim needs a folder ``mmups`` among the installed
    packages. It holds ``.mim`` alone, as of the time of the installation; ``import mmups`` passes
    it by."""

    def run(self):
        super().run()
        from wheel.wheelfile import WheelFile
        wheel, = Path(self.dist_dir).glob('mmups-*editable*.whl')
        with tempfile.TemporaryDirectory() as folder:
            shutil.unpack_archive(wheel, folder, 'zip')
            copy_mim_files(Path(folder) / 'mmups')
            with WheelFile(wheel, 'w') as archive:
                archive.write_files(folder)


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
    package_dir={'': '.'},  # so that an editable install is a plain path, beside which .mim stands
    cmdclass=dict(build_py=BuildWithMim, editable_wheel=EditableWithMim),
    python_requires='>=3.9',
    install_requires=requirements('runtime'),
    extras_require=extras,
)

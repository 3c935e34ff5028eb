"""Package of mmups. The repository's ``configs/``, ``tools/`` and ``model-index.yml`` travel in it
as ``mmups/.mim``, where OpenMMLab's installer looks for them. Beside torch and a C++ compiler
(``pip install --no-build-isolation``) it gets compiled operators, ``mmups._C``; without them mmups
computes the same by PyTorch."""
import os
import shutil
import sys
import tempfile
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

ROOT = Path(__file__).parent
# The hosts are extras: a maintained fork of OpenMMLab (onedl-*) provides the same modules, and
# mmups must not pull the other distribution in beside it.
EXTRAS = ('mmdet', 'mmseg', 'demo', 'corruptions', 'compare', 'tests', 'mim')


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


def extension():
    """Arguments of setup() for the compiled operators; none where they cannot be built."""
    try:
        from torch.utils.cpp_extension import BuildExtension, CppExtension
    except ImportError:
        return dict(cmdclass={})
    if os.name != 'posix':  # the kernels are written in vectors of GCC and Clang
        return dict(cmdclass={})

    class OptionalExtension(BuildExtension):
        """A failure leaves mmups without the library, and says so."""

        def build_extensions(self):
            try:
                super().build_extensions()
            except Exception as error:
                print(f'mmups is built without compiled operators: {error}', file=sys.stderr)
                self.extensions.clear()

    openmp = ['-fopenmp'] if sys.platform == 'linux' else []
    library = CppExtension(
        'mmups._C', sorted(f'mmups/csrc/{path.name}' for path in ROOT.glob('mmups/csrc/*.cpp')),
        depends=[str(path) for path in sorted(ROOT.glob('mmups/csrc/*.[hi]*'))],
        py_limited_api=True,
        extra_compile_args=['-O3', '-g0', '-Wno-psabi', '-fvisibility=hidden', *openmp],
        extra_link_args=openmp)
    return dict(ext_modules=[library], cmdclass=dict(build_ext=OptionalExtension),
                options=dict(bdist_wheel=dict(py_limited_api=f'cp3{sys.version_info.minor}')))


version = {}
exec((ROOT / 'mmups' / 'version.py').read_text(), version)
extras = {name: requirements(name) for name in EXTRAS}
extras['all'] = sorted(set(sum(extras.values(), [])))
compiled = extension()
compiled['cmdclass'].update(build_py=BuildWithMim, editable_wheel=EditableWithMim)

setup(
    name='mmups',
    version=version['__version__'],
    description='Feature upsampling for OpenMMLab: DySample, LCTC and their competitors',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['mmups', 'mmups.*']),
    package_dir={'': '.'},  # so that an editable install is a plain path, beside which .mim stands
    python_requires='>=3.9',
    install_requires=requirements('runtime'),
    extras_require=extras,
    **compiled,
)

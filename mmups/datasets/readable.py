"""Errors of DigitScenes that say which file is to blame and what to do."""
import json
from pathlib import Path
from typing import ClassVar


class ReadableErrors:
    """Mixin, to stand before a host's dataset class.

    The hosts' errors for broken files mostly do not name the file. This wraps the two steps that
    read files; the original error stays attached as the cause.

    Raises:
        FileNotFoundError: ``data_root`` holds no DigitScenes.
        ValueError: It holds them with another number of classes, without images, or with an
            annotation file that cannot be read; later on, a sample cannot be read. The run stops.
    """
    NUM_CLASSES: ClassVar[int] = 5

    def load_data_list(self) -> list:
        self._check_manifest()
        files = ', '.join(filter(None, [self.ann_file, *self.data_prefix.values()]))
        try:
            samples = super().load_data_list()
        except Exception as error:
            raise ValueError(f'{type(self).__name__} cannot read its annotations, {files}: '
                             f'{type(error).__name__}: {error}') from error
        if not samples:
            raise ValueError(f'{type(self).__name__} finds no images in {files}')
        return samples

    def prepare_data(self, idx: int):
        try:
            return super().prepare_data(idx)
        except Exception as error:
            info = self.get_data_info(idx)
            files = ' and '.join(filter(None, [info['img_path'], info.get('seg_map_path')]))
            raise ValueError(f'{type(self).__name__} cannot load sample {idx} from '
                             f'{files}: {type(error).__name__}: {error}') from error

    def _check_manifest(self) -> None:
        root = Path(self.data_root or '.')
        make = (f'python tools/dataset_converters/digit_scenes.py {root} '
                f'--classes {self.NUM_CLASSES}')
        path = root / 'manifest.json'
        if not path.is_file():
            raise FileNotFoundError(f'there are no DigitScenes in {root}: {path} is missing. Make '
                                    f'them with: {make}')
        try:
            found = json.loads(path.read_bytes())['classes']
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f'{path} cannot be read ({error}); delete {root} and run {make}'
                             ) from error
        if found != self.NUM_CLASSES:
            raise ValueError(f'{root} holds DigitScenes of {found} classes, {type(self).__name__} '
                             f'reads {self.NUM_CLASSES}; make another folder by {make}, or use '
                             'the other class')

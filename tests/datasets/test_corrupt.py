"""The common corruptions: reproducible, of BGR images, of the published strengths."""
import numpy as np
import pytest
from mmengine.registry import TRANSFORMS

from mmups.datasets.corrupt import CORRUPTIONS, Corrupt


@pytest.fixture
def picture():
    from skimage import data
    return np.ascontiguousarray(data.astronaut()[::6, ::6, ::-1])  # BGR


@pytest.fixture
def package():
    return pytest.importorskip('imagecorruptions')


@pytest.mark.parametrize('name', CORRUPTIONS)
def test_every_corruption_at_every_severity(name, picture, package):
    results = dict(img=picture, img_shape=picture.shape[:2], gt='untouched')
    before, strengths = picture.copy(), []
    for severity in range(1, 6):
        transform = TRANSFORMS.build(dict(type='mmups.Corrupt', corruption=name,
                                          severity=severity))
        out = transform(results)
        np.random.rand(7)
        again = Corrupt(name, severity)(dict(results))
        assert (out['img'] == again['img']).all() and out['gt'] == 'untouched'
        assert out['img'].shape == picture.shape and out['img'].dtype == np.uint8
        assert out['img'].flags['C_CONTIGUOUS']
        assert (results['img'] == before).all()
        strengths.append(np.abs(out['img'].astype(float) - picture).mean())
    assert strengths[0] > 1
    # but for frost, which draws another of six pictures
    assert name == 'frost' or strengths[4] > 1.2 * strengths[0]


@pytest.mark.parametrize('name', ['gaussian_noise', 'fog', 'jpeg_compression'])
def test_the_order_of_channels_changes_nothing(name, picture, package):
    corrupt = Corrupt(name, 3)
    rgb = corrupt(dict(img=np.ascontiguousarray(picture[..., ::-1]), channel_order='rgb'))['img']
    assert (rgb[..., ::-1] == corrupt(dict(img=picture))['img']).all()


def test_the_names_are_the_package_s(package):
    assert list(CORRUPTIONS) == package.get_corruption_names('common')


def test_channels_are_turned(picture, package):
    """JPEG knows red from blue: corrupting RGB and turning it is what is done."""
    np.random.seed(0)
    expected = package.corrupt(np.ascontiguousarray(picture[..., ::-1]), severity=3,
                               corruption_name='jpeg_compression')[..., ::-1]
    assert (Corrupt('jpeg_compression', 3)(dict(img=picture))['img'] == expected).all()
    wrong = package.corrupt(picture, severity=3, corruption_name='jpeg_compression')
    assert (wrong != expected).any()


def test_random_numbers_of_others_stay(picture, package):
    np.random.seed(5)
    expected = np.random.rand(3)
    np.random.seed(5)
    Corrupt('gaussian_noise', 2)(dict(img=picture))
    assert (np.random.rand(3) == expected).all()


@pytest.mark.parametrize('arguments, words', [
    (('rain', 1), "no corruption 'rain'.*gaussian_noise"),
    (('fog', 0), 'severity must be 1, 2, 3, 4 or 5, got 0'),
    (('fog', 2.5), 'severity'),
])
def test_wrong_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        Corrupt(*arguments)


def test_wrong_images(package):
    transform = Corrupt('fog', 1)
    with pytest.raises(ValueError, match='uint8 before normalisation.*float32'):
        transform(dict(img=np.zeros((40, 40, 3), np.float32)))
    with pytest.raises(ValueError, match='32 pixels and more, got 50 x 20'):
        transform(dict(img=np.zeros((20, 50, 3), np.uint8)))


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'imagecorruptions', None)
    with pytest.raises(ImportError, match=r'imagecorruptions-imaug: pip install "mmups.corrup'):
        Corrupt('fog', 1)

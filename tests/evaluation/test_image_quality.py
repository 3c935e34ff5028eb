"""PSNR and SSIM against scikit-image and loops."""
import math

import numpy as np
import pytest
import torch
from mmengine.registry import METRICS
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmups.evaluation import PSNR, SSIM, psnr, round_to_8_bit, ssim

SKIMAGE_SSIM = dict(channel_axis=0, data_range=1., gaussian_weights=True, sigma=1.5,
                    use_sample_covariance=False)


@pytest.fixture
def pair():
    """A smooth image (3, 40, 33) and the same with noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:40, :33] / 40
    truth = np.stack([x * y, np.sin(7 * x) / 2 + 0.5, (x + y) / 2])
    return np.clip(truth + rng.normal(0, 0.1, truth.shape), 0, 1), truth


def tensors(pair):
    return [torch.from_numpy(image) for image in pair]


def test_psnr_is_scikit_images(pair):
    metrics = pytest.importorskip('skimage.metrics')
    expected = metrics.peak_signal_noise_ratio(*pair[::-1], data_range=1)
    assert psnr(*tensors(pair)).item() == pytest.approx(expected, abs=1e-9)


def test_ssim_is_scikit_images(pair):
    metrics = pytest.importorskip('skimage.metrics')
    expected = metrics.structural_similarity(*pair, **SKIMAGE_SSIM)
    assert 0.1 < expected < 0.9
    assert ssim(*tensors(pair)).item() == pytest.approx(expected, abs=1e-9)


def test_ssim_by_hand():
    """One window, its weights written out."""
    rng = np.random.default_rng(1)
    a, b = rng.random((2, 11, 11))
    weights = np.array([[math.exp(-((i - 5)**2 + (j - 5)**2) / 4.5) for j in range(11)]
                        for i in range(11)])
    weights /= weights.sum()
    mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
    var_a, var_b = (weights * (a - mean_a)**2).sum(), (weights * (b - mean_b)**2).sum()
    cov = (weights * (a - mean_a) * (b - mean_b)).sum()
    expected = ((2 * mean_a * mean_b + 1e-4) * (2 * cov + 9e-4)
                / ((mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4)))
    images = [torch.from_numpy(image)[None] for image in (a, b)]
    assert ssim(*images).item() == pytest.approx(expected, abs=1e-12)


def test_batches_and_precisions(pair):
    """Each image counts by itself; half precision is compared in full."""
    image, truth = tensors(pair)
    both = torch.stack([image, truth]), torch.stack([truth, truth])
    for measure, perfect in ((psnr, math.inf), (ssim, 1.)):
        values = measure(*both)
        assert values.tolist() == pytest.approx([measure(image, truth).item(), perfect])
        half = measure(image.half(), truth.half())
        assert half.dtype == torch.float64
        assert half.item() == pytest.approx(values[0].item(), rel=1e-2)


def test_ssim_has_a_gradient(pair):
    image, truth = tensors(pair)
    ssim(image.requires_grad_(), truth).backward()
    assert image.grad.isfinite().all() and image.grad.any()


def test_rounding():
    values = torch.tensor([-0.3, 0.4 / 255, 0.6 / 255, 254.6 / 255, 1.2])
    assert (round_to_8_bit(values) * 255).tolist() == pytest.approx([0, 0, 1, 255, 255])


@pytest.mark.parametrize('measure', [psnr, ssim], ids=['psnr', 'ssim'])
def test_bad_images(measure):
    image = torch.rand(3, 16, 16)
    for other in (torch.rand(3, 16, 17), torch.rand(1, 16, 16), torch.rand(2, 3, 16, 16)):
        with pytest.raises(ValueError, match=r'\(3, 16, 16\)'):
            measure(image, other)
    with pytest.raises(ValueError, match='uint8; divide'):
        measure(image, torch.zeros(3, 16, 16, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r'\(3, 0, 16\)'):
        measure(torch.rand(3, 0, 16), torch.rand(3, 0, 16))
    with pytest.raises(ValueError, match='10 x 16'):
        ssim(torch.rand(3, 10, 16), torch.rand(3, 10, 16))


def sample_of(image: Tensor, truth: Tensor) -> dict:
    sample = BaseDataElement(metainfo=dict(img_path='a.png'), gt_img=truth)
    sample.pred_img = image
    return sample.to_dict()


class TestMetrics:

    def samples(self):
        torch.manual_seed(0)
        truths = torch.randint(0, 256, (3, 3, 16, 20), dtype=torch.uint8)
        return [sample_of((truth / 255 + 0.1 * torch.randn(3, 16, 20)).clamp(0, 1), truth)
                for truth in truths]

    @pytest.mark.parametrize('name, measure', [('PSNR', psnr), ('SSIM', ssim)],
                             ids=['PSNR', 'SSIM'])
    def test_mean_over_images(self, name, measure):
        """In one process and in several batches; of predictions as files would have them."""
        samples = self.samples()
        expected = []
        for sample in samples:
            written = (sample['pred_img'] * 255).round().to(torch.uint8)
            expected.append(measure(written.double() / 255, sample['gt_img'].double() / 255))
        metric = METRICS.build(dict(type=f'mmups.{name}'))
        for batch in (samples[:2], samples[2:]):
            metric.process({}, batch)
        result = metric.evaluate(3)
        assert result == {name: pytest.approx(np.mean(expected), abs=1e-9)}
        metric = METRICS.build(dict(type=f'mmups.{name}', rounded=False))
        metric.process({}, samples)
        unrounded = metric.evaluate(3)[name]
        assert unrounded != pytest.approx(result[name], abs=1e-9)
        assert unrounded == pytest.approx(result[name], abs=1e-2)

    @pytest.mark.parametrize('metric', [PSNR, SSIM], ids=['PSNR', 'SSIM'])
    def test_perfect(self, metric):
        truth = torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8)
        metric = metric()
        metric.process({}, [sample_of(truth / 255, truth)])
        assert list(metric.evaluate(1).values()) == [math.inf if 'PSNR' in repr(metric) else 1]

    def test_bad_samples(self):
        sample = self.samples()[0]
        for key in ('pred_img', 'gt_img'):
            with pytest.raises(ValueError, match=f"'a.png'.*no {key}"):
                PSNR().process({}, [{name: sample[name] for name in sample if name != key}])
        with pytest.raises(ValueError, match=r"'a.png'.*\(3, 16, 20\) and \(3, 16, 16\)"):
            PSNR().process({}, [dict(sample, gt_img=sample['gt_img'][..., :16])])

"""The model around restoration networks, with a convolution in their place."""
import math

import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement
from torch import nn


class Doubler(nn.Module):
    """Twice the image: leaves [0, 1]."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(2.))

    def forward(self, images):
        return self.factor * images


@pytest.fixture
def restorer():
    def build(generator=Doubler, **kwargs):
        return MODELS.build(dict(type='mmups.ImageRestorer', generator=dict(type=generator),
                                 **kwargs))
    return build


def batch(count=2, size=(13, 21)):
    """As mmengine's loaders collate it."""
    torch.manual_seed(0)
    return dict(
        inputs=list(torch.randint(0, 256, (count, 3, *size), dtype=torch.uint8)),
        data_samples=[
            BaseDataElement(metainfo=dict(img_path=f'{k}.png', ori_shape=size),
                            gt_img=torch.randint(0, 256, (3, *size), dtype=torch.uint8))
            for k in range(count)])


def numpy_of(images):
    return torch.stack(list(images)).double().numpy() / 255


def test_inputs_go_from_0_to_1(restorer):
    """Without padding, in the order of channels in which they came; the truth stays beside."""
    model, data = restorer(), batch()
    out = model.data_preprocessor(data, False)
    assert out['inputs'].shape == (2, 3, 13, 21) and out['inputs'].dtype == torch.float32
    np.testing.assert_allclose(out['inputs'], numpy_of(data['inputs']), atol=1e-7)
    for before, after in zip(data['data_samples'], out['data_samples']):
        assert after.gt_img.dtype == torch.uint8 and (after.gt_img == before.gt_img).all()


def test_a_batch_has_one_size(restorer):
    data = batch()
    data['inputs'][1] = data['inputs'][1][:, :-1]
    with pytest.raises(ValueError, match=r'\(3, 13, 21\), \(3, 12, 21\).*PairedRandomCrop'):
        restorer().data_preprocessor(data, True)
    with pytest.raises(ValueError, match=r'\(1, 13, 21\)'):
        restorer().data_preprocessor(dict(inputs=[data['inputs'][0][:1]], data_samples=[]), True)


def test_tensor_is_not_clamped(restorer):
    model = restorer()
    data = model.data_preprocessor(batch(), False)
    output = model(**data)
    assert output.max() > 1.9
    assert torch.equal(output, 2 * data['inputs'])


def test_predictions_are_clamped(restorer):
    model = restorer().eval()
    samples = model.test_step(batch())
    images = numpy_of(batch()['inputs'])
    assert [sample.img_path for sample in samples] == ['0.png', '1.png']
    for sample, image in zip(samples, images):
        assert sample.pred_img.dtype == torch.float32
        np.testing.assert_allclose(sample.pred_img.detach(), np.minimum(2 * image, 1), atol=1e-6)
        assert sample.gt_img.dtype == torch.uint8


def test_predicts_without_samples(restorer):
    model = restorer()
    data = model.data_preprocessor(dict(inputs=batch()['inputs']), False)
    predicted = model(data['inputs'], mode='predict')
    assert [sample.pred_img.shape for sample in predicted] == [(3, 13, 21)] * 2


def losses_of(name):
    images, truths = (numpy_of(part) for part in (
        batch()['inputs'], [sample.gt_img for sample in batch()['data_samples']]))
    errors = 2 * images - truths
    if name == 'L1Loss':
        return np.abs(errors).mean()
    if name == 'MSELoss':
        return (errors**2).mean()
    return np.mean([10 * math.log10((error**2).mean() + 1e-8) for error in errors])


@pytest.mark.parametrize('name', [None, 'PSNRLoss', 'L1Loss', 'MSELoss'])
def test_loss(restorer, name):
    """The formula in NumPy; a mean over images, not of their errors, in the PSNR loss."""
    model = restorer(**({} if name is None else dict(pixel_loss=dict(type=f'mmups.{name}'))))
    losses = model(**model.data_preprocessor(batch(), True), mode='loss')
    assert list(losses) == ['loss']
    assert losses['loss'].item() == pytest.approx(losses_of(name), rel=1e-5)
    losses['loss'].backward()
    assert model.generator.factor.grad.abs() > 0


def test_psnr_loss_of_a_perfect_output(restorer):
    """Is finite and has a gradient."""
    model = restorer(nn.Identity)
    image = torch.rand(1, 3, 4, 4, requires_grad=True)
    loss = model.pixel_loss(image, image.detach())
    loss.backward()
    assert loss.item() == pytest.approx(-80, abs=1e-4) and image.grad.isfinite().all()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
def test_half_precision(restorer, dtype):
    """Weights in half precision: so are outputs, while losses and predictions are float32."""
    model = restorer().to(dtype)
    data = model.data_preprocessor(batch(), True)
    assert data['inputs'].dtype == torch.float32
    assert model(**data).dtype == dtype
    loss = model(**data, mode='loss')['loss']
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(losses_of('PSNRLoss'), rel=2e-2, abs=2e-2)
    assert model(**data, mode='predict')[0].pred_img.dtype == torch.float32


def test_learns(restorer):
    """One step of mmengine's goes towards the truth."""
    model = restorer(pixel_loss=dict(type='mmups.MSELoss'))
    data = batch()
    for image, sample in zip(data['inputs'], data['data_samples']):
        sample.gt_img = image
    optim = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    model.train_step(data, optim)
    assert 1 < model.generator.factor < 2


def test_bad_calls(restorer):
    model = restorer()
    data = model.data_preprocessor(batch(), True)
    with pytest.raises(ValueError, match="'tensor', 'loss' or 'predict', got 'test'"):
        model(**data, mode='test')
    with pytest.raises(ValueError, match='2 images need as many samples, got 0'):
        model(data['inputs'], mode='loss')
    with pytest.raises(ValueError, match='got 1'):
        model(data['inputs'], data['data_samples'][:1], mode='predict')
    data['data_samples'][1].gt_img = torch.zeros(3, 13, 20, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"\(3, 13, 21\).*'1.png' is \(3, 13, 20\)"):
        model(**data, mode='loss')
    del data['data_samples'][1].gt_img
    with pytest.raises(ValueError, match="'1.png' is none"):
        model(**data, mode='loss')

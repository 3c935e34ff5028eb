# A shaking camera.
# Made by: python tools/dataset_converters/photos.py blur data/photo_blur
_base_ = './photo_noise.py'
data_root = 'data/photo_blur/'
train_dataloader = dict(
    dataset=dict(data_root=data_root, data_prefix=dict(img='train/blur', gt='train/sharp')))
val_dataloader = dict(
    dataset=dict(data_root=data_root, data_prefix=dict(img='test/blur', gt='test/sharp')))
test_dataloader = val_dataloader

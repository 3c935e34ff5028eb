# Restormer as it is published for motion deblurring.
model = dict(
    type='mmups.ImageRestorer',
    generator=dict(type='mmups.Restormer'),
    pixel_loss=dict(type='mmups.L1Loss'))

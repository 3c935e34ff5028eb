# Small enough to learn on a CPU: 438,387 parameters with the network's own upsampling.
model = dict(
    type='mmups.ImageRestorer',
    generator=dict(
        type='mmups.NAFNet', mid_channels=16, middle_blk_num=2, enc_blk_nums=[1, 1, 2],
        dec_blk_nums=[1, 1, 1]),
    pixel_loss=dict(type='mmups.PSNRLoss'))

# NAFNet of width 64, whose channel attention has local means in images larger than its patches.
model = dict(
    type='mmups.ImageRestorer',
    generator=dict(
        type='mmups.NAFNetLocal', mid_channels=64, middle_blk_num=1, enc_blk_nums=[1, 1, 1, 28],
        dec_blk_nums=[1, 1, 1, 1], train_size=(1, 3, 256, 256)),
    pixel_loss=dict(type='mmups.PSNRLoss'))

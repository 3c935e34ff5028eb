# Bilinear interpolation, the baseline of segmentors.
upsampler = dict(type='Interpolate', mode='bilinear')

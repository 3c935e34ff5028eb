# Nearest-neighbour interpolation, the baseline of detectors.
upsampler = dict(type='Interpolate', mode='nearest')

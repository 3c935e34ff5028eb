# The spectrum padded with zeros: ideal low-pass interpolation, the baseline without aliases.
upsampler = dict(type='FFTUpsample')

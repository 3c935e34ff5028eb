# BOA-Restormer: the mean of the phases without aliases, and what they have beyond it.
upsampler = dict(type='FreqAvgUp')

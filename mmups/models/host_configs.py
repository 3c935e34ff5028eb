"""What has to be known of the hosts' configs beyond their classes with slots."""

#: Classes of the hosts that upsample and have no slot, and why.
REFUSED = {
    'mmdet.CoarseMaskHead': 'nothing to swap: it upsamples no features',
    'mmdet.GridHead': 'its transposed convolutions are grouped, one group per grid point, and '
                      'change the channels',
    'mmdet.PointRendRoIHead': 'it upsamples mask logits between refinements, no features',
    'mmdet.SABLHead': 'its transposed convolutions are one-dimensional',
    'mmseg.PointHead': 'it upsamples logits between refinements, no features',
}
#: Keys whose values a constructor may read from a disk or a server, and sizes do not depend on.
WEIGHTS = ('pretrained', 'checkpoint', 'checkpoint_path')
#: Key of a backbone that says the only size of an image that it takes.
ONLY_SIZE = 'img_size'


def is_frozen(location: tuple) -> bool:
    """Whether a part of a model is not trained, by the keys that lead to it: ``teacher_neck``."""
    return any('teacher' in str(key).split('_') for key in location)

"""Class names and palettes of DigitScenes: the order of its labels in every task.

Semantic labels put stuff first, panoptic labels things first (as mmdet wants them).
"""
STUFF = ('brick', 'grass', 'gravel', 'photo')
#: Settings of the data set: its number of semantic classes -> its things. With one thing class all
#: digits are one; with ten each digit is its own.
THINGS = {5: ('digit', ), 14: tuple('0123456789')}

STUFF_PALETTE = [(178, 84, 62), (96, 160, 64), (140, 140, 150), (70, 110, 190)]
THING_PALETTE = {
    5: [(255, 214, 10)],
    14: [(230, 25, 75), (60, 220, 90), (255, 225, 25), (0, 40, 230), (245, 130, 48),
         (145, 30, 180), (70, 240, 240), (240, 50, 230), (210, 245, 60), (250, 190, 212)],
}


def things_of(classes: int) -> tuple:
    """Thing classes of the setting with ``classes`` semantic classes.

    Raises:
        ValueError: No such setting.
    """
    if classes not in THINGS:
        raise ValueError(f'classes must be 5 (all digits are one class) or 14 (each digit is a '
                         f'class), got {classes=}')
    return THINGS[classes]


def thing_label(digit: int, classes: int) -> int:
    """Index of a digit, 0 to 9, among the thing classes."""
    return digit if len(things_of(classes)) > 1 else 0


def seg_metainfo(classes: int) -> dict:
    """Names and colours by semantic label: stuff, then things."""
    return dict(classes=STUFF + things_of(classes), palette=STUFF_PALETTE + THING_PALETTE[classes])


def det_metainfo(classes: int) -> dict:
    """Names and colours by detection label."""
    return dict(classes=things_of(classes), palette=THING_PALETTE[classes])


def panoptic_metainfo(classes: int) -> dict:
    """Names and colours by panoptic label: things, then stuff."""
    things = things_of(classes)
    return dict(classes=things + STUFF, thing_classes=things, stuff_classes=STUFF,
                palette=THING_PALETTE[classes] + STUFF_PALETTE)

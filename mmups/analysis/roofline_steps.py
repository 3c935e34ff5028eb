"""The steps of which upsamplers are made: multiply-adds and bytes of one pass over memory.

Dimension letters: N batch, C channels, s scale, K window size, G groups, P points, k kernel size.
"""
from dataclasses import dataclass

from torch import Tensor

FLOAT32 = 4  # bytes; offsets, windows and logits are float32 at any precision of the maps


@dataclass(frozen=True)
class GPU:
    """A GPU by its vendor's figures.

    Attributes:
        name: Of the product.
        bandwidth: Bytes per second from and to memory.
        vector: Multiply-adds per second in float32, outside of matrix units.
        matrix: Multiply-adds per second in bfloat16 in matrix units, dense.
    """
    name: str
    bandwidth: float
    vector: float
    matrix: float


@dataclass(frozen=True)
class Maps:
    """A coarse map and a guide of as many channels, at twice its height and width.

    Attributes:
        batch, channels, height, width: Of the coarse map.
        element: Bytes of a number, 4 for float32, 2 for half precision.

    Raises:
        ValueError: A size is not positive.
    """
    batch: int
    channels: int
    height: int
    width: int
    element: int = FLOAT32

    def __post_init__(self):
        sizes = self.batch, self.channels, self.height, self.width
        if min(sizes) < 1:
            raise ValueError('batch, channels, height and width must be 1 or more, got '
                             f'{", ".join(map(str, sizes))}')

    @property
    def coarse(self) -> int:
        """Pixels of the coarse map, of all images."""
        return self.batch * self.height * self.width

    @property
    def fine(self) -> int:
        """Pixels of the output, of all images."""
        return 4 * self.coarse

    @property
    def through(self) -> int:
        """Bytes of reading the map and writing the output."""
        return self.element * self.channels * (self.coarse + self.fine)


    @property
    def through_fine(self) -> int:
        """Bytes of reading a map of the output's size and writing the output."""
        return 2 * self.element * self.channels * self.fine


@dataclass(frozen=True)
class Step:
    """One pass over memory.

    Attributes:
        name: What it does.
        macs: Multiply-adds.
        bytes: Read and written.
        dense: Whether matrix units can do it: a convolution that sums over channels.
    """
    name: str
    macs: float
    bytes: float
    dense: bool = False

    def seconds(self, gpu: GPU, element: int) -> float:
        """On a GPU, with numbers of ``element`` bytes; in float32 without matrix units."""
        rate = gpu.matrix if self.dense and element < FLOAT32 else gpu.vector
        return max(self.bytes / gpu.bandwidth, self.macs / rate)


# --- the operators of mmups.ops ------------------------------------------------------------------


def bilinear(maps: Maps) -> Step:
    """Bilinear interpolation by PyTorch, what all the others are compared with."""
    return Step('bilinear interpolation', 4 * maps.channels * maps.fine, maps.through)


def nearest(maps: Maps) -> Step:
    """A copy counts as one multiply-add, as mmengine counts it."""
    return Step('nearest neighbours', maps.channels * maps.fine, maps.through)


def sample_dynamic(maps: Maps, groups: int, scale_factor: int = 2) -> Step:
    """Four neighbours of each sampled number; two coordinates per point and group. With
    ``scale_factor=1`` the map that is sampled is as fine as the output."""
    through = maps.through if scale_factor == 2 else maps.through_fine
    return Step('sampling', 4 * maps.channels * maps.fine,
                through + FLOAT32 * 2 * groups * maps.fine)


def reassemble(maps: Maps, kernel_size: int, groups: int = 1) -> Step:
    """K*K taps for each number of the output; K*K weights per fine pixel and group."""
    taps = kernel_size**2
    return Step('reassembly', taps * maps.channels * maps.fine,
                maps.through + FLOAT32 * groups * taps * maps.fine)


def sharpen(maps: Maps, kernel_size: int) -> Step:
    """A fine map less its reassembly at its own size, K*K taps per number, from twice itself."""
    taps, numbers = kernel_size**2, maps.channels * maps.fine
    return Step('reassembly', (taps + 1) * numbers,
                5 * maps.element * numbers + FLOAT32 * taps * maps.fine)


def query_key(maps: Maps, kernel_size: int, embedding: int) -> Step:
    """K*K inner products of ``embedding`` numbers per fine pixel."""
    taps = kernel_size**2
    return Step('queries and keys', taps * embedding * maps.fine,
                maps.element * embedding * (maps.coarse + maps.fine) + FLOAT32 * taps * maps.fine)


def clamped_attention(maps: Maps, kernel_size: int, groups: int, embedding: int) -> Step:
    """K*K inner products per fine pixel, and as many taps for each number of the output."""
    taps = kernel_size**2
    return Step('attention', taps * (embedding + maps.channels) * maps.fine,
                maps.through + FLOAT32 * embedding * (maps.coarse + maps.fine))


def deform_query_key(maps: Maps, points: int, groups: int, embeddings: int) -> Step:
    """P sampled keys (4) and their products (1) with the query; ``embeddings`` in all groups."""
    return Step('queries and moving keys', 5 * points * embeddings * maps.fine,
                maps.element * embeddings * (maps.coarse + maps.fine)
                + FLOAT32 * 3 * groups * points * maps.fine)


def deform_attend(maps: Maps, points: int, groups: int) -> Step:
    """P sampled values (4), weighted (1); per point and group two coordinates and a weight."""
    return Step('moving reassembly', 5 * points * maps.channels * maps.fine,
                maps.through + FLOAT32 * 3 * groups * points * maps.fine)


def attend_neighbours(maps: Maps, taps: int) -> Step:
    """P samples (4), weighted (1); a weight each. Where the ratio of sizes is whole, they are one
    window of 25 weights for 9 samples: the multiply-adds are those of other ratios, and an export.
    """
    return Step('neighbours', 5 * taps * maps.channels * maps.fine,
                maps.through + FLOAT32 * taps * maps.fine)


def depthwise_transposed(maps: Maps, kernel_size: int) -> Step:
    """k*k products for each coarse number."""
    weights = maps.channels * kernel_size**2
    return Step('depthwise transposed convolution', weights * maps.coarse,
                maps.through + maps.element * weights)


# --- PyTorch's, around them ----------------------------------------------------------------------


def convolution(maps: Maps, weight: Tensor, inputs: int, outputs: int, groups: int = 1) -> Step:
    """From ``inputs`` to ``outputs`` pixels; transposed too where it keeps the channels."""
    out_channels, in_channels = len(weight), weight.shape[1] * groups
    numbers = inputs * in_channels + outputs * out_channels + weight.numel()
    return Step('convolution', min(inputs, outputs) * weight.numel(), maps.element * numbers,
                dense=groups == 1)


def matrix_product(maps: Maps, inputs: int, outputs: int, taps: int) -> Step:
    """Rows or columns of a map times a matrix, ``taps`` products per number of the output; in
    float32 at any precision of the maps."""
    return Step('matrix product', taps * maps.channels * outputs,
                FLOAT32 * maps.channels * (inputs + outputs))


def elementwise(name: str, numbers: float, macs: float = 0, element: int = FLOAT32) -> Step:
    """``numbers``: all that is read and written."""
    return Step(name, macs, element * numbers)

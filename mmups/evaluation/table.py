"""Tables of metrics for the log."""
from collections.abc import Iterable, Sequence


def format_table(columns: Sequence[str], rows: Iterable[tuple[str, Sequence[float]]],
                 digits: int = 2) -> str:
    """Rows of a name and a number for each of the columns, with so many decimals."""
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0)
    widths = [max(8, len(column) + 2) for column in columns]
    lines = [' ' * width + ''.join(f'{column:>{w}}' for column, w in zip(columns, widths))]
    lines += [f'{name:<{width}}' + ''.join(f'{value:{w}.{digits}f}'
                                           for value, w in zip(values, widths))
              for name, values in rows]
    return '\n'.join(lines)

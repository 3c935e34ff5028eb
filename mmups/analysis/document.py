"""A report as Markdown, as one page of HTML, and its tables for LaTeX."""
import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Union

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 0 1rem 3rem;
       color: #1a1a1a; background: #fff; }
h1 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
nav { font-size: .9rem; } nav a { margin-right: 1rem; }
.wide { overflow-x: auto; } p, li { overflow-wrap: anywhere; max-width: 48rem; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid #ddd; text-align: left;
         vertical-align: top; white-space: nowrap; }
td.text { white-space: normal; min-width: 14rem; }
thead th { border-bottom: 2px solid #888; vertical-align: bottom; }
tbody th { font-weight: 600; position: sticky; left: 0; background: #fff; }
figcaption { font-size: .9rem; color: #444; padding: .4rem 0; max-width: 53rem; }
figure { margin: 1.5rem 0; } img { max-width: 100%; min-width: min(100%, 44rem); height: auto; }
@media (max-width: 44rem) { img { max-width: none; width: 44rem; } }
@page { size: landscape; margin: 12mm; }
@media print { body { max-width: none; font-size: 10pt; padding: 0; } nav { display: none; }
  h2 { break-after: avoid; } .wide { overflow: visible; }
  img { min-width: 0; width: auto; max-width: 100%; max-height: 140mm; }
  figure, tr { break-inside: avoid; } table { font-size: 7pt; }
  th, td { padding: 1px 4px; white-space: normal; } tbody th { position: static; } }
"""


@dataclass(frozen=True)
class Heading:
    """Of a section; the first of a document is its title."""
    text: str
    level: int = 2

    @property
    def anchor(self) -> str:
        return re.sub(r'\W+', '-', self.text.lower()).strip('-')

    def markdown(self) -> str:
        return f'{"#" * self.level} {_plain(self.text)}'

    def html(self, folder: Path) -> str:
        return f'<h{self.level} id="{self.anchor}">{escape(self.text)}</h{self.level}>'


@dataclass(frozen=True)
class Paragraph:
    """Text."""
    text: str

    def markdown(self) -> str:
        return _plain(self.text)

    def html(self, folder: Path) -> str:
        return f'<p>{escape(self.text)}</p>'


@dataclass(frozen=True)
class Listing:
    """Items."""
    items: Sequence[str]

    def markdown(self) -> str:
        return '\n'.join(f'- {_plain(item)}' for item in self.items)

    def html(self, folder: Path) -> str:
        return f'<ul>{"".join(f"<li>{escape(item)}</li>" for item in self.items)}</ul>'


@dataclass(frozen=True)
class Table:
    """Cells of text; the first of a row says what the row is about."""
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str

    def markdown(self) -> str:
        lines = [self.head, ['---'] * len(self.head), *self.rows]
        table = [f'| {" | ".join(map(_plain, cells))} |' for cells in lines]
        return '\n'.join([_plain(self.caption), '', *table])

    def html(self, folder: Path) -> str:
        head = ''.join(f'<th scope="col">{escape(cell)}</th>' for cell in self.head)
        body = ''.join(f'<tr><th scope="row">{escape(first)}</th>{"".join(map(_cell, cells))}</tr>'
                       for first, *cells in self.rows)
        return (f'<figure><figcaption>{escape(self.caption)}</figcaption><div class="wide"><table>'
                f'<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></figure>')

    def latex(self) -> str:
        """A ``tabular`` for the package booktabs."""
        head, *rows = (' & '.join(map(_latex, cells)) + r' \\' for cells in (self.head, *self.rows))
        return '\n'.join([r'\begin{tabular}{' + 'l' * len(self.head) + '}', r'\toprule', head,
                          r'\midrule', *rows, r'\bottomrule', r'\end{tabular}', ''])


@dataclass(frozen=True)
class Picture:
    """A PNG file, by its path beneath the document."""
    path: str
    caption: str

    def markdown(self) -> str:
        return f'![{_plain(self.caption)}]({self.path})\n\n{_plain(self.caption)}'

    def html(self, folder: Path) -> str:
        content = base64.b64encode((folder / self.path).read_bytes()).decode()
        caption = escape(self.caption)
        return (f'<figure><div class="wide"><img src="data:image/png;base64,{content}" '
                f'alt="{caption}"></div><figcaption>{caption}</figcaption></figure>')


Block = Union[Heading, Paragraph, Listing, Table, Picture]


def to_markdown(blocks: Iterable[Block]) -> str:
    """The whole document; pictures by their paths."""
    return '\n\n'.join(block.markdown() for block in blocks) + '\n'


def to_html(blocks: Sequence[Block], folder: Path) -> str:
    """The whole document as one file, with its pictures inside.

    Args:
        blocks: The first is the title.
        folder: Where the paths of pictures start.
    """
    title, *rest = blocks
    links = ''.join(f'<a href="#{block.anchor}">{escape(block.text)}</a> ' for block in rest
                    if isinstance(block, Heading))
    body = '\n'.join([title.html(folder), f'<nav>{links}</nav>',
                      *(block.html(folder) for block in rest)])
    return ('<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<title>{escape(title.text)}</title>\n<style>{STYLE}</style>\n</head>\n'
            f'<body>\n{body}\n</body>\n</html>\n')


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r'([\\`*|<])', r'\\\1', text)


def _cell(text: str) -> str:
    """Sentences may break into lines; on paper numbers may, but before an interval only."""
    kind = ' class="text"' if len(text) > 40 else ''
    text = re.sub(r' (?=[±○])|(?<=±) |(?<=\d,) (?=[-+])', '\xa0', text)
    return f'<td{kind}>{escape(text)}</td>'


LATEX = {'\\': r'\textbackslash{}', '~': r'\textasciitilde{}', '^': r'\textasciicircum{}',
         **{character: f'\\{character}' for character in '&%$#_{}'},
         # After the end of a row LaTeX takes a bracket or a star for an argument.
         '[': '{[}', ']': '{]}', '*': '{*}', '<': '$<$', '>': '$>$', '|': '$|$',
         '±': r'$\pm$', '×': r'$\times$', '–': '--', '↑': r'$\uparrow$', '↓': r'$\downarrow$',
         '○': r'$\circ$'}


def _latex(text: str) -> str:
    text = ''.join(LATEX.get(character, character) for character in text)
    return re.sub(r'(?<![\w-])-(?=\d)', '$-$', text)

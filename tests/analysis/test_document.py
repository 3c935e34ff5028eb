"""A report in Markdown, HTML and LaTeX."""
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from mmups.analysis.document import (
    Heading,
    Listing,
    Paragraph,
    Picture,
    Table,
    to_html,
    to_markdown,
)

NASTY = r'a|b_c <i> & "q" %$#{~^\}*[x] `c`'
TABLE = Table(['name', NASTY], [['[x]', '+1.00 [-2.00, +3.00] ○'], ['lctc-11-3', '× 1.2']],
              'A < caption')
LATEX = r'''\begin{tabular}{ll}
\toprule
name & a$|$b\_c $<$i$>$ \& "q" \%\$\#\{\textasciitilde{}\textasciicircum{}\textbackslash{}\}{*}''' \
    r'''{[}x{]} `c` \\
\midrule
{[}x{]} & +1.00 {[}$-$2.00, +3.00{]} $\circ$ \\
lctc-11-3 & $\times$ 1.2 \\
\bottomrule
\end{tabular}
'''


class Text(HTMLParser):
    """The text of each tag, and the tags."""

    def __init__(self):
        super().__init__()
        self.tags, self.text = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text.append(data)


def test_markdown():
    text = to_markdown([Heading('Title', 1), Heading('Part'), Paragraph('2 < 3'),
                        Listing(['one', 'two']), TABLE, Picture('figures/a.png', 'Caption')])
    assert text.startswith('# Title\n\n## Part\n\n2 \\< 3\n\n- one\n- two\n\n'
                           'A \\< caption\n\n| name')
    assert text.endswith('![Caption](figures/a.png)\n\nCaption\n')
    rows = [line for line in text.splitlines() if line.startswith('|')]
    assert len(rows) == 4
    assert all(len(re.findall(r'(?<!\\)\|', row)) == 3 for row in rows)


def test_html_shows_text_as_it_is(tmp_path):
    page = to_html([Heading('Title', 1), Heading('Part & more'), Paragraph(NASTY), TABLE], tmp_path)
    parser = Text()
    parser.feed(page)
    assert parser.text.count(NASTY) == 2 and 'A < caption' in parser.text
    assert 'i' not in parser.tags
    assert '<a href="#part-more">' in page and '<h2 id="part-more">' in page


def test_latex():
    assert TABLE.latex() == LATEX


@pytest.mark.skipif(not shutil.which('pdflatex'), reason='pdflatex is not installed')
def test_latex_compiles(tmp_path):
    (tmp_path / 'a.tex').write_text(
        '\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n'
        f'{TABLE.latex()}\\end{{document}}\n', encoding='utf-8')
    subprocess.run(['pdflatex', '-interaction=nonstopmode', '-halt-on-error', 'a.tex'],
                   cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / 'a.pdf').stat().st_size > 1000

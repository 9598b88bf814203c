"""The report page: complete, inert whatever names say, and in need of nothing else."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser

import pytest

import snncompile as sc
from snncompile.diagnostics import Diagnostic
from snncompile.ir.ops import Input, Output
from snncompile.ir.populations import Neuron
from snncompile.report.html import MAX_DRAWN, page, summary
from snncompile.report.steps import error, percent, size
from tests.nets import relay, small, spikes

VOID = {"meta", "br", "img", "link", "input", "hr"}
HOSTILE = ['<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "</title></svg></style><b>", "a' onload='x",
           "{{ 7 * 7 }}", "\x1b[31m\u202e\x00", "]]>&lt;"]


class Page(HTMLParser):
    """What a browser would see: tags with attributes, text by table row, and whether tags are balanced."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.open, self.rows, self.words = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def model():
    return sc.compile(small(), calibration=spikes(), labels=[0, 1, 2, 0, 1], weight_bits=5)


@pytest.fixture(scope="module")
def found(model):
    return Page(page(model))


def row(found: Page, first: str) -> list[str]:
    return next(r for r in found.rows if r and r[0] == first)


def measured(found: Page, name: str) -> list[str]:
    """The cells of a population in the table of what was measured, which has six columns."""
    return next(r for r in found.rows if len(r) == 6 and r[0] == name)[1:]


def steps(found: Page) -> list[list[str]]:
    """The rows of the table of steps, which is that with the heading `figures`."""
    begin = found.rows.index(["step", "result", "figures"]) + 1
    return list(itertools.takewhile(lambda r: len(r) == 3, found.rows[begin:]))


def test_every_population_has_a_row_with_its_figures(model, found):
    for p in model.report.populations:
        cells = row(found, p.name)
        low, high = p.state_range["v"]
        assert cells[1:6] == [p.rule, str(p.neurons), str(p.neurons), str(p.synapses), str(p.weight_bits)]
        assert cells[7] == f"v: {p.state_bits['v']} bits, {low:,} to {high:,}".replace("-", "−")
        assert measured(found, p.name) == [f"{p.rate:.3g}", percent(p.spikes_equal), percent(p.spikes_shared),
                                           percent(p.counts_shared), "–"]
    assert row(found, "all")[3:5] == ["11", "136"]


def test_the_line_stands(found):
    assert [r[0] for r in steps(found)] == [
        "read", "legalize", "calibrate", "quantize", "ranges", "compare", "accuracy", "emit"]
    assert row(found, "read")[2] == "3 layers with 136 weights, 2 populations"


def test_agreement_memory_files_and_options_are_there(model, found):
    agreement = model.report.agreement
    assert f"spikes equal {percent(agreement.spikes_equal)}" in found.text
    assert f"correct, integer {agreement.integer_correct} of 5" in found.text
    assert row(found, "weights and other constants")[1] == f"{model.report.sizes_bytes['weights']:,}"
    assert row(found, "small.c")[1] == f"{len(model.artifact.files['small.c']):,}"
    assert row(found, "weight_bits")[1] == "5"
    assert row(found, "membrane_bits")[1] == "automatic"


def drawn(found: Page) -> bool:
    """Whether a page has a picture of the network."""
    return any(tag == "svg" and "snnc-net" in attributes["class"] for tag, attributes in found.tags)


def test_the_network_is_drawn(found):
    assert drawn(found)
    assert "subtract >=" in found.text


def test_every_warning_is_told():
    notes = [Diagnostic("SNN105", "node x", "a reset was assumed", "the file does not say", "--reset", "warning")]
    text = Page(page(sc.compile(small().noting(notes), calibration=spikes()))).text
    assert "SNN105 a default was assumed node x a reset was assumed; the file does not say --reset" in text
    assert "Warnings" not in Page(page(sc.compile(small(), calibration=spikes()))).text


def test_like_warnings_are_one():
    notes = [Diagnostic("SNN105", f'node "n{i}"', "a reset was assumed", severity="warning") for i in range(5)]
    text = Page(page(sc.compile(small().noting(notes), calibration=spikes()))).text
    assert text.count("a reset was assumed") == 1
    assert 'node "n0", "n1", "n2" and 2 more' in text


def test_without_samples_the_page_says_what_was_not_measured():
    found = Page(page(sc.compile(small())))
    assert "were not measured" in found.text
    assert len(row(found, "lif1")) == 9


def test_the_page_needs_nothing_from_anywhere(model):
    text = page(model)
    found = Page(text)
    assert not {"script", "link", "iframe", "img", "object", "embed", "base"} & {tag for tag, _ in found.tags}
    assert not any(name in ("src", "href", "onload", "onclick") for _, attributes in found.tags for name in attributes)
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []
    assert set(re.findall(r"https?://[^\"'\s<]+", text)) <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text_and_nothing_else(name):
    graph = relay(name, name + "!").noting([Diagnostic("SNN105", name, name, name, name, "warning")])
    model = sc.compile(graph)
    hostile = Page(page(model))
    harmless = Page(page(sc.compile(relay("x", "x!").noting(
        [Diagnostic("SNN105", "x", "x", "x", "x", "warning")]))))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in harmless.tags]
    assert all(c.isprintable() or c == "\n" for c in page(model))
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    assert row(hostile, shown + "!")
    fragment = Page(summary(model.report))
    assert not {"script", "img", "svg"} & {tag for tag, _ in fragment.tags}
    assert row(fragment, shown + "!")


def test_the_same_model_gives_the_same_page(model):
    assert page(model) == page(model)


def test_a_notebook_shows_the_summary(model):
    assert model._repr_html_() == summary(model.report)
    cells = row(Page(model._repr_html_()), "lif2")
    assert cells[1] == "lif"
    assert cells[-3:] == [percent(model.report.populations[1].spikes_shared),
                          percent(model.report.populations[1].counts_shared), "–"]
    assert model.report._repr_html_() == model._repr_html_()


def test_an_opened_build_has_a_page_too(model, tmp_path):
    found = Page(page(sc.open_build(model.save(tmp_path / "build"))))
    assert row(found, "lif1")[4] == "112"
    assert [r[0] for r in steps(found)] == ["quantize", "ranges", "emit"]


def test_a_very_large_network_is_not_drawn():
    chain = [f"n{i}" for i in range(MAX_DRAWN // 2 + 1)]
    nodes = {"in": Input((2,)), **{n: Neuron.of("if", threshold=1.0) for n in chain}, "out": Output()}
    edges = tuple(sc.Edge(a, b) for a, b in itertools.pairwise(nodes))
    found = Page(page(sc.compile(sc.Graph("long", nodes, edges))))
    assert not drawn(found)
    assert "too large to be drawn here" in found.text


@pytest.mark.parametrize(("share", "text"), [(1.0, "100 %"), (0.99999, "99.99 %"), (0.57, "57 %"), (0.0, "0 %"),
                                             (0.12345, "12.34 %"), (1 - 1e-12, "99.99 %")])
def test_what_is_not_all_never_reads_as_all(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(("share", "text"), [(0.0, "0 %"), (1e-12, "0.01 %"), (0.0001, "0.01 %"), (0.05781, "5.79 %")])
def test_an_error_never_reads_as_none(share, text):
    assert error(share) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 bytes"), (12_984, "12,984 bytes"), (123_456, "123.5 kB"),
                                             (1_310_000, "1.3 MB")])
def test_sizes_are_read_at_a_glance(count, text):
    assert size(count) == text


def test_a_terminal_shows_the_figures_of_a_report(model):
    shown = repr(model.report).splitlines()
    assert shown[0] == 'Report of "small" for c99, 0 warnings'
    assert f"neurons{' ' * 10}" in shown[2]
    assert any(line.split()[:2] == ["spikes", "equal"] and line.endswith(percent(model.report.agreement.spikes_equal))
               for line in shown)
    assert max(map(len, shown)) < 80


def test_agreements_are_short_where_they_are_shown(model):
    agreement = model.report.agreement
    assert repr(agreement) == (
        f"<Agreement on 5 samples: spikes equal {percent(agreement.spikes_equal)}, spikes shared "
        f"{percent(agreement.spikes_shared)}, counts {percent(agreement.counts_shared)}, decisions equal "
        f"{percent(agreement.decisions)}>")


def test_a_report_gives_rows_for_a_data_frame(model):
    rows = model.report.rows()
    assert [row["name"] for row in rows] == ["lif1", "lif2"]
    first = model.report.populations[0]
    assert rows[0]["state_bits.v"] == first.state_bits["v"]
    assert (rows[0]["state_range.v.low"], rows[0]["state_range.v.high"]) == first.state_range["v"]
    assert (rows[0]["output_range.low"], rows[0]["output_range.high"]) == (0, 1)
    assert (rows[0]["neurons"], rows[0]["synapses"], rows[0]["shape"]) == (8, 112, [8])
    assert all(not isinstance(v, (dict, tuple)) for row in rows for v in row.values())

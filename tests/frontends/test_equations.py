"""Equations of einsum: every axis has a label, and what does not fit its operands is told."""

import numpy as np
import pytest

from snncompile.frontends.equations import axis_labels


@pytest.mark.parametrize(("equation", "shapes"), [
    ("ij,jk->ik", [(2, 3), (3, 4)]), ("ij,jk", [(2, 3), (3, 4)]), ("...i,oi->...o", [(5, 2, 3), (4, 3)]),
    ("b...i,oi", [(5, 2, 3), (4, 3)]), ("...i,...i->...", [(2, 3), (5, 2, 3)]), ("A...,A->...", [(2, 3), (2,)]),
    ("...,i->...i", [(), (3,)])])
def test_the_labels_mean_what_the_equation_means(equation, shapes):
    rng = np.random.default_rng(0)
    operands = [rng.random(shape) for shape in shapes]
    terms, result = axis_labels(equation, [len(shape) for shape in shapes])
    assert [len(term) for term in terms] == [len(shape) for shape in shapes]
    named = np.einsum(",".join(terms) + "->" + result, *operands)
    np.testing.assert_allclose(named, np.einsum(equation, *operands))


@pytest.mark.parametrize(("equation", "axes"), [
    ("ij->i", [2, 2]), ("ijk,jk->i", [2, 2]), ("i...jk,k->i", [2, 1]), ("ij,jk->ii", [2, 2]), ("ij,ij->", [2, 2]),
    ("ij,jk->iz", [2, 2]), ("...,i->i", [27, 1]), ("i.,i->i", [2, 1])])
def test_equations_that_do_not_fit_have_no_labels(equation, axes):
    assert axis_labels(equation, axes) is None

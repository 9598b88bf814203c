"""The numbers of the page about what targets accept of spaces are those of `screen`."""

import json

from snncompile.search.families.table import space_of
from tests.long_spaces import FILE, of_space

STORED = json.loads(FILE.read_text(encoding="utf-8"))


def test_a_small_space_is_counted_as_it_is_stored():
    assert of_space("qsnn:paper", space_of("qsnn:paper")) == STORED["qsnn:paper"]

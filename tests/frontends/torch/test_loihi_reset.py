"""What a user of snnTorch is told about resets that the first Loihi lacks, followed to the letter."""

import re

import pytest

import snncompile as sc

torch = pytest.importorskip("torch", reason="PyTorch is needed: pip install snncompile[torch]")
snn = pytest.importorskip("snntorch", reason="snnTorch is needed: pip install snntorch")


def network(**options):
    return torch.nn.Sequential(torch.nn.Linear(6, 4), snn.Synaptic(alpha=0.7, beta=0.8, init_hidden=True, output=False,
                                                                  **options))


@pytest.mark.parametrize("options", [{}, {"reset_mechanism": "zero"}, {"reset_delay": False}])
def test_the_help_on_resets_works(options):
    x = torch.ones(1, 6)
    with pytest.raises(sc.CompileError) as caught:
        sc.compile(sc.load(network(**options), example_input=x), target="loihi1")
    advised = dict(options)
    for problem in caught.value.diagnostics:
        named = re.search(r"snnTorch: ([^;)]*)", problem.help)[1]
        advised |= {name: value.strip('"') if value != "False" else False
                    for name, value in re.findall(r'(\w+)=("?\w+"?)', named)}
    assert sc.compile(sc.load(network(**advised), example_input=x), target="loihi1").report.populations

"""Ways to write time in a forward pass: one tick, a loop over ticks, or tensors of many ticks give the same graph."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import snncompile as sc  # noqa: E402
from snncompile.frontends.torch.cells import Cell  # noqa: E402
from snncompile.ir.populations import Neuron  # noqa: E402
from snncompile.ir.rules import Firing  # noqa: E402
from tests.frontends.torch.nets import Lif, same_network, ticks_of  # noqa: E402

TICKS, BATCH = 5, 3


def spikes(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy((rng.random((BATCH, TICKS, *shape)) < 0.5).astype(np.float64))


def parts(layout="tick", explicit=False):
    torch.manual_seed(0)
    return [nn.Conv2d(2, 4, 3, padding=1).double(), nn.BatchNorm2d(4).double(),
            Lif(0.5, 0.3, layout, explicit), nn.MaxPool2d(2), nn.Linear(36, 5).double(),
            Lif(0.9, 0.1, layout, explicit)]


class Net(nn.Module):
    def __init__(self, layout="tick", explicit=False):
        super().__init__()
        self.conv, self.norm, self.lif1, self.pool, self.fc, self.lif2 = parts(layout, explicit)


class OneTick(Net):
    def forward(self, x):
        return self.lif2(self.fc(self.pool(self.lif1(self.norm(self.conv(x)))).flatten(1)))


class Loop(Net):
    """Takes `[tick, batch, ...]`."""

    def forward(self, x):
        out = []
        for t in range(x.size(0)):
            out.append(self.lif2(self.fc(self.pool(self.lif1(self.norm(self.conv(x[t])))).flatten(1))))
        return torch.stack(out)


class LoopOverBatchFirst(Net):
    def forward(self, x):
        total = 0
        for step in x.unbind(1):
            total = total + self.lif2(self.fc(self.pool(self.lif1(self.norm(self.conv(step)))).flatten(1)))
        return total


class LoopWithStates(Net):
    """States are passed to the neurons and returned by them, as in snnTorch."""

    def __init__(self):
        super().__init__(explicit=True)

    def forward(self, x):
        v1, v2 = torch.zeros(1), None
        out, states = [], []
        for step in x:
            s1, v1 = self.lif1(self.norm(self.conv(step)), v1)
            s2, v2 = self.lif2(self.fc(self.pool(s1).flatten(1)), v2)
            out.append(s2)
            states.append(v2)
        return torch.stack(out, dim=0), torch.stack(states, dim=0)


class ConvolvedAtOnce(Net):
    """Before the loop, layers take time and batch as one axis."""

    def forward(self, x):
        ticks = x.shape[0]
        y = self.norm(self.conv(x.flatten(0, 1))).view(ticks, -1, 4, 6, 6)
        record = torch.zeros(ticks, x.shape[1], 5, dtype=x.dtype)
        for t in range(ticks):
            record[t] = self.lif2(self.fc(self.pool(self.lif1(y[t])).flatten(1)))
        return record.mean(0)


class ManyTicks(Net):
    """Neurons take tensors of many ticks, layers take time and batch as one axis."""

    def __init__(self, layout):
        super().__init__(layout)
        self.first = 0 if layout == "ticks-first" else 1

    def merged(self, layer, x):
        return layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    def forward(self, x):
        x = self.lif1(self.merged(lambda y: self.norm(self.conv(y)), x))
        x = self.lif2(self.fc(self.merged(self.pool, x).flatten(2)))
        return x.mean(self.first)


def of(module, x, **options):
    return sc.load(module, example_input=x, **options)


def test_one_tick_is_what_the_module_does_tick_by_tick():
    net, x = OneTick().eval(), spikes(2, 6, 6)
    graph = of(net, x[:, 0])
    result = sc.run(graph, x.numpy()).outputs["output"]
    assert result.any()
    assert (result == ticks_of(net, x).numpy()).all()


@pytest.mark.parametrize(("make", "first"), [
    (Loop, True), (LoopOverBatchFirst, False), (LoopWithStates, True), (ConvolvedAtOnce, True),
    (lambda: ManyTicks("ticks-first"), True), (lambda: ManyTicks("batch-first"), False),
])
def test_every_style_gives_the_graph_of_one_tick(make, first):
    x = spikes(2, 6, 6)
    graph = of(make().eval(), x.transpose(0, 1) if first else x)
    assert same_network(graph, of(OneTick().eval(), x[:, 0]))


def test_states_that_a_network_returns_are_left_out_with_a_note():
    graph = of(LoopWithStates(), spikes(2, 6, 6).transpose(0, 1))
    assert list(graph.outputs) == ["output"]
    assert ['"lif2"' in n.place for n in graph.notes if "[tick, sample" not in n.found] == [True]


class Unreset(Lif):
    """A neuron without a reset: a readout, if the network returns its membrane."""

    def tick(self, x, v):
        v = self.beta * v + x
        return (v > self.threshold).to(x), v


@sc.neuron_module(Unreset)
def unreset(module, shape):
    return Cell(Neuron.of("lif", Firing(">", "none"), decay=module.beta, threshold=module.threshold),
                returns=("output", "state"))


class Readout(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.lif, self.fc2, self.out = nn.Linear(4, 6).double(), Lif(), nn.Linear(6, 2).double(), Unreset(
            explicit=True)

    def forward(self, x):
        v, record = None, []
        for step in x:
            _, v = self.out(self.fc2(self.lif(self.fc(step))), v)
            record.append(v)
        return torch.stack(record)


def test_a_membrane_that_no_spike_resets_may_be_the_result():
    net, x = Readout(), spikes(4)
    graph = of(net, x.transpose(0, 1))
    assert list(graph.populations) == ["lif", "out.membrane"]
    with torch.no_grad():
        assert (sc.run(graph, x.numpy()).outputs["output"] == net(x.transpose(0, 1)).transpose(0, 1).numpy()).all()


class Recurrent(nn.Module):
    def __init__(self, late):
        super().__init__()
        torch.manual_seed(1)
        self.fc, self.rec = nn.Linear(4, 6).double(), nn.Linear(6, 6).double()
        self.lif, self.late = Lif(0.8), late

    def forward(self, x):
        s, out = torch.zeros(x.shape[1], 6, dtype=x.dtype), []
        back = torch.zeros_like(s)
        for step in x:
            s = self.lif(self.fc(step) + (back if self.late else self.rec(s)))
            back = self.rec(s)
            out.append(s)
        return torch.stack(out)


@pytest.mark.parametrize("late", [False, True])
def test_recurrence_written_in_the_loop_becomes_a_delayed_edge(late):
    """The bias of the recurrent layer acts from the first tick on, or from the second, depending on the loop."""
    net, x = Recurrent(late), spikes(4)
    graph = of(net, x.transpose(0, 1))
    assert [(e.src, e.dst) for e in graph.edges if e.delay == 1] == [("rec", "add") if late else ("lif", "rec")]
    with torch.no_grad():
        expected = net(x.transpose(0, 1)).transpose(0, 1).numpy()
    result = sc.run(graph, x.numpy()).outputs["output"]
    assert result.any()
    assert (result == expected).all()


class TwoBack(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.fc, self.lif = nn.Linear(4, 4).double(), Lif()

    def forward(self, x):
        before = older = torch.zeros(x.shape[1], 4, dtype=x.dtype)
        out = []
        for step in x:
            s = self.lif(self.fc(step) - 0.5 * older)
            before, older = s, before
            out.append(s)
        return torch.stack(out)


def test_a_result_used_two_ticks_later_has_a_delay_of_two():
    net, x = TwoBack(), spikes(4)
    graph = of(net, x.transpose(0, 1))
    assert sorted(e.delay for e in graph.edges if e.delay) == [2]
    with torch.no_grad():
        assert (sc.run(graph, x.numpy()).outputs["output"] == net(x.transpose(0, 1)).transpose(0, 1).numpy()).all()


class Ends(nn.Module):
    def __init__(self, end):
        super().__init__()
        self.fc, self.lif, self.readout, self.end = nn.Linear(4, 6), Lif(), nn.Linear(6, 2), end

    def forward(self, x):
        s = [self.lif(self.fc(step)) for step in x]
        return self.end(self, s)


ENDS = {
    "all ticks": (lambda n, s: torch.stack(s), "rate"),
    "joined": (lambda n, s: torch.cat([v[None] for v in s]), "rate"), "list": (lambda n, s: s, "rate"),
    "sum": (lambda n, s: sum(s), "rate"), "mean": (lambda n, s: sum(s) / len(s), "rate"),
    "summed, axis kept": (lambda n, s: torch.stack(s).sum(0, keepdim=True).squeeze(0), "rate"),
    "summed": (lambda n, s: torch.stack(s).sum(0), "rate"), "last": (lambda n, s: s[-1], "last"),
    "last of the stack": (lambda n, s: torch.stack(s)[-1], "last"),
    "most": (lambda n, s: torch.stack(s).amax(0), "max"),
    "most, with index": (lambda n, s: torch.stack(s, 1).max(1)[0], "max"),
    "readout": (lambda n, s: torch.stack([n.readout(v) for v in s]), "rate"),
    "readout of the mean": (lambda n, s: n.readout(torch.stack(s).mean(0)), "rate"),
    "readout of the last": (lambda n, s: n.readout(s[-1]), "last"),
}


@pytest.mark.parametrize("name", ENDS)
def test_reductions_over_time_become_decodings(name):
    end, decode = ENDS[name]
    graph = of(Ends(end), spikes(4).float().transpose(0, 1))
    assert [op.decode for op in graph.outputs.values()] == [decode]
    assert [n for n in graph.nodes if n.startswith("readout")] == ["readout"] * ("readout" in name)


def test_an_option_sets_the_decoding_of_the_outputs():
    graph = of(Ends(ENDS["sum"][0]), spikes(4).float().transpose(0, 1), decode="last")
    assert graph.outputs["output"].decode == "last"


class Frame(nn.Module):
    """A network whose input is the same frame in every tick."""

    def __init__(self, how):
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.how = nn.Linear(4, 3), how
        self.lif = Lif(layout="tick" if how == "loop" else "ticks-first")

    def forward(self, x):
        if self.how == "loop":
            return sum(self.lif(self.fc(x)) for _ in range(4))
        x = self.fc(x)
        x = {"repeat": lambda: x.unsqueeze(0).repeat(4, 1, 1), "expand": lambda: x.expand(4, -1, -1),
             "stack": lambda: torch.stack([x] * 4)}[self.how]()
        return self.lif(x).mean(0)


@pytest.mark.parametrize("how", ["repeat", "expand", "stack"])
def test_a_frame_repeated_over_time_is_an_input_of_one_tick(how):
    x = torch.rand(2, 4)
    assert same_network(of(Frame(how), x), of(Frame("loop"), x))


class Irregular(nn.Module):
    """Loops without a recurrence whose ticks differ."""

    def __init__(self, how):
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.lif, self.fc2, self.how = nn.Linear(4, 3), Lif(), nn.Linear(3, 2), how
        self.lif2 = Lif(layout="ticks-first" if how == "ticks at once behind" else "tick")

    def forward(self, x):
        if self.how == "the first tick before the loop":
            out = self.lif2(self.fc2(self.lif(self.fc(x[0]))))
            for t in range(1, len(x)):
                out += self.lif2(self.fc2(self.lif(self.fc(x[t]))))
            return out / len(x)
        spikes = [self.lif(self.fc(step)) for step in x]
        if self.how == "layer by layer":
            return [self.lif2(self.fc2(s)) for s in spikes]
        return self.lif2(self.fc2(torch.stack(spikes)))


@pytest.mark.parametrize("how", ["the first tick before the loop", "layer by layer", "ticks at once behind"])
def test_loops_without_a_recurrence_may_have_different_ticks(how):
    net, x = Irregular(how), spikes(4).float()
    graph = of(net, x.transpose(0, 1))
    assert [type(graph.nodes[n]).__name__ for n in ("fc", "lif", "fc2", "lif2")] == ["Linear", "Neuron"] * 2
    with torch.no_grad():
        expected = net(x.transpose(0, 1))
    result = sc.run(graph, x.numpy(), dtype=np.float32).outputs["output"]
    if isinstance(expected, list):
        expected = torch.stack(expected)
    whole = result.swapaxes(0, 1) if expected.ndim == 3 else result.sum(1)
    assert np.allclose(whole, expected.numpy())


@pytest.mark.parametrize("how", ["repeat", "expand", "stack"])
def test_a_batch_of_one_gives_the_same_graph(how):
    assert same_network(of(Frame(how), torch.rand(1, 4)), of(Frame(how), torch.rand(2, 4)))
    assert same_network(of(ManyTicks("ticks-first"), spikes(2, 6, 6)[:1].transpose(0, 1)),
                        of(ManyTicks("ticks-first"), spikes(2, 6, 6).transpose(0, 1)))


class Uneven(nn.Module):
    def __init__(self, variant):
        super().__init__()
        self.fc, self.lif, self.lif2, self.variant = nn.Linear(4, 4), Lif(), Lif(), variant

    def forward(self, x):
        rare = self.lif2(self.fc(x[0])) if self.variant == "a neuron more rarely" else 0
        s = rare
        first = x[0]
        for t, step in enumerate(x):
            if self.variant == "the first tick apart" and t > 0:
                step = step + s
            if self.variant == "a factor that changes":
                step = step * (t + 2)
            if self.variant == "ticks backwards":
                step = x[len(x) - 1 - t]
            if self.variant == "a recurrence that begins with ones":
                first, step = step, step + (first if t else torch.ones(3, 4))
            if self.variant == "twice a tick":
                step = self.lif(self.fc(step))
            s = self.lif(self.fc(step))
        return s + rare


@pytest.mark.parametrize("variant", ["a neuron more rarely", "the first tick apart", "a factor that changes",
                                     "ticks backwards", "twice a tick", "a recurrence that begins with ones"])
def test_loops_whose_ticks_differ_are_refused(variant):
    with pytest.raises(sc.CompileError) as error:
        of(Uneven(variant), spikes(4).float().transpose(0, 1))
    assert {d.code for d in error.value.diagnostics} <= {"SNN104", "SNN110"}

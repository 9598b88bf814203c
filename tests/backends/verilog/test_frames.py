"""Packed frames become the events that the network would have been sent."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snncompile as sc
from snncompile.backends.stream.hardware import Hardware, Port
from snncompile.backends.stream.links import Stream
from snncompile.backends.stream.lower import lower
from snncompile.backends.stream.words import words
from snncompile.backends.verilog.frames import emit_frames, frames, packed
from tests.nets import small, spikes
from tests.tools import needs

BENCH = """
module bench;
    reg clk = 0, rst = 1, valid = 0, ready = 0;
    reg [32:0] sent [0:{last}];
    integer at = 0, taken = 0, seed = 1;
    wire in_ready, out_valid;
    wire [{bits}:0] data;
    always #5 clk = !clk;
    initial begin
        $readmemh("sent.hex", sent);
        #22 rst = 0;
        #{limit} $finish;
    end
    net_FRAMES_in frames (.clk(clk), .rst(rst), .in_data(sent[at][31:0]), .in_last(sent[at][32]), .in_valid(valid),
                          .in_ready(in_ready), .out_data(data), .out_valid(out_valid), .out_ready(ready));
    always @(posedge clk) if (!rst) begin
        if (!valid || in_ready) begin
            if (valid) at <= at + 1;
            valid <= at + valid <= {last} && ({stall} == 0 || $random(seed) % 100 >= {stall});
        end
        ready <= {stall} == 0 || $random(seed) % 100 >= {stall};
        if (out_valid && ready) $display("%h", data);
    end
endmodule
"""


def sent_and_taken(stream: Stream, x: Any, stall: int, folder: Path) -> tuple[list[int], list[int]]:
    """The words of events that the emitted module gives for frames, and those that are expected."""
    hardware = Hardware("net", "net", (Port("in", "in", stream),), (), ())
    found = packed(stream, x)
    for name, text in emit_frames(hardware).items():
        (folder / name).write_text(text)
    (folder / "sent.hex").write_text("".join(f"{n:x}\n" for n in found))
    (folder / "bench.v").write_text(BENCH.format(last=len(found) - 1, bits=stream.bits - 1, stall=stall,
                                                 limit=10 * (40 * len(found) + 2 * x.size + 1000)))
    # The module of the frames alone: the network behind it is compared elsewhere.
    text = (folder / "net_FRAMES.v").read_text()
    (folder / "net_FRAMES.v").write_text(text[:text.index("module net_FRAMES (")])
    subprocess.run(["iverilog", "-g2005-sv", "-o", "net.vvp", "net_FRAMES.v", "bench.v"], cwd=folder, check=True)
    told = subprocess.run(["vvp", "-n", "net.vvp"], cwd=folder, check=True, capture_output=True, text=True).stdout
    return [int(line, 16) for line in told.split()], [int(line, 16) for line in words(stream, x).split()]


@needs("iverilog")
@pytest.mark.parametrize("stall", [0, 40])
@pytest.mark.parametrize(("shape", "interval"), [
    ((784,), (0, 1)), ((3, 5, 7), (0, 1)), ((1,), (0, 1)), ((33,), (0, 1)), ((2, 4, 4), (-100, 100)),
    ((5,), (0, 3)), ((3, 3), (-30_000, 30_000)), ((2,), (-2**31, 2**31 - 1))])
def test_frames_become_events(shape: tuple[int, ...], interval: tuple[int, int], stall: int, tmp_path: Path) -> None:
    stream = Stream("in", "in", shape, interval)
    rng = np.random.default_rng(0)
    x = rng.integers(*interval, (2, 3, *shape), endpoint=True) * (rng.random((2, 3, *shape)) < 0.4)
    x[0, 0], x[0, 1] = 0, interval[1]  # an empty frame, and a full one
    found, wanted = sent_and_taken(stream, x, stall, tmp_path)
    assert sum(n >> (stream.bits - 2) & 1 for n in found) == 6
    assert _ticks(found, stream) == _ticks(wanted, stream)


def _ticks(found: list[int], stream: Stream) -> list[list[int]]:
    """The events of each tick, whose order does not matter, and its end."""
    ticks: list[list[int]] = [[]]
    for word in found:
        ticks[-1].append(word)
        if word >> (stream.bits - 2) & 1:
            ticks[-1].sort()
            ticks.append([])
    return ticks


NETWORK = """
module bench;
    reg clk = 0, rst = 1, valid = 0;
    reg [32:0] sent [0:{last}];
    integer at = 0;
    wire in_ready, out_valid, out_last;
    wire [{bits}:0] data;
    always #5 clk = !clk;
    initial begin
        $readmemh("sent.hex", sent);
        #42 rst = 0;
        #{limit} $finish;
    end
    small_FRAMES network (.aclk(clk), .aresetn(!rst), .s_axis_in_tdata(sent[at][31:0]), .s_axis_in_tlast(sent[at][32]),
        .s_axis_in_tvalid(valid), .s_axis_in_tready(in_ready), .m_axis_out_tdata(data), .m_axis_out_tlast(out_last),
        .m_axis_out_tvalid(out_valid), .m_axis_out_tready(1'b1));
    always @(posedge clk) if (!rst) begin
        if (valid && in_ready) at <= at + 1;
        valid <= at + (valid && in_ready) <= {last};
        if (out_valid) $display("%h", {{out_last, data}});
    end
endmodule
"""


@needs("iverilog")
def test_a_network_takes_frames(tmp_path: Path) -> None:
    """What leaves is what the golden vectors say."""
    model = sc.compile(small(), "xc7z020", calibration=spikes(), lanes=2)
    for name, text in model.artifact.files.items():
        (tmp_path / name).write_text(str(text))
    hardware = lower(model.mapped)
    (entering,), (leaving,) = hardware.inputs, hardware.outputs
    found = packed(entering.stream, model.golden.inputs["in"])
    (tmp_path / "sent.hex").write_text("".join(f"{n:x}\n" for n in found))
    (tmp_path / "bench.v").write_text(NETWORK.format(last=len(found) - 1, bits=8 * leaving.bytes - 1, limit=100_000))
    sources = [n for n in model.artifact.files if n.endswith(".v") and "TESTBENCH" not in n]
    built = ["iverilog", "-g2005-sv", "-s", "bench", "-o", "net.vvp", "bench.v", *sources]
    subprocess.run(built, cwd=tmp_path, check=True)
    told = subprocess.run(["vvp", "-n", "net.vvp"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    end, last, high = 1 << (leaving.stream.bits - 2), 1 << (leaving.stream.bits - 1), 1 << (8 * leaving.bytes)
    taken = [n % high | (last if n >= high else 0) for n in (int(line, 16) for line in told.split())]
    wanted = words(leaving.stream, model.golden.outputs["out"]).split()
    assert [n & (last | end) if n & end else n for n in taken] == [int(n, 16) for n in wanted]


def test_elements_wider_than_a_word_have_no_frames() -> None:
    wide = Hardware("net", "net", (Port("in", "in", Stream("in", "in", (2,), (0, 1 << 33))),), (), ())
    assert frames(wide) == ()
    assert emit_frames(wide) == {}

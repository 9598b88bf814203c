"""Reads input data and labels (arrays, event recordings, CSV files), and encodes static frames as spikes."""

from snncompile.data.encode import ENCODINGS, encode
from snncompile.data.events import Events, bin_events, read_event_csv, read_event_file
from snncompile.data.read import labels_beside, read_input, read_labels

__all__ = ["ENCODINGS", "Events", "bin_events", "encode", "labels_beside", "read_event_csv", "read_event_file",
           "read_input", "read_labels"]

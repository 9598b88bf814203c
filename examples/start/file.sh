#!/usr/bin/env bash
# The commands of docs/start-file.md, which run from this repository.
set -euo pipefail
pip install '.[onnx]'
snnc inspect examples/digits/digits.nir
snnc check examples/digits/digits.nir --target loihi2
snnc compile examples/digits/digits.nir -o build/file
snnc verify build/file

#!/usr/bin/env bash
# The commands of docs/start-pytorch.md, which run from this repository.
set -euo pipefail
pip install '.[torch]' snntorch --extra-index-url https://download.pytorch.org/whl/cpu
python examples/start/model.py samples.npz
snnc compile examples/start/model.py:build --values spike --calibrate samples.npz -o build/first
snnc verify build/first
snnc run build/first samples.npz

#!/usr/bin/env bash
# The commands of docs/start-firmware.md, which run from this repository.
set -euo pipefail
pip install .
snnc compile examples/digits/digits.nir --weight-bits 4 --chunk 1 -o build/firmware
snnc verify build/firmware
make -C build/firmware/c test

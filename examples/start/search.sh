#!/usr/bin/env bash
# The commands of docs/start-searching.md, which run from this repository.
set -euo pipefail
pip install '.[search]'
snnc check stdano:resnet18:20002000000001001 --target "loihi2 chips=2"
snnc screen spikenas-bench --target loihi2 --target c99 --shard 0/256 --out results

#!/usr/bin/env bash
# One run on a machine with a GPU and no network, in less than 8 minutes: every kernel's answer and speed,
# then whole analyses, then jax-js, tfjs and Python's libraries on the same card.
#
#   bench/gpu.sh pack      # beforehand, with a network: adds the built benches to the tools in .gpu
#   source .gpu/enter.sh && bench/gpu.sh [names of benches]      # there
#
# Results go to $OUT, or bench/results. Without .gpu the benches of this checkout are run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [[ ${1:-} == pack ]]; then
  node tools/run.mjs pack bench .gpu/bench
  npm --prefix bench/peers install --no-audit --no-fund
  tar -cJf .gpu/peers.tar.xz --exclude='*.map' --exclude='*.d.ts' -C bench/peers node_modules
  exit
fi
run=(node tools/run.mjs bench)
if [[ -d .gpu/bench ]]; then
  run=(node .gpu/bench/bench.js)
  if [[ ! -d bench/peers/node_modules && -f .gpu/peers.tar.xz ]]; then
    python3 -c 'import tarfile; tarfile.open(".gpu/peers.tar.xz").extractall("bench/peers")'
  fi
fi
# what is done by then is written
timeout 470 "${run[@]}" "${@:-gpu}"

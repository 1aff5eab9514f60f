#!/usr/bin/env bash
# Ends the Slurm that slurm_up.sh started in FOLDER, and its jobs: slurm_down.sh FOLDER.
set -uo pipefail
export SLURM_CONF=$1/slurm.conf
jobs=$(timeout 5 squeue --noheader --format=%A 2> /dev/null)
# what keeps a job's processes is no child of slurmd: Slurm has to end it
[ -z "$jobs" ] || timeout 5 scancel --quiet --full --signal=KILL $jobs
[ -z "$jobs" ] || timeout 5 scancel --quiet $jobs
for ((i = 0; i < 50; i++)); do
  [ -z "$(timeout 5 squeue --noheader 2> /dev/null)" ] && break
  sleep 0.1
done
tac "$1/pids" | while read -r pid; do kill -KILL "$pid" 2> /dev/null; done
exit 0

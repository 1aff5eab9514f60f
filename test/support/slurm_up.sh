#!/usr/bin/env bash
# Starts a Slurm of NODES nodes of CPUS processors on 127.0.0.1: slurm_up.sh FOLDER PORT [NODES] [CPUS].
# Wants root and slurmctld, slurmd, slurm-client, munge; no systemd, no cgroups. FOLDER/pids tells what runs,
# slurm_down.sh ends it, and all that sbatch needs is SLURM_CONF=FOLDER/slurm.conf.
set -euo pipefail
mkdir -p "$1"
folder=$(realpath "$1")
port=$2
nodes=${3:-2}
cpus=${4:-2}
mkdir -p "$folder/munge" "$folder/state"

# munged refuses a key that others might read, and a socket in a folder that others might write
chmod 700 "$folder/munge"
head -c 1024 /dev/urandom > "$folder/munge/key"
chmod 400 "$folder/munge/key"
munged --force --num-threads=2 --key-file="$folder/munge/key" --socket="$folder/munge/socket" \
  --pid-file="$folder/munge/pid" --log-file="$folder/munge/log" --seed-file="$folder/munge/seed"
cat "$folder/munge/pid" > "$folder/pids"

export SLURM_CONF=$folder/slurm.conf
cat > "$SLURM_CONF" <<END
ClusterName=here
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmctldPidFile=$folder/slurmctld.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdSpoolDir=$folder/%n
SlurmdPidFile=$folder/%n.pid
SlurmdLogFile=$folder/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=10
KillWait=2
MinJobAge=300
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=100000
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=100
${SLURM_EXTRA:-}
END
for ((i = 0; i < nodes; i++)); do
  echo "NodeName=n$i NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$((port + 1 + i)) CPUs=$cpus RealMemory=1000" \
    >> "$SLURM_CONF"
done
echo "PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE OverSubscribe=NO State=UP" >> "$SLURM_CONF"

slurmctld -D > /dev/null 2>&1 &
echo $! >> "$folder/pids"
for ((i = 0; i < nodes; i++)); do
  mkdir -p "$folder/n$i"
  slurmd -D -N "n$i" > /dev/null 2>&1 &
  echo $! >> "$folder/pids"
done
until [ "$(sinfo --noheader --Node --format=%t 2> /dev/null | grep -c idle)" = "$nodes" ]; do sleep 0.1; done

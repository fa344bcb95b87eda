#!/usr/bin/env bash
# A real Slurm on this machine, for tests: tests/slurm/one_machine.sh start|stop. As root, with Debian's
# slurm-wlm and munge; two slots of one core.
set -euo pipefail
FOLDER=/tmp/slurm
MARK="# written by tests/slurm/one_machine.sh"

start() {
    if [ -e /etc/slurm/slurm.conf ] && ! grep -q "$MARK" /etc/slurm/slurm.conf; then
        echo "error: this machine has a Slurm of its own (/etc/slurm/slurm.conf)" >&2
        exit 1
    fi
    local host
    host=$(hostname -s)
    mkdir -p "$FOLDER/state" "$FOLDER/spool" /etc/slurm /run/munge
    chown munge /run/munge
    cat >/etc/slurm/slurm.conf <<CONF
$MARK
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
MpiDefault=none
StateSaveLocation=$FOLDER/state
SlurmdSpoolDir=$FOLDER/spool
SlurmctldPidFile=$FOLDER/slurmctld.pid
SlurmdPidFile=$FOLDER/slurmd.pid
SlurmctldLogFile=$FOLDER/slurmctld.log
SlurmdLogFile=$FOLDER/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
MinJobAge=3600
SlurmctldParameters=enable_configless
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 RealMemory=16000 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
    pgrep -x munged >/dev/null || su munge -s /bin/sh -c munged
    slurmctld
    slurmd -N "$host"
    for _ in $(seq 30); do
        if sinfo --noheader --format=%T 2>/dev/null | grep -q idle; then
            return
        fi
        sleep 1
    done
    echo "error: Slurm did not start; its logs are in $FOLDER" >&2
    exit 1
}

stop() {
    scancel --full --user root 2>/dev/null || true
    for name in slurmd slurmctld; do
        if [ -e "$FOLDER/$name.pid" ]; then
            kill "$(cat "$FOLDER/$name.pid")" 2>/dev/null || true
        fi
    done
    if grep -qs "$MARK" /etc/slurm/slurm.conf; then
        rm /etc/slurm/slurm.conf
    fi
}

case "${1:-}" in
start | stop) "$1" ;;
*)
    echo "usage: one_machine.sh start|stop" >&2
    exit 2
    ;;
esac

#!/usr/bin/env bash
# Starts Ceph with a gateway that speaks S3, all of it in memory, on 127.0.0.1: rgw_up.sh FOLDER PORT.
# Wants root and radosgw, ceph-mon, ceph-osd; no systemd. FOLDER/pids tells their numbers.
set -euo pipefail
folder=$1
port=$2
monitor="[v2:127.0.0.1:13300,v1:127.0.0.1:16789]"

# runs a program on, behind this script
begin() {
  "$@" -f > /dev/null 2>&1 &
  echo $! >> "$folder/pids"
}

mkdir -p "$folder/mon" "$folder/osd" "$folder/rgw"
cluster=$(cat /proc/sys/kernel/random/uuid)
disk=$(cat /proc/sys/kernel/random/uuid)
export CEPH_CONF=$folder/ceph.conf
cat > "$CEPH_CONF" <<END
[global]
fsid = $cluster
mon host = $monitor
mon initial members = a
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
osd objectstore = memstore
memstore device bytes = 4294967296
run dir = $folder
admin socket = $folder/\$name.\$pid.asok
log file = $folder/\$name.log
keyring = $folder/keyring
mon data = $folder/mon
osd data = $folder/osd
rgw data = $folder/rgw
rgw frontends = beast endpoint=127.0.0.1:$port
END
ceph-authtool --create-keyring "$folder/keyring" --gen-key -n mon. --cap mon 'allow *'
ceph-authtool "$folder/keyring" --gen-key -n client.admin \
  --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
monmaptool --create --clobber --addv a "$monitor" --fsid "$cluster" "$folder/monmap"
ceph-mon --mkfs -i a --monmap "$folder/monmap" --keyring "$folder/keyring"
begin ceph-mon -i a

key=$(ceph-authtool --gen-print-key)
echo "{\"cephx_secret\": \"$key\"}" | ceph osd new "$disk" -i -
ceph-authtool --create-keyring "$folder/osd/keyring" -n osd.0 --add-key "$key" \
  --cap mon 'allow profile osd' --cap osd 'allow *' --cap mgr 'allow profile osd'
ceph-osd -i 0 --mkfs --no-mon-config --osd-uuid "$disk" --keyring "$folder/osd/keyring"
ceph osd crush add osd.0 1 root=default host=here
begin ceph-osd -i 0 --keyring "$folder/osd/keyring"

begin radosgw -n client.admin
until curl --silent --output /dev/null "http://127.0.0.1:$port"; do sleep 1; done
radosgw-admin user create --uid=tester --display-name=tester --access-key=AKID --secret-key=SECRET

#!/bin/bash
# Copies a synthetic tree in six processes that share a queue on a broker: two that list, four that copy, one of which is
# killed. QUEUE is redis (the default) or rabbitmq, and its server has to be installed. The programs are taken from the
# folder given, bin/ by default.
set -euo pipefail
bin=$(cd "${1:-bin}" && pwd)
here=$(dirname "$0")
dir=$(mktemp -d)
servers=()
trap 'kill "${servers[@]}" 2>/dev/null; wait; rm -rf "$dir"' EXIT

# A broker, a Drive and a store of our own.
"$here/../../soak/subjects/broker.sh" "${QUEUE:-redis}" "$dir" & servers+=($!)
"$bin/fakedrive" serve --corpus none --listen 127.0.0.1:0 --addr-file "$dir/drive.json" >"$dir/drive.log" & servers+=($!)
"$bin/soak" fakes3 serve --bucket archive --listen 127.0.0.1:0 --addr-file "$dir/s3.json" >"$dir/s3.log" & servers+=($!)
for f in url drive.json s3.json; do
  while [ ! -e "$dir/$f" ]; do kill -0 "${servers[@]}" || { echo "a server ended before $f was there"; exit 1; }; sleep 0.1; done
done
address() { sed -n 's/.*"'"${2:-http}"'": "\(.*\)".*/\1/p' "$dir/$1.json"; }
folder=$(curl -fsS "$(address drive admin)/_fake/v1/roots" -H 'Content-Type: application/json' -d '{"spec":"seed: 1\nfiles: 3000\nfolders: 30\ndepth: 3\nsize: 4KiB\n","generation":1}' |
  sed 's/.*"id": *"\([^"]*\)".*/\1/')

# What every process is told. On several machines: the URL of a broker that all of them reach.
export MIGRATOR_QUEUE="$(cat "$dir/url")" MIGRATOR_BUCKET=archive MIGRATOR_LEASE=2s
export MIGRATOR_DRIVE_ENDPOINT="$(address drive)" MIGRATOR_S3_ENDPOINT="$(address s3)"
parts=()
"$bin/migrator" upload --workers 4 2>/dev/null & killed=$!
for n in 1 2 3; do "$bin/migrator" upload --workers 4 2>"$dir/upload$n.log" & parts+=($!); done
for n in 1 2; do "$bin/migrator" discover --prefix 2026 "$folder" 2>"$dir/discover$n.log" & parts+=($!); done
until [ -n "$("$bin/migrator" status --json 2>/dev/null | grep -v '"copied":0,')" ]; do sleep 0.1; done
kill -9 "$killed"
for p in "${parts[@]}"; do wait "$p" || { echo "a part failed"; tail -n 20 "$dir"/*.log; exit 1; }; done
"$bin/migrator" status
"$bin/migrator" verify --prefix 2026 "$folder"

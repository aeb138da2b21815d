#!/bin/bash
# Copies a synthetic tree in six processes that share a queue on a broker: two that list, four that copy, one of which is
# killed. QUEUE is redis (the default) or rabbitmq, and its server has to be installed. The programs are taken from the
# folder given, bin/ by default.
set -euo pipefail
bin=$(cd "${1:-bin}" && pwd)
dir=$(mktemp -d)
servers=()
trap 'kill "${servers[@]}" 2>/dev/null; wait; rm -rf "$dir"' EXIT

start_redis() {
  command -v redis-server >/dev/null || { echo "install redis-server first"; exit 1; }
  redis-server --port 0 --unixsocket "$dir/redis.sock" --appendonly yes --save '' --dir "$dir" >"$dir/redis.log" & servers+=($!)
  MIGRATOR_QUEUE="unix://$dir/redis.sock"
  ready() { [ -S "$dir/redis.sock" ]; }
}

# A port that nobody listens on.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}

start_rabbitmq() {
  local server names
  server=$(ls -d /usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server /opt/rabbitmq/sbin/rabbitmq-server 2>/dev/null | tail -1) || true
  [ -n "$server" ] || { echo "install rabbitmq-server first"; exit 1; }
  port=$(free_port) names=$(free_port)
  printf 'listeners.tcp.1 = 127.0.0.1:%d\nraft.wal_max_size_bytes = 16777216\n' "$port" >"$dir/rabbitmq.conf"
  # The address of the port mapper, the names and the folders of a server of our own; under "systemd" the script becomes
  # the server, so that the pid is the server's.
  export ERL_EPMD_PORT=$names ERL_EPMD_ADDRESS=127.0.0.1
  epmd & servers+=($!)
  HOME=$dir RUNNING_UNDER_SYSTEMD=1 RABBITMQ_NODENAME=processes@localhost RABBITMQ_DIST_PORT=$(free_port) RABBITMQ_LOGS=- \
    RABBITMQ_CONFIG_FILE=$dir/rabbitmq RABBITMQ_MNESIA_BASE=$dir RABBITMQ_LOG_BASE=$dir RABBITMQ_ENABLED_PLUGINS_FILE=$dir/plugins \
    "$server" >"$dir/rabbitmq.log" 2>&1 & servers+=($!)
  MIGRATOR_QUEUE="amqp://guest:guest@127.0.0.1:$port"
  ready() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }
}

# A broker, a Drive and a store of our own.
case "${QUEUE:-redis}" in
  redis) start_redis ;;
  rabbitmq) start_rabbitmq ;;
  *) echo "QUEUE is redis or rabbitmq, not $QUEUE"; exit 2 ;;
esac
"$bin/fakedrive" serve --corpus none --listen 127.0.0.1:0 --addr-file "$dir/drive.json" >"$dir/drive.log" & servers+=($!)
"$bin/soak" fakes3 serve --bucket archive --listen 127.0.0.1:0 --addr-file "$dir/s3.json" >"$dir/s3.log" & servers+=($!)
up() { ready && [ -e "$dir/drive.json" ] && [ -e "$dir/s3.json" ]; }
for _ in $(seq 1200); do up && break; sleep 0.1; done
up || { echo "a server didn't start"; tail -n 20 "$dir"/*.log; exit 1; }
address() { sed -n 's/.*"http": "\(.*\)".*/\1/p' "$dir/$1.json"; }
folder=$(curl -fsS "$(address drive)/_fake/v1/roots" -d '{"spec":"seed: 1\nfiles: 3000\nfolders: 30\ndepth: 3\nsize: 4KiB\n","generation":1}' |
  sed 's/.*"id": *"\([^"]*\)".*/\1/')

# What every process is told. On several machines: the URL of a broker that all of them reach.
export MIGRATOR_QUEUE MIGRATOR_BUCKET=archive MIGRATOR_LEASE=2s
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

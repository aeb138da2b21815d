#!/bin/bash
# Starts a broker of one's own: broker.sh redis|rabbitmq FOLDER [PID]. Its URL is in FOLDER/url once it can be used. It ends
# when this script is ended, or with the process PID. Needs redis-server or rabbitmq-server.
set -euo pipefail
dir=$2 owner=${3:-}
servers=()
trap 'kill "${servers[@]}" 2>/dev/null; wait' EXIT
trap exit TERM INT

# A port that nobody listens on.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    listens "$port" || { echo "$port"; return; }
  done
}
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

case "$1" in
redis)
  command -v redis-server >/dev/null || { echo "install redis-server first" >&2; exit 1; }
  redis-server --port 0 --unixsocket "$dir/redis.sock" --appendonly yes --save '' --dir "$dir" >"$dir/broker.log" & servers+=($!)
  url=unix://$dir/redis.sock
  ready() { [ -S "$dir/redis.sock" ]; }
  ;;
rabbitmq)
  # The package's command would change the user; this is the script behind it.
  server=$(ls -d /usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server /opt/rabbitmq/sbin/rabbitmq-server 2>/dev/null | tail -1) || true
  [ -n "$server" ] || { echo "install rabbitmq-server first" >&2; exit 1; }
  port=$(free_port)
  printf 'listeners.tcp.1 = 127.0.0.1:%d\nraft.wal_max_size_bytes = 16777216\n' "$port" >"$dir/rabbitmq.conf"
  # A port mapper, names and folders of its own; "under systemd" the script becomes the server, so that the pid is right.
  export ERL_EPMD_PORT ERL_EPMD_ADDRESS=127.0.0.1
  ERL_EPMD_PORT=$(free_port)
  epmd & servers+=($!)
  HOME=$dir RUNNING_UNDER_SYSTEMD=1 RABBITMQ_NODENAME=memsoak@localhost RABBITMQ_DIST_PORT=$(free_port) RABBITMQ_LOGS=- \
    RABBITMQ_CONFIG_FILE=$dir/rabbitmq RABBITMQ_MNESIA_BASE=$dir RABBITMQ_LOG_BASE=$dir RABBITMQ_ENABLED_PLUGINS_FILE=$dir/plugins \
    "$server" >"$dir/broker.log" 2>&1 & servers+=($!)
  url=amqp://guest:guest@127.0.0.1:$port
  ready() { listens "$port"; }
  ;;
*)
  echo "a broker is redis or rabbitmq, not $1" >&2
  exit 2
  ;;
esac

alive() { kill -0 "${servers[@]}" 2>/dev/null && { [ -z "$owner" ] || kill -0 "$owner" 2>/dev/null; }; }
while alive && ! ready; do sleep 0.1; done
alive || { tail -n 20 "$dir/broker.log" >&2; exit 1; }
echo "$url" >"$dir/url.new" && mv "$dir/url.new" "$dir/url"
while alive; do sleep 0.2; done

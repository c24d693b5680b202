# Runs a pgbouncer of its own in a temporary folder: `pgbouncer.sh <program> <folder of the server's
# socket> <connections to the server>`. It says where its socket is. When whoever started it has gone, in
# whatever way, it is stopped and the folder is removed.
set -eu
folder=$(mktemp -d /tmp/tower-ratelimit.XXXXXX)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/settings" <<END
[databases]
* = host=$2 port=5432 user=postgres dbname=postgres
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = $folder
auth_type = any
pool_mode = transaction
default_pool_size = $3
# Each transaction is on another connection than the one before.
server_round_robin = 1
max_client_conn = 300
logfile = $folder/log
pidfile = $folder/running
END
"$1" -q "$folder/settings" </dev/null >&2 &
trap 'kill $! 2>/dev/null || true; wait $! || true; rm -rf "$folder"' EXIT
# It says that it runs once it listens.
until [ -s "$folder/running" ]; do
    kill -0 $! || { cat "$folder/log" >&2; exit 1; }
    sleep 0.01
done
echo "$folder"
while read -r _; do :; done

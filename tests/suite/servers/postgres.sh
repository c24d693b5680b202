# Runs a Postgres of its own in a temporary folder: `postgres.sh <folder of the programs>`. It says
# where its socket is, and then obeys: `stop <mode>`, `start`, and `close`, which has it go as soon as
# nobody is connected to it, without waiting for that. When whoever started it has gone, in whatever way,
# the server stops and the folder is removed.
set -eu
folder=$(mktemp -d /tmp/tower-ratelimit.XXXXXX)
server() {
    "$programs/pg_ctl" -D "$folder/data" -s -l "$folder/log" \
        -o "-k $folder -c listen_addresses= -c fsync=off -c max_connections=300" "$@" </dev/null >&2
}
programs=$1
trap 'server stop -m immediate || true; rm -rf "$folder"' EXIT
"$programs/initdb" -D "$folder/data" -U postgres -A trust --no-locale -E UTF8 --no-sync \
    >"$folder/log" 2>&1 ||
    { cat "$folder/log" >&2; exit 1; }
server start -w || { cat "$folder/log" >&2; exit 1; }
echo "$folder"
while read -r command mode; do
    case $command in
    stop) server stop -w -m "$mode" ;;
    close) server stop -W -m smart ;;
    start) server start -w ;;
    esac
    echo done
done

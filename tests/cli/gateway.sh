#!/usr/bin/env bash
# gateway.sh: servers that listen, and what connects to them: searches and removals without mpirun, clients that come, leave and are killed, and others
# that should not have come.
set -eu
# shellcheck source-path=SCRIPTDIR source=acceptance.sh
. "$(dirname "$0")/acceptance.sh"

started=()

# end PROCESS...: kills them with all that they have started, mpirun's ranks too.
end() {
    local process
    for process in "$@"; do
        # shellcheck disable=SC2046 # several words
        end $(pgrep -P "$process")
        kill -KILL "$process" 2> /dev/null || true
    done
}
trap 'end "${started[@]}" 2> /dev/null; rm -rf "$folder"' EXIT

# start COMMAND...: in the background, as $last.
start() {
    "$@" > "start-${#started[@]}.out" 2> "start-${#started[@]}.err" < /dev/null &
    last=$!
    started+=("$last")
}

# serve ARGUMENT...: servers that listen; $last are they.
serve() {
    start "$dfaiss" serve --storage st --threads 1 --listen listen.json "$@"
    wait_until test -f listen.json || fail "the servers do not listen: $(cat start-*.err)"
}

# expect_ended: $last has ended with code 0.
expect_ended() {
    local code=0
    wait "$last" || code=$?
    [ "$code" = 0 ] || fail "the servers ended with code $code: $(cat start-*.err)"
    [ ! -e listen.json ] || fail "the listen file is still there"
}

generate data --rows 4000 --dim 16 --queries 500 -k 10
config demo '"index_builder_type":"flat"' '"metric":"l2"' '"dim":16' '"attributes":{"number":"int"}'
for row in $(seq 0 3999); do
    echo "{\"number\": $row}"
done > metadata.jsonl
build 2 demo --data data/base.fbin --metadata metadata.jsonl
search demo --queries data/query.fbin -k 10 --output saved.ibin

# ---- searches, removals, what is told ----

serve --load demo
[ "$(stat -c %a listen.json)" = 600 ] || fail "the listen file can be read by others: $(ls -l listen.json)"
run 0 "$dfaiss" search --connect listen.json --index demo --queries data/query.fbin -k 10 --output found.ibin --groundtruth data/groundtruth.ibin --json
expect_object '{"index": "demo", "servers": 2, "queries": 500, "k": 10'
expect_output '"recall": {"1": 1.0, "10": 1.0}'
expect_equal found saved
run 0 "$dfaiss" search --connect listen.json --index demo --queries data/query.fbin -k 10 --filter 'number < 5' --output few.jsonl
grep -q '"metadata":\[{"number":[0-4]}' few.jsonl || fail "metadata do not come over the connection: $(head -1 few.jsonl)"

run 0 "$dfaiss" status --connect listen.json
expect_output "demo: TRAINED, 4000 vectors (0 not indexed yet)"
run 0 "$dfaiss" status --connect listen.json --json
expect_object '{"servers": [{"server": 0, "threads": 1, "resident_bytes": '
expect_output '"name": "demo", "state": "TRAINED", "vectors": 4000, "buffered": 0'
expect_output '"imbalance": 1.0}'
run 0 "$dfaiss" status --connect listen.json --json --interval 0.1 --count 3
[ "$(grep -c '^{"servers": \[.*}$' out)" = 3 ] || fail "no object a line: $(cat out)"

"$tools/tool_ids" list 0 1 100 first.ibin
run 0 "$dfaiss" remove --connect listen.json --index demo --ids first.ibin --json
expect_object '{"index": "demo", "servers": 2, "removed": 100, "vectors": 3900, "generation": 2'
run 0 "$dfaiss" remove --connect listen.json --index demo --filter 'number >= 3900' --json
expect_output '"removed": 100, "vectors": 3800, "generation": 3'
run 0 "$dfaiss" inspect --storage st --index demo --verify --json
expect_output '"vectors": 3800'

# ---- words that are wrong ----

expect_fail 2 ERR_NOT_FOUND "nowhere" search --connect listen.json --index nowhere --queries data/query.fbin
expect_fail 2 ERR_NOT_FOUND "nothing.json" search --connect nothing.json --index demo --queries data/query.fbin
expect_fail 3 ERR_DATA "demo.json is no listen file" search --connect demo.json --index demo --queries data/query.fbin
expect_fail 2 ERR_ARG "--storage and --connect are both given" search --connect listen.json --storage st --index demo --queries data/query.fbin
expect_fail 2 ERR_ARG "--threads and --connect are both given" remove --connect listen.json --threads 2 --index demo --ids first.ibin
expect_fail 2 ERR_ARG "--connect FILE is missing" status
expect_fail 2 ERR_ARG "--connect FILE is missing" shutdown
expect_fail 2 ERR_ARG "--port is given without --listen FILE" serve --storage st --port 3
expect_fail 2 ERR_ARG "'nowhere.invalid' is no address" serve --storage st --listen other.json --bind nowhere.invalid
expect_fail 2 ERR_EXISTS "is no listen file" serve --storage st --listen demo.json
port=$(sed -n 's/.*"port": \([0-9]*\).*/\1/p' listen.json)
expect_fail 1 ERR_IO "cannot listen at 127.0.0.1:$port" serve --storage st --listen other.json --port "$port"
[ ! -e other.json ] || fail "servers that cannot listen have left a listen file"

# A token of another job, and bytes that are none of ours.
sed 's/"token": "../"token": "00/' listen.json > wrong.json
cmp -s listen.json wrong.json && sed -i 's/"token": "00/"token": "01/' wrong.json
expect_fail 4 ERR_PEER "have not written this file" status --connect wrong.json
for garbage in "GET / HTTP/1.0" "" "$(head -c 5000 /dev/zero | tr '\0' x)"; do
    (printf '%s\r\n\r\n' "$garbage" > "/dev/tcp/127.0.0.1/$port") 2> /dev/null || true
done

# ---- many who come and leave, and some that are killed ----

# rounds: ten clients at once; three of them are killed while they search.
rounds() {
    local clients=() i
    for i in 1 2 3 4 5 6 7 8 9 10; do
        "$dfaiss" search --connect listen.json --index demo --queries data/query.fbin -k 10 --batch $((1 + i % 3)) --json \
            > "client-$i.out" 2> "client-$i.err" < /dev/null &
        clients+=($!)
        started+=($!)
    done
    sleep 0.1
    kill -KILL "${clients[2]}" "${clients[5]}" "${clients[8]}" 2> /dev/null || true
    for i in 0 1 2 3 4 5 6 7 8 9; do
        case $i in
        2 | 5 | 8) wait "${clients[$i]}" 2> /dev/null || true ;;
        *) wait "${clients[$i]}" || fail "client $i: $(cat "client-$((i + 1)).err")" ;;
        esac
    done
}
resident() {
    run 0 "$dfaiss" status --connect listen.json --json
    grep -o '"resident_bytes": [0-9]*' out | head -n 1 | tr -dc 0-9
}
rounds
before=$(resident)
rounds
rounds
after=$(resident)
[ "$after" -lt $((before + (16 << 20))) ] || fail "server 0 has grown from $before to $after bytes"

# ---- the end ----

run 0 "$dfaiss" shutdown --connect listen.json --json
expect_object '{"servers": 2}'
expect_ended

# Servers whose number is asked for, without anything to load, at a port that is asked for; and an index that is built by a job meanwhile.
serve --servers 3 --port "$port" --bind localhost --connections 2
run 0 "$dfaiss" status --connect listen.json
expect_output "     2        1"
expect_fail 2 ERR_NOT_FOUND "demo" search --connect listen.json --index demo --queries data/query.fbin

# Where they die the next one is told within seconds.
end "$last"
wait "$last" 2> /dev/null || true
expect_fail 4 ERR_PEER "cannot connect to the servers at localhost:$port, which listen.json names" status --connect listen.json

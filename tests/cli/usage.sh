#!/usr/bin/env bash
# usage.sh: help, and what is said of words that are not understood.
set -eu
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

run 0 "$dfaiss" --help
expect_output "Usage: dfaiss COMMAND"
[ ! -s err ] || fail "help says something on stderr"
for command in generate build search remove bench serve status shutdown inspect drop; do
    run 0 "$dfaiss" --help
    expect_output "  $command "
    run 0 "$dfaiss" "$command" --help
    expect_output "Usage: dfaiss $command "
    expect_output "--json"
    [ ! -s err ] || fail "help of $command says something on stderr"
    awk 'length($0) > 80 { exit 1 }' out || fail "help of $command is wider than a terminal"
done

run 2 "$dfaiss"
expect_one_line "a command is missing"
expect_fail 2 ERR_ARG "there is no command serach; did you mean search?" serach
expect_fail 2 ERR_ARG "there is no command frobnicate; see dfaiss --help" frobnicate
expect_fail 2 ERR_ARG "there is no option --versoin; did you mean --version?" --versoin

expect_fail 2 ERR_ARG "no option --qeuries; did you mean --queries?" generate --qeuries 3
expect_fail 2 ERR_ARG "no option --frobnicate; see dfaiss generate --help" generate --frobnicate
expect_fail 2 ERR_ARG "no option -z; see" generate -z
for option in --rows -k; do
    run 2 "$dfaiss" generate --json "$option"
    expect_one_line "$option needs a value: $option"
    expect_object '{"error": {"code": "ERR_ARG", "text": "'
done
expect_fail 2 ERR_ARG "--verify takes no value" inspect --verify=3
expect_fail 2 ERR_ARG "--r is short for several options" build --storage x --r y
expect_fail 2 ERR_ARG "'stray' belongs to no option" inspect --storage x stray
expect_fail 2 ERR_ARG "--storage DIR is missing" inspect
expect_fail 2 ERR_ARG "--index NAME is missing" drop --storage x

for value in 0 -3 1.5 many "" 99999999999999999999; do
    expect_fail 2 ERR_ARG "--rows is '$value'; a whole number from 1 to" generate --rows "$value"
done
expect_fail 2 ERR_ARG "--threads is '0'; a whole number from 1 to" generate --threads 0
expect_fail 2 ERR_ARG "--timeout is 'soon'; a number from" build --timeout soon
expect_fail 2 ERR_ARG "--type is 'f64'; one of f32, f16, u8, i8 is expected" generate --type f64

# An unknown word with a line break, or with bytes that are no UTF-8, still makes one line and one object.
expect_fail 2 ERR_ARG "there is no command a b" $'a\nb'
expect_fail 2 ERR_ARG "there is no command ??" $'\xff\xfe'

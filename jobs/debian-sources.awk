# debian-sources.awk: from the machine's apt entries for binary packages, the entries for Debian's own source packages.
#
#   awk -v codename=bookworm -f debian-sources.awk /etc/apt/sources.list /etc/apt/sources.list.d/*.list      one-line format
#   awk -v codename=bookworm -f debian-sources.awk /etc/apt/sources.list.d/*.sources                         deb822 format
#
# Kept are entries with the component main and a suite of this release (bookworm, bookworm-updates, bookworm-security), with their options and
# keys, so that signatures are checked as the machine checks them. Everything else (other vendors' suites, other components) is left out.

function release_suites(text,    words, count, i, kept) {
    count = split(text, words, /[ \t]+/)
    for (i = 1; i <= count; i++)
        if (words[i] == codename || words[i] == codename "-updates" || words[i] == codename "-security")
            kept = kept (kept == "" ? "" : " ") words[i]
    return kept
}

function has_main(text) {
    return (" " text " ") ~ /[ \t]main[ \t]/
}

# deb [option=value ...] URI SUITE COMPONENT...
function print_line(line,    options, suite, rest) {
    sub(/#.*/, "", line)
    sub(/^[ \t]*deb(-src)?[ \t]+/, "", line)
    if (match(line, /^\[[^]]*\][ \t]+/)) {
        options = substr(line, 1, RLENGTH)
        line = substr(line, RLENGTH + 1)
    }
    if (split(line, field, /[ \t]+/) < 3)
        return
    suite = release_suites(field[2])
    rest = line
    sub(/^[^ \t]+[ \t]+[^ \t]+[ \t]+/, "", rest)
    if (suite != "" && has_main(rest) && !seen[field[1] " " suite]++)
        print "deb-src " options field[1] " " suite " main"
}

function print_stanza() {
    if (stanza != "" && enabled && suites != "" && main)
        print "Types: deb-src\nSuites: " suites "\nComponents: main\n" stanza
    stanza = suites = ""
    enabled = 1
    main = 0
    replaced = 0
}

function field_value(line) {
    sub(/^[^:]*:[ \t]*/, "", line)
    return line
}

BEGIN { print_stanza() }
FNR == 1 { print_stanza() }

FILENAME !~ /\.sources$/ {
    if ($0 ~ /^[ \t]*deb(-src)?[ \t]/)
        print_line($0)
    next
}

/^[ \t]*$/ { print_stanza(); next }
/^#/ { next }
/^[ \t]/ { # a field goes on in the next line: either one that is replaced, or one that is kept as it is (a key)
    if (replaced == 1)
        suites = suites (suites == "" ? "" : " ") release_suites($0)
    else if (replaced == 2)
        main = main || has_main($0)
    else if (!replaced)
        stanza = stanza $0 "\n"
    next
}
{ replaced = 0 }
tolower($0) ~ /^suites:/ { suites = release_suites(field_value($0)); replaced = 1; next }
tolower($0) ~ /^components:/ { main = has_main(field_value($0)); replaced = 2; next }
tolower($0) ~ /^types:/ { replaced = 3; next }
tolower($0) ~ /^enabled:/ { enabled = tolower(field_value($0)) !~ /^(no|false|off|0|without|disable)/; replaced = 3; next }
{ stanza = stanza $0 "\n" }
END { print_stanza() }

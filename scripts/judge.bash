# For scripts that run several judges: sourced, not run. Each report is printed in one piece when its judge has ended.

reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT

# judge NAME COMMAND...: runs it and then prints what it said. One that broke off without "N passed, N failed" is a failure, too.
judge() {
    local name=$1 began=$SECONDS status=0
    shift
    "$@" >"$reports/$name" 2>&1 </dev/null || status=$?
    {
        flock 9
        printf -- '-- %s (%s s)\n' "$name" $((SECONDS - began))
        cat "$reports/$name"
        tail -1 "$reports/$name" | grep -qE '^[0-9]+ passed, [0-9]+ failed$' || echo "0 passed, 1 failed"
    } 9>"$reports/lock"
    return $status
}

#!/bin/sh
# Every planted defect with three seeds and default settings: who finds what, and how soon.
#
#   tests/tests/crash/survey.sh [HARNESS [SEED ...]]     (target/debug/harness, seeds 1 2 3)
#
# REPEAT=1 sends each finding again once instead of five times, which is most of the time it takes.
# Prints a row for each run, and ends with 1 if a defect was missed, called by the wrong name,
# blamed on the wrong process, or found later than after 30 s.
set -u
repeat=${REPEAT:-5}
harness=${1:-target/debug/harness}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- 1 2 3
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
worst=0
printf '%-40s %-9s %4s %8s  %-28s %-9s %s\n' defect target seed seconds found blamed repeats

run() { # EXPECTED WHO SEED TARGET DEFECT FLAGS...
    expected=$1 who=$2 seed=$3 target=$4 defect=$5
    shift 5
    rm -rf "$out/run"
    set -- --defect "$defect" "$@"
    "$harness" crash --target "$target" --seed "$seed" --out "$out/run" --repeat "$repeat" --quiet "$@" \
        > "$out/said" 2>&1
    found=$(ls "$out/run/crashes" 2> /dev/null | sed 's/-[0-9a-f]*$//' | head -n 1)
    blamed=$(sed -n 's/^to blame   the \([a-z]*\).*/\1/p' "$out/said")
    repeats=$(sed -n 's/^sent again the same came of it \([0-9]* of [0-9]*\).*/\1/p' "$out/said")
    # The whole run takes longer: what is found is judged and sent again.
    ms=$(sed -n 's/^  "found_after_ms": \([0-9]*\).*/\1/p' "$out/run/crash.json" 2> /dev/null)
    seconds=$(awk "BEGIN { printf \"%.1f\", ${ms:-0} / 1000 }")
    verdict=
    if [ "$found" != "$expected" ] || [ "$blamed" != "$who" ] || [ "${ms:-99999}" -gt 30000 ]; then
        verdict='  <- not as it should be' worst=1
    fi
    printf '%-40s %-9s %4s %8s  %-28s %-9s %s%s\n' "$defect" "${target%% *}" "$seed" "$seconds" \
        "${found:-nothing}" "${blamed:--}" "${repeats:--}" "$verdict"
}

for seed; do
    for target in upstream proxy; do
        more=
        [ "$target" = proxy ] && more='--on-malformed forward'
        # shellcheck disable=SC2086 # words of their own
        {
            run died-sigsegv upstream "$seed" $target segfault-after-decode-errors=1000 $more
            run died-sigabrt upstream "$seed" $target abort-on-long-line=3000 $more
            run died-exit-101 upstream "$seed" $target panic-on-invalid-utf8 $more
            run died-exit-1 upstream "$seed" $target exit-after=100 $more
            run hung upstream "$seed" $target hang-after=1000 $more
            run froze upstream "$seed" $target freeze=1500ms@3s $more
            run wrong upstream "$seed" $target wrong-reply=1/100 $more
            run slow upstream "$seed" $target slow=200ms $more
            run refuses upstream "$seed" $target stop-accepting=100 $more
            run leaked-memory upstream "$seed" $target leak-memory=4KiB $more
            run leaked-descriptors upstream "$seed" $target leak-descriptors $more
            run leaked-threads upstream "$seed" $target leak-threads $more
        }
    done
done
exit $worst

#!/bin/sh
# Stands for istioctl. It answers each of its commands from the files beside the link it was called by:
#   <command>.stdout, <command>.stderr, <command>.code; <command> is version, list or analyze.
#   analyze.hangs: it never ends, and neither does what it started.
# What it was given is left there for the test: <command>.words, environment, kubeconfig, modes.
here=${0%/*}
case "$1 ${2-}" in
    version\ *) name=version ;;
    "analyze --list-analyzers") name=list ;;
    *) name=analyze ;;
esac
printf '%s\n' "$@" >"$here/$name.words"
env >"$here/environment"
if [ -e kubeconfig ]; then
    cp kubeconfig "$here/kubeconfig"
    stat -c '%a' . kubeconfig >"$here/modes"
fi
if [ "$name" = analyze ] && [ -e "$here/analyze.hangs" ]; then
    (
        echo started
        exec tail -f /dev/null
    ) >"$here/alive" 2>/dev/null </dev/null &
    wait
fi
[ ! -e "$here/$name.stdout" ] || cat "$here/$name.stdout"
[ ! -e "$here/$name.stderr" ] || cat "$here/$name.stderr" >&2
code=0
[ ! -e "$here/$name.code" ] || read -r code <"$here/$name.code"
exit "$code"

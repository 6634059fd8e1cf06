#!/bin/sh
# Starts one of GUARD's state machines and follows it to its end with nothing but the AWS CLI, for a pipeline that has no
# `guard` program. The exit code is the one `guard run --wait` would give.
#
#   examples/watch-execution.sh MACHINE-ARN INPUT [NAME]     start, then follow
#   examples/watch-execution.sh EXECUTION-ARN                follow what was started elsewhere
#
# INPUT is one line of JSON. NAME is the execution's name; the same name with the same input starts nothing twice while
# the first one runs. INTERVAL is the time between two looks, seconds, default 30. Interrupting this leaves the run
# alone: it is followed again by its ARN.
#
#   0 healthy   1 an error, or stopped   2 wrong usage   3 refused: a gate failed, the request was closed or expired
#   4 rolled back   5 a person must come   6 could not find out: halted, timed out, or AWS gave no answer
set -u

interval=${INTERVAL:-30}
usage() {
    echo "usage: $0 MACHINE-ARN INPUT [NAME] | $0 EXECUTION-ARN" >&2
    exit 2
}

case ${1:-} in
    *:execution:*)
        [ $# -eq 1 ] || usage
        execution=$1
        ;;
    *:stateMachine:*)
        [ $# -eq 2 ] || [ $# -eq 3 ] || usage
        execution=$(aws stepfunctions start-execution --state-machine-arn "$1" --input "$2" ${3:+--name "$3"} \
            --query executionArn --output text) || exit 1
        echo "started $execution"
        ;;
    *) usage ;;
esac
trap 'echo "left alone; go on with: $0 $execution" >&2; exit 1' INT TERM

# One lost answer is no reason to give up on a run of days; ten in a row are.
field() {
    aws stepfunctions describe-execution --execution-arn "$execution" --query "$1" --output text
}
lost=0
last=
while :; do
    if status=$(field status); then
        lost=0
    else
        lost=$((lost + 1))
        [ "$lost" -lt 10 ] || { echo "ten looks without an answer; the run goes on without us" >&2; exit 6; }
        sleep "$interval"
        continue
    fi
    [ "$status" = "$last" ] || echo "$(date -u +%H:%M:%SZ) $status"
    last=$status
    [ "$status" = RUNNING ] || [ "$status" = PENDING_REDRIVE ] || break
    sleep "$interval"
done

case $status in
    SUCCEEDED)
        output=$(field output) || { echo "it succeeded, and what it says cannot be read" >&2; exit 6; }
        echo "$output"
        # The request was started before, and nothing was done here: how it ends is for the first execution to say.
        case $output in
            *'"AlreadyStarted"'*)
                first=$(printf '%s\n' "$output" | sed -n 's/.*"first_execution": *"\([^"]*\)".*/\1/p')
                case $first in
                    "$execution") ;;
                    *:execution:*) exec sh "$0" "$first" ;;
                esac
                echo "the request was started before, and the first execution cannot be read" >&2
                exit 6
                ;;
        esac
        exit 0
        ;;
    FAILED)
        error=$(field error) || error=
        echo "$error: $(field cause)" >&2
        case $error in
            GateFailed | Rejected | MergeRequestClosed | MergeRequestExpired) exit 3 ;;
            RolledBack) exit 4 ;;
            RollbackFailed) exit 5 ;;
            Halted | States.Timeout) exit 6 ;;
            *) exit 1 ;;
        esac
        ;;
    TIMED_OUT)
        echo "the execution outlasted its time" >&2
        exit 6
        ;;
    *)
        echo "the execution was stopped: $(field cause)" >&2
        exit 1
        ;;
esac

"""Shell scripts that start, list and show runs on a leader node.

Whether a run lives is told by a lock that its script holds: the kernel lets go of it whatever ends the script.
"""

from __future__ import annotations

NO_MULTIPLEXER = 69
"""The exit code of `START` where neither tmux nor screen is installed."""

_TMUX = r"""toil-$(printf %s "$HOME" | cksum | cut -d ' ' -f 1)"""
"""The name of the tmux server of a node: nodes on one machine have one each."""

START = rf"""
cd "$HOME/.toil/runs/$1" || exit
cat > run.sh <<'END'
run="$HOME/.toil/runs/$1"
. "$HOME/.toil/environment"
cd "$run/code" || exit
exec 9>"$run/alive"
flock 9
echo $$ > "$run/pid"
echo > "$run/started"
shift
{{ "$@" 2>&1; echo $? > "$run/exit-code.new"; }} 9>&- | tee -a "$run/log" 9>&-
mv "$run/exit-code.new" "$run/exit-code"
END
: > log
mkfifo started || exit
if command -v tmux >/dev/null; then
    tmux -L "{_TMUX}" new-session -d -s "$1" -x 200 -y 50 sh run.sh "$@" || exit
elif command -v screen >/dev/null; then
    screen -dmS "$1" sh run.sh "$@" || exit
else
    echo "neither tmux nor screen is installed there; install one of them" >&2
    exit {NO_MULTIPLEXER}
fi
timeout 30 cat started && rm started
"""
"""Starts a run: its name, then its command. It is in a session of its name when this returns."""

LIST = r"""
cd "$HOME/.toil/runs" 2>/dev/null || exit 0
for run in */; do
    run=${run%/}
    [ -e "$run/command" ] || continue
    state=lost
    [ -e "$run/alive" ] && ! flock -n "$run/alive" true && state=running
    [ -e "$run/exit-code" ] && state=ended
    printf '%s\t%s\t%s\t' "$run" "$(cat "$run/exit-code" 2>/dev/null)" "$state"
    printf '%s\t%s\n' "$(stat -c %.6Y "$run/run.sh" 2>/dev/null || echo 0)" "$(cat "$run/command")"
done
"""
"""Prints a line for each run: name, exit code, `running`, `ended` or `lost`, when it was submitted, command.

The lock is looked at first: a run that ends between the two looks has ended, and is not lost."""

FOLLOW = r"""
cd "$HOME/.toil/runs/$1" 2>/dev/null || { echo "there is no run $1" >&2; exit 66; }
if [ -e exit-code ] || flock -n alive true; then cat log; else tail -n +1 -s 0.1 -f log --pid="$(cat pid)"; fi
[ -e exit-code ] && exit "$(cat exit-code)"
echo "run $1 was lost: it is gone without an exit code; submitted again with --restart it goes on" >&2
exit 1
"""
"""Prints what a run says until it ends; exits with its exit code."""

ATTACH = rf"""
cd "$HOME/.toil/runs/$1" 2>/dev/null || {{ echo "there is no run $1" >&2; exit 66; }}
if [ -e exit-code ] || flock -n alive true; then
    cat log
else
    if command -v infocmp >/dev/null && ! infocmp "$TERM" >/dev/null 2>&1; then export TERM=xterm-256color; fi
    if command -v tmux >/dev/null; then
        tmux -u -L "{_TMUX}" attach-session -t "=$1" || exit
    else
        screen -U -x "$1" || exit
    fi
    [ -e exit-code ] || {{ flock -n alive true || {{ echo "run $1 goes on; attach shows it again" >&2; exit 0; }}; }}
    tail -n 20 log
fi
[ -e exit-code ] && exit "$(cat exit-code)"
echo "run $1 was lost: it is gone without an exit code; submitted again with --restart it goes on" >&2
exit 1
"""
"""Attaches the terminal to a run's session, and shows the end of what it said when it ends meanwhile; of one that has ended, prints all.

A kind of terminal that the node does not know is taken for a usual one."""
